"""What a reviewing agent has to say, and where each of its remarks lands. Pure.

The agent writes `{"summary": text, "comments": [{"path", "line", "side", "body"}]}`. Gitea takes a comment on any line,
also on one that is not in the diff, where nobody would ever see it: so the places are checked here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from jobs.difflines import DiffLines, Line

MOST_COMMENTS: Final = 50
"""On lines, in one review; what is beyond goes into its text."""

_SIDES: Final = {"": "new", "new": "new", "right": "new", "old": "old", "left": "old"}


class Remark(msgspec.Struct, frozen=True):
    """One remark on a line: of the file as the pull request leaves it ("new"), or as it was before ("old")."""

    path: str
    line: int
    body: str
    side: Literal["new", "old"] = "new"

    @property
    def at(self) -> Line:
        """The line, as a diff names it."""
        return self.side, self.line


class Written(msgspec.Struct, frozen=True):
    """What the agent wrote. `unread` counts remarks that make no sense; `problem` says why nothing could be read."""

    summary: str = ""
    remarks: tuple[Remark, ...] = ()
    unread: int = 0
    problem: str = ""


class Placed(msgspec.Struct, frozen=True):
    """A review as it can be posted: `remarks` stand on lines of the diff, `loose` ones on none. `dropped` counts those
    on lines that have not changed since the last review.
    """

    summary: str = ""
    remarks: tuple[Remark, ...] = ()
    loose: tuple[Remark, ...] = ()
    unread: int = 0
    dropped: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a review is about: the pull request's `diff`, and where a review came before, the one `news` since then.

    `earlier` is the pull request's diff as it was at that review.
    """

    diff: DiffLines
    news: DiffLines | None = None
    earlier: DiffLines | None = None

    def is_old(self, remark: Remark) -> bool:
        """Whether the line is as it was at the last review. A deleted line keeps its number in the old file."""
        if self.news is None or self.earlier is None:
            return False
        if remark.side == "new":
            return not self.news.changes(remark.path, remark.at)
        gone = self.diff.changes(remark.path, remark.at) and not self.earlier.changes(remark.path, remark.at)
        return not gone


def read(text: str, *, tree: str) -> Written:
    """Reads what the agent wrote; never raises. `tree` is the folder it worked in: it may have named whole paths."""
    try:
        value = msgspec.json.decode(_unfenced(text))
    except msgspec.DecodeError as error:
        return Written(problem=f"it is not JSON ({error})")
    if isinstance(value, list):
        value = {"comments": value}
    if not isinstance(value, dict):
        return Written(problem="it is no JSON object")
    given = value.get("comments") or []
    items = given if isinstance(given, list) else [given]
    remarks = tuple(remark for item in items if (remark := _remark(item, tree)) is not None)
    summary = value.get("summary")
    return Written(summary.strip() if isinstance(summary, str) else "", remarks, len(items) - len(remarks))


def _unfenced(text: str) -> str:
    fenced = re.fullmatch(r"\s*```\w*\n(.*)\n\s*```\s*", text, re.DOTALL)
    return fenced[1] if fenced else text


def _remark(item: Any, tree: str) -> Remark | None:
    """One remark, or None where path, line or words are missing."""
    if not isinstance(item, dict):
        return None
    path, line, body = item.get("path"), item.get("line"), item.get("body")
    side = _SIDES.get(str(item.get("side") or "").lower())
    if isinstance(line, str) and line.isdecimal() and line.isascii():
        line = int(line[:9])
    if not isinstance(path, str) or not isinstance(body, str) or not isinstance(line, int) or side is None:
        return None
    path = path.removeprefix(f"{tree}/").removeprefix("./")
    if not path.strip() or not body.strip() or line < 1:
        return None
    return Remark(path, line, body.strip(), "old" if side == "old" else "new")


def place(written: Written, ground: Ground) -> Placed:
    """Decides for each remark: on its line, into the text, or nowhere."""
    remarks: list[Remark] = []
    loose: list[Remark] = []
    dropped = 0
    for remark in _once(written.remarks):
        if not ground.diff.shows(remark.path, remark.at):
            loose.append(remark)
        elif ground.is_old(remark):
            dropped += 1
        elif len(remarks) < MOST_COMMENTS:
            remarks.append(remark)
        else:
            loose.append(remark)
    return Placed(written.summary, tuple(remarks), tuple(loose), written.unread, dropped, written.problem)


def _once(remarks: Sequence[Remark]) -> Iterator[Remark]:
    return iter(dict.fromkeys(remarks))
