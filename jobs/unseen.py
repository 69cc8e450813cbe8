"""What Markdown keeps from its readers: titles and labels of links, texts of images, attributes of tags. Pure.

A page shows a title only under a mouse, and an image's text only where the image is missing. Who labels an issue has
not read them, and somebody else may have written orders there; so of these, only addresses are kept.

The parser gives no columns. This reads the text by itself, in time that grows with its length, and where the two
could differ it takes away what looks like such a part: rather too much than too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from string import ascii_uppercase
from typing import Final

from jobs.markdown import code_spans, inside

_ADDRESSES: Final = frozenset({"src", "href"})
_VALUE: Final = r"""(?:[^\s"'=<>`]++|'[^']*+'|"[^"]*+")"""
_ATTRIBUTE: Final = rf"[A-Za-z_:][\w:.-]*+(?:\s*+=\s*+{_VALUE})?+"
_EACH: Final = re.compile(rf"([A-Za-z_:][\w:.-]*+)(?:\s*+=\s*+({_VALUE}))?+")
_TAG: Final = re.compile(rf"<([A-Za-z][A-Za-z0-9-]*+)((?:\s++{_ATTRIBUTE})++)\s*+/?>")
# At the start of a line these are tags however they go on (CommonMark 4.6).
_BLOCK_TAG: Final = re.compile(
    r"(?<![^\n]) {0,3}<(/?(?:article|aside|center|details|div|dl|fieldset|footer|form|h[1-6]|header|hr|li|main|nav|ol|p"
    r"""|pre|section|summary|table|tbody|td|textarea|tfoot|th|thead|tr|ul))(\s(?:[^<>"']|"[^"]*+"|'[^']*+')*+)>""",
    re.IGNORECASE,
)
_NODES: Final = {"<?": "?>", "<![CDATA[": "]]>"} | {f"<!{letter}": ">" for letter in ascii_uppercase}
"""HTML that is no tag, and how each ends: an instruction, a section of plain characters, a declaration."""
_UNSHOWN: Final = re.compile(r"<(script|style|iframe|noembed|noframes|noscript|object)(?=[\s/>])", re.IGNORECASE)

_GAP: Final = re.compile(r"[\s>]*+")
"""White space, and the marks of a quotation where a line begins."""
_RUN: Final = re.compile(r"\S*+")
_MOST_NESTED: Final = 20
"""Links that begin in one run of characters, of which each is looked at; more are all taken to reach its end."""
_ADDRESS: Final = re.compile(r"<(?:[^<>\n\\]|\\.)*+>")
_TITLE: Final = re.compile(r""""(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\)""", re.DOTALL)
_REFERENCE: Final = re.compile(r"\]\[([^\[\]]{1,999}+)\]")

Change = tuple[int, int, str]
"""From, to, and what comes there instead."""


def seen(text: str, addresses: dict[str, str]) -> str:
    """`text` without these parts, code excepted. `addresses` are those of the link definitions, by label in lower
    case: where a link names such a label, the address takes its place. Lines end with a line feed alone.
    """
    if "<" in text:
        text = _changed(text, _unshown(text))
        for start, end in _NODES.items():
            text = _changed(text, _nodes(text, start, end)) if start in text else text
        for pattern in (_TAG, _BLOCK_TAG):
            text = _changed(text, ((*tag.span(), _bare(tag)) for tag in pattern.finditer(text)))
    if "]" in text:
        text = _changed(text, ((*found.span(), _resolved(found, addresses)) for found in _REFERENCE.finditer(text)))
        text = _changed(text, _image_texts(text, addresses)) if "![" in text else text
        text = _changed(text, _titles(text))
    return text


def _changed(text: str, changes: Iterable[Change]) -> str:
    """The changes made, but for those in code, and those within another one."""
    changes = [change for change in changes if text[change[0] : change[1]] != change[2]]
    if not changes:
        return text
    code, done = code_spans(text), 0
    parts: list[str] = []
    for start, end, instead in changes:
        if start >= done and not inside(code, start):
            parts += [text[done:start], instead]
            done = end
    return "".join([*parts, text[done:]])


def _nodes(text: str, start: str, end: str) -> Iterator[Change]:
    at = text.find(start)
    while at >= 0 and (last := text.find(end, at + len(start))) >= 0:
        yield at, last + len(end), ""
        at = text.find(start, at + len(start))


def _bare(tag: re.Match[str]) -> str:
    """A tag with its addresses alone."""
    kept = [f' {name}="{value.strip(chr(34) + chr(39))}"' for name, value in _EACH.findall(tag[2]) if _leads(name)]
    return f"<{tag[1]}{''.join(kept)}>"


def _leads(name: str) -> bool:
    return name.lower() in _ADDRESSES


def _unshown(text: str) -> Iterator[Change]:
    """Elements that browsers do not show, which end with the text where nothing ends them."""
    folded = text.lower()
    for opening in _UNSHOWN.finditer(text):
        end = folded.find(f"</{opening[1].lower()}", opening.end())
        close = folded.find(">", end) if end >= 0 else -1
        yield opening.start(), close + 1 if close >= 0 else len(text), ""
        if close < 0:
            return


def _resolved(reference: re.Match[str], addresses: dict[str, str]) -> str:
    address = addresses.get(label_of(reference[1]))
    return reference[0] if address is None else f"](<{address}>)"


def label_of(raw: str) -> str:
    """A label as it is compared with others."""
    return " ".join(raw.split()).lower()


def _image_texts(text: str, addresses: dict[str, str]) -> Iterator[Change]:
    closings = _closings(text)
    for found in re.finditer(r"!\[", text):
        start = found.end()
        end = closings.get(start - 1)
        if end is not None and text[end + 1 : end + 2] in {"(", "["}:
            yield start, end, ""
        elif end is not None and (address := addresses.get(label_of(text[start:end]))) is not None:
            yield start, end + 1, f"](<{address}>)"
        elif (further := _further(text, start)) is not None:
            yield start, further, ""


def _further(text: str, start: int) -> int | None:
    """Where the image's text may end instead: code and tags in it hide brackets, and then the parser counts others."""
    paragraph_end = text.find("\n\n", start)
    end = text.find("](", start, paragraph_end if paragraph_end >= 0 else len(text))
    return end if end >= 0 and re.search("[`<]", text[start:end]) else None


def _closings(text: str) -> dict[int, int]:
    """For each bracket that is closed, where."""
    code, opened, closed = code_spans(text), [], {}
    for found in re.finditer(r"\\.|\[|\]", text, re.DOTALL):
        if len(found[0]) > 1 or inside(code, found.start()):
            continue
        if found[0] == "[":
            opened.append(found.start())
        elif opened:
            closed[opened.pop()] = found.start()
    return closed


def _titles(text: str) -> Iterator[Change]:
    run, links = 0, 0
    for found in re.finditer(r"\]\(", text):
        start = _gap(text, found.end())
        if start >= run:
            run, links = _end(_RUN, text, start), 0
        links += 1
        end = run if links > _MOST_NESTED else _address_end(text, start, run)
        title = _TITLE.match(text, _gap(text, end)) if _gap(text, end) > end else None
        if title is not None and text.startswith(")", _gap(text, title.end())):
            yield end, title.end(), ""


def _gap(text: str, start: int) -> int:
    return _end(_GAP, text, start)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.match(text, start)
    return match.end() if match else start


def _address_end(text: str, start: int, run: int) -> int:
    """In angle brackets, or without white space (which comes at `run`) and as long as its parentheses are closed."""
    if match := _ADDRESS.match(text, start):
        return match.end()
    depth, at = 0, start
    while at < run:
        if text[at] == "\\":
            at += 1
        depth += {"(": 1, ")": -1}.get(text[at : at + 1], 0)
        if depth < 0:
            break
        at += 1
    return min(at, run)
