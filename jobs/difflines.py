"""Which lines a diff shows, and which of them it changes: read from git's own patch. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Side = Literal["new", "old"]
Line = tuple[Side, int]
"""A line by its number in the new file or in the old one."""

_HUNK: Final = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_TWO_PATHS: Final = ("R", "C")
_NONE: Final[frozenset[Line]] = frozenset()


@dataclass(frozen=True, slots=True)
class FileLines:
    """Of one file: the lines that stand in the diff, and those of them that were added (new) or deleted (old)."""

    shown: frozenset[Line] = _NONE
    changed: frozenset[Line] = _NONE


@dataclass(frozen=True, slots=True)
class DiffLines:
    """A whole diff by the files' paths: the new one, or the old one where the file is gone."""

    files: Mapping[str, FileLines] = field(default_factory=dict)

    def shows(self, path: str, line: Line) -> bool:
        """Whether this line stands in the diff: changed, or beside a change."""
        return path in self.files and line in self.files[path].shown

    def changes(self, path: str, line: Line) -> bool:
        """Whether this line was added or deleted."""
        return path in self.files and line in self.files[path].changed


def read(printed: str) -> DiffLines:
    """Reads what `git diff --patch-with-raw -z` printed.

    The paths are taken from the raw rows, where no name can be misread; the patch's sections follow in the same order.
    """
    paths, patch = _raw(printed)
    files: dict[str, FileLines] = {}
    for path, section in zip(paths, _sections(patch), strict=False):
        known, lines = files.get(path, FileLines()), _lines(section)
        files[path] = FileLines(known.shown | lines.shown, known.changed | lines.changed)
    return DiffLines(files)


def _raw(printed: str) -> tuple[list[str], str]:
    """The path of each section of the patch, and the patch. A change of type has two sections: out and in."""
    paths: list[str] = []
    at = 0
    while printed.startswith(":", at):
        end = printed.index("\0", at)
        status = printed[at:end].rsplit(" ", 1)[1]
        for _ in range(2 if status.startswith(_TWO_PATHS) else 1):
            start, end = end + 1, printed.index("\0", end + 1)
        paths += [printed[start:end]] * (2 if status.startswith("T") else 1)
        at = end + 1
    return paths, printed[at:].removeprefix("\0")


def _sections(patch: str) -> Iterator[list[str]]:
    """The lines of each file's part. Within a hunk every line begins with a sign, so a header is surely one."""
    section: list[str] | None = None
    for line in patch.split("\n"):
        if line.startswith("diff --git "):
            if section is not None:
                yield section
            section = []
        elif section is not None:
            section.append(line)
    if section is not None:
        yield section


def _lines(section: Sequence[str]) -> FileLines:
    shown: set[Line] = set()
    changed: set[Line] = set()
    old = new = 0
    for line in section:
        if found := _HUNK.match(line):
            old, new = int(found[1]), int(found[3])
        elif new == 0 and old == 0:
            continue
        elif line.startswith("+"):
            changed.add(("new", new))
            new += 1
        elif line.startswith("-"):
            changed.add(("old", old))
            old += 1
        elif line.startswith(" "):
            shown |= {("new", new), ("old", old)}
            old, new = old + 1, new + 1
    return FileLines(frozenset(shown | changed), frozenset(changed))
