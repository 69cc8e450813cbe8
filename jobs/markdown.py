"""Where code lies in a Markdown text: there nothing notifies, links, or hides."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

# An escaped character, so that it is stepped over, or inline code.
_BACKTICKS = re.compile(r"\\[`\\]|(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)

Span = tuple[int, int]


def code_spans(text: str) -> list[Span]:
    """Character ranges of `text` that are surely code, in order: fenced and indented blocks, inline code.

    Where readers could differ (inline code over several lines, or with a | that a table would cut) it is not
    called code. Lines of `text` must end with a line feed alone.
    """
    starts = _line_starts(text)
    spans: list[Span] = []
    for token in parser().parse(text):
        if token.map is None:
            continue
        first, last = starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)]
        if token.type in {"fence", "code_block"}:
            spans.append((first, last))
        elif token.type == "inline":
            spans += _inline_code(text, first, last, token)
    return sorted(spans)


def html_blocks(text: str) -> list[Span]:
    """Character ranges of the blocks of HTML in `text`, in order. Lines must end with a line feed alone."""
    starts, last = _line_starts(text), len(text.split("\n"))
    maps = [token.map for token in parser().parse(text) if token.type == "html_block" and token.map]
    return sorted((starts[first], starts[min(end, last)]) for first, end in maps)


def fence_labels(text: str) -> list[Span]:
    """What stands on the first line of each fenced block of code behind its marks. Lines must end with a line feed."""
    starts = _line_starts(text)
    fences = [token for token in parser().parse(text) if token.type == "fence" and token.map]
    lines = [(fence.markup, starts[fence.map[0]], starts[fence.map[0] + 1]) for fence in fences if fence.map]
    found = [(text.index(marks, start, end) + len(marks), end) for marks, start, end in lines]
    return sorted((start, end - text.endswith("\n", start, end)) for start, end in found)


def definitions(text: str) -> list[tuple[int, int, str, str]]:
    """The link definitions in `text`: first line, line behind the last one, label, address."""
    tokens = _with_definitions().parse(text)
    found = [(token.map, token.meta) for token in tokens if token.type == "definition" and token.map]
    return [(lines[0], lines[1], str(meta["label"]), str(meta["url"])) for lines, meta in found]


@cache
def _with_definitions() -> MarkdownIt:
    return MarkdownIt("commonmark", {"inline_definitions": True}).disable(["inline"])


@cache
def parser() -> MarkdownIt:
    """CommonMark without images and entities: they cost time on hostile text, and move no code."""
    return MarkdownIt("commonmark").disable(["image", "entity"])


def inside(spans: list[Span], position: int) -> bool:
    """Whether one of `spans` (in order, apart from each other) holds the character at `position`."""
    at = bisect_right(spans, position, key=lambda span: span[0])
    return at > 0 and position < spans[at - 1][1]


def _line_starts(text: str) -> list[int]:
    """The offset of each line, and the end of the text."""
    return [0, *(match.end() for match in re.finditer("\n", text)), len(text)]


def _inline_code(text: str, first: int, last: int, block: Token) -> Iterator[Span]:
    """The parser gives no columns, so they are looked for; they count only if the parser found the same ones."""
    found = [match for match in _BACKTICKS.finditer(text, first, last) if match[1]]
    parsed = [child.content for child in block.children or () if child.type == "code_inline"]
    if [_content(match[2]) for match in found] == parsed:
        yield from (match.span() for match in found if not {"\n", "|"} & set(match[2]))


def _content(raw: str) -> str:
    """Inline code as CommonMark reads it: line ends are spaces, and one space is taken off at both ends."""
    line = raw.replace("\n", " ")
    padded = line.startswith(" ") and line.endswith(" ") and line.strip(" ")
    return line[1:-1] if padded else line
