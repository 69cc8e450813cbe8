"""Which lines of a comment speak: those a reader sees as the writer's own plain words.

Quotes, code, tables, HTML comments, link texts and emphasised words do not. Where one begins and ends is Markdown's to
say (CommonMark and GitHub's additions, as Gitea shows them), so a Markdown parser is asked instead of a pattern.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

_MARK = "\ue000"  # a private-use letter: it has no meaning in Markdown, and is taken out of the text beforehand
_IN_TEXT = re.compile(rf"{_MARK}(\d+){_MARK}|<!--|-->")
_COMMENT = "!--"
_QUOTING = "a|blockquote|cite|code|del|details|kbd|pre|q|s|samp|strike|table|template"
_IN_HTML = re.compile(rf"<!--.*?(?:-->|\Z)|<(/?)({_QUOTING})(?=[\s/>])", re.DOTALL | re.IGNORECASE)
_SET_APART = {"blockquote_open", "blockquote_close", "table_open", "table_close"}

# What stands at a place of the text: a line that would speak (its number), or a tag that opens or closes.
_Step = int | tuple[str, bool]


def speaking(lines: Sequence[str], heads: Mapping[int, int]) -> list[int]:
    """Tell which of the lines numbered in `heads` speak, in order.

    `heads` gives for each line in question the column behind its first word; that word must not begin with a sign that
    Markdown reads. A mark is put there, and what the parser then makes of the mark decides.
    """
    if not heads:
        return []
    marked = [line.replace(_MARK, "x") for line in lines]
    for number, column in heads.items():
        line = marked[number]
        marked[number] = f"{line[:column]}{_MARK}{number}{_MARK}{line[column:]}"
    return _outside_pairs(_steps(_parser().parse("\n".join(marked))))


@cache
def _parser() -> MarkdownIt:
    """Images and entities are left out: they cost time on hostile input, and an image is silent as a link as well."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable(["image", "entity"])


def _outside_pairs(steps: Iterator[_Step]) -> list[int]:
    """Drop what stands between a tag and its closing one; a tag never closed silences nothing: `List<s>` is prose."""
    said: list[int] = []
    opened: defaultdict[str, list[int]] = defaultdict(list)
    for step in steps:
        if isinstance(step, int):
            said.append(step)
            continue
        tag, closes = step
        if not closes:
            opened[tag].append(len(said))
        elif opened[tag]:
            del said[opened[tag].pop() :]
    return said


def _steps(tokens: Sequence[Token]) -> Iterator[_Step]:
    depth = 0
    for token in tokens:
        if token.type in _SET_APART:
            depth += token.nesting
        elif depth == 0 and token.type == "html_block":
            yield from _steps_of_html(token.content)
        elif depth == 0 and token.type == "inline":
            yield from _steps_of_words(token.children or ())


def _steps_of_words(children: Sequence[Token]) -> Iterator[_Step]:
    for child in children:
        if child.type == "html_inline":
            yield from _steps_of_html(child.content)
        elif child.type == "text":
            for found in _IN_TEXT.finditer(child.content):
                if found[1] is None:
                    yield _COMMENT, found[0] == "-->"
                elif child.level == 0:
                    yield int(found[1])


def _steps_of_html(html: str) -> Iterator[_Step]:
    for found in _IN_HTML.finditer(html):
        if found[2] is not None:
            yield found[2].lower(), found[1] == "/"
