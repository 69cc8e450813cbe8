"""The gate before a push: what a repository does not want changed by an agent. Pure; the paths come from the mirror.

Workflow files run with the server's secrets as soon as they are pushed, so they are closed unless the default branch's
`.kugetsu.toml` opens them. Names are compared without regard to case, as some systems' disks do.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

_WORKFLOWS: Final = re.compile(r"\.(?:gitea|github|forgejo)(?:/workflows(?:/.*)?)?", re.DOTALL)
"""The folders, what is in them, and whatever else could stand in their place."""

_ANY_FOLDERS: Final = "**"


@dataclass(frozen=True, slots=True)
class Closed:
    """A gate that closes: which `rule`, and the `path` that it closes for."""

    rule: str
    path: str


def check(paths: Iterable[str], *, forbidden: Sequence[str], workflows_allowed: bool) -> Closed | None:
    """The first of the changed `paths` that may not be changed, or None."""
    for path in sorted(paths):
        if not workflows_allowed and _WORKFLOWS.fullmatch(path.casefold()):
            return Closed("allow_workflow_changes", path)
        for glob in forbidden:
            if matches(glob, path):
                return Closed(f'forbidden = "{glob}"', path)
    return None


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
