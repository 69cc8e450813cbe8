"""What Markdown keeps from its readers: titles and labels of links, texts of images, attributes of tags. Pure.

A page shows a title only under a mouse, and an image's text only where the image is missing. Who labels an issue has
not read them, and somebody else may have written orders there; so of these, only addresses are kept.

The parser gives no columns. This reads the text by itself, in time that grows with its length, and where the two
could differ it takes away what looks like such a part: rather too much than too little.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from string import ascii_uppercase
from typing import Final

from jobs.markdown import code_spans, fence_labels, html_blocks, inside

_ADDRESSES: Final = {"a": "href", "img": "src", "source": "src", "video": "src", "audio": "src"}
_VALUE: Final = r"""(?:[^\s"'=<>`]++|'[^']*+'|"[^"]*+")"""
_ATTRIBUTE: Final = rf"[A-Za-z_:][\w:.-]*+(?:\s*+=\s*+{_VALUE})?+"
_EACH: Final = re.compile(rf"([A-Za-z_:][\w:.-]*+)(?:\s*+=\s*+({_VALUE}))?+")
_TAG: Final = re.compile(rf"<(/?[A-Za-z][A-Za-z0-9-]*+)((?:\s++{_ATTRIBUTE})*+)\s*+/?>")
_OPENING: Final = re.compile(r"<(/?[A-Za-z][^\s/>]*+|!--|[!?/])")
_ATTRIBUTES: Final = re.compile(
    r"""(?:[\s/]++|[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+|(?=>))|(?!\s*+=)))*+"""
)
"""What stands behind a tag's name as browsers read it (HTML Living Standard, section 13.2.5), up to its end or to a
quote that does not end: nobody can say how much that takes.
"""
_COMMENTS: Final = {"!--": "-->", "!": ">", "?": ">", "/": ">"}
"""How what browsers take for a comment begins and ends."""
_LANGUAGE: Final = re.compile(r"[ \t]*+[\w+#.-]{1,20}+(?=[ \t]|$)")
_ELEMENT: Final = re.compile(
    r"a|abbr|address|article|aside|b|bdi|bdo|blockquote|br|caption|center|cite|code|col|colgroup|dd|del|details|dfn|"
    r"div|dl|dt|em|figcaption|figure|font|footer|h1|h2|h3|h4|h5|h6|header|hr|i|img|input|ins|kbd|label|li|main|mark|"
    r"nav|ol|p|picture|pre|q|rp|rt|ruby|s|samp|section|small|source|span|strike|strong|sub|summary|sup|table|tbody|"
    r"td|tfoot|th|thead|time|tr|tt|u|ul|var|video|wbr"
)
"""Names of tags that people write. Of any other nothing is shown, and its name may be a sentence."""
_PARAMETER: Final = re.compile(r"(?<=\w)<[A-Za-z][A-Za-z0-9]*+>")
"""What looks like a tag and is none: list<int>. A page hides it, too, but who wrote it meant it to be read."""
_NODES: Final = {"<?": "?>", "<![CDATA[": "]]>"} | {f"<!{letter}": ">" for letter in ascii_uppercase}
"""HTML that is no tag, and how each ends: an instruction, a section of plain characters, a declaration."""
_UNSHOWN: Final = re.compile(
    r"<(frame|frameset|iframe|noembed|noframes|noscript|nostyle|object|plaintext|script|style|textarea|title|xmp)"
    r"(?=[\s/>])",
    re.IGNORECASE,
)

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


def seen_blocks(text: str) -> str:
    """`text` without what blocks of code and of HTML hide. This comes before all that could make of them other blocks.
    Lines end with a line feed alone.
    """
    text = _applied(text, _labels(text)) if "``" in text or "~~" in text else text
    return _changed(text, _in_blocks(text)) if "<" in text else text


def seen(text: str, addresses: dict[str, str]) -> str:
    """`text` without these parts, code excepted. `addresses` are those of the link definitions, by label in lower
    case: where a link names such a label, the address takes its place. Lines end with a line feed alone.
    """
    if "<" in text:
        text = _changed(text, _tags(text))
        for start, end in _NODES.items():
            text = _changed(text, _nodes(text, start, end)) if start in text else text
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
    code = code_spans(text)
    return _applied(text, (change for change in changes if not inside(code, change[0])))


def _applied(text: str, changes: Iterable[Change]) -> str:
    """The changes made, but for those within another one."""
    done, parts = 0, []
    for start, end, instead in changes:
        if start >= done:
            parts += [text[done:start], instead]
            done = end
    return "".join([*parts, text[done:]])


def _nodes(text: str, start: str, end: str) -> Iterator[Change]:
    at = text.find(start)
    while at >= 0 and (last := text.find(end, at + len(start))) >= 0:
        yield at, last + len(end), ""
        at = text.find(start, at + len(start))


def _tags(text: str) -> Iterator[Change]:
    """The tags beside blocks of HTML, and elements that browsers do not show."""
    folded, done = text.lower(), 0
    for tag in _TAG.finditer(text):
        unshown = _UNSHOWN.match(text, tag.start())
        if tag.start() < done or (unshown is None and _PARAMETER.match(text, tag.start())):
            continue
        done = _end_of_unshown(folded, unshown) if unshown else tag.end()
        yield tag.start(), done, "" if unshown else _bare(tag[1], tag[2])


def _bare(name: str, attributes: str) -> str:
    """A tag with its address alone; nothing of one that nobody knows."""
    element = name.lower().removeprefix("/")
    if _ELEMENT.fullmatch(element) is None:
        return ""
    leading = _ADDRESSES.get(element)
    found = [(key.lower(), value.strip(chr(34) + chr(39))) for key, value in _EACH.findall(attributes)]
    kept = [f' {key}="{value}"' for key, value in found if key == leading]
    return f"<{name}{''.join(kept)}>"


def _in_blocks(text: str) -> Iterator[Change]:
    """The tags in blocks of HTML, however they go on, and the comments."""
    folded, done = text.lower(), 0
    for first, last in html_blocks(text):
        done = max(done, first)
        for opening in _OPENING.finditer(text, first, last):
            if opening.start() < done:
                continue
            instead = ""
            if (unshown := _UNSHOWN.match(text, opening.start())) is not None:
                done = _end_of_unshown(folded, unshown)
            elif (end := _COMMENTS.get(opening[1])) is not None:
                close = text.find(end, opening.start() + 2)  # <!--> is a whole comment
                done = close + len(end) if close >= 0 else len(text)
            else:
                done = _end(_ATTRIBUTES, text, opening.end(), last)
                if text.startswith(">", done):
                    instead, done = _bare(opening[1], text[opening.end() : done]), done + 1
                elif done < last:
                    done = len(text)
            yield opening.start(), done, instead


def _labels(text: str) -> Iterator[Change]:
    """What stands behind the opening of a block of code, but for the name of a language."""
    for start, end in fence_labels(text):
        name = _LANGUAGE.match(text, start, end)
        yield name.end() if name else start, end, ""


def _end_of_unshown(folded: str, opening: re.Match[str]) -> int:
    """Behind its closing tag, or the end of the text where nothing closes it. `folded` is in lower case."""
    end = folded.find(f"</{opening[1].lower()}", opening.end())
    close = folded.find(">", end) if end >= 0 else -1
    return close + 1 if close >= 0 else len(folded)


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


def _end(pattern: re.Pattern[str], text: str, start: int, last: int = sys.maxsize) -> int:
    match = pattern.match(text, start, last)
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
