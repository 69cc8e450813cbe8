"""Paths meant by a glob, as in a .gitignore. Pure.

Names are compared without regard to case, as some systems' disks do.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

_ANY_FOLDERS: Final = "**"


def matches(glob: str, path: str) -> bool:
    """Whether `path` is meant by `glob`, as in a .gitignore: `*` stays in a folder, `**` does not, a name without a
    slash is meant in every folder, and a folder means all that is in it.
    """
    bare = glob.casefold().rstrip("/")
    wanted = bare.removeprefix("/").split("/")
    if "/" not in bare:
        wanted = [_ANY_FOLDERS, *wanted]
    return bool(bare) and _matches(wanted, path.casefold().split("/"))


def _matches(wanted: Sequence[str], names: Sequence[str]) -> bool:
    """Follows all ways through at once, so that no glob takes long: `at` are the parts that could be next."""
    at = _onward({0}, wanted)
    for name in names:
        if len(wanted) in at and wanted[-1] != _ANY_FOLDERS:
            return True  # a folder on the way is meant, and with it all that is in it
        stays = {number for number in at if number < len(wanted) and wanted[number] == _ANY_FOLDERS}
        goes = {number + 1 for number in at if number < len(wanted) and fnmatchcase(name, wanted[number])}
        at = _onward(stays, wanted) | _onward(goes, wanted)
    return len(wanted) in at


def _onward(at: set[int], wanted: Sequence[str]) -> set[int]:
    """`**` may stand for no folder at all, but at the end for something."""
    reached = set(at)
    for number in sorted(at):
        following = number
        while following < len(wanted) - 1 and wanted[following] == _ANY_FOLDERS:
            following += 1
            reached.add(following)
    return reached
