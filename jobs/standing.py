"""Where a thread's branch stands: what the server has of it, what the thread's place was given, what follows."""

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from jobs.git import GitFailed
from jobs.mirror import HeldMirror, Mirror

OURS: Final = "refs/kugetsu"
"""Below it lie the refs that are not the server's."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.@-]+")


class Unrelated(Exception):
    """The branch has no history in common with the default branch; the text says so."""


class WorkspaceRefused(Exception):
    """There is nothing to work on, or what was made cannot be taken; the text is a sentence for a person."""


class RepositoryUnreadable(WorkspaceRefused):
    """The server does not give out the repository `repo` under this name: it may have another one by now."""

    def __init__(self, repo: str, why: str) -> None:
        super().__init__(f"{repo} could not be read: {why}.")
        self.repo = repo


@dataclass(frozen=True, slots=True)
class Target:
    """A thread and where its work goes."""

    server: str
    repo: str
    """owner/name"""
    issue: int
    clone_url: str
    token: str | None = field(repr=False)
    base: str
    """The default branch: new work starts from it."""
    branch: str
    """The thread's own branch, `kugetsu/issue-7`."""
    spent: str | None = None
    """The branch's commit that was merged: while the branch stands there still, new work does not build on it."""
    purpose: str = ""
    """A word for a second place of the same thread; none for the one in which it works."""
    folder: str = ""
    """owner/name under which its work lies on this disk, where that is not `repo`: it may have been renamed since."""

    def names(self) -> tuple[str, str, str]:
        """Server, owner and repository as names of folders; Gitea's own ignore case. Raises WorkspaceRefused."""
        folder = self.folder or self.repo
        owner, _, name = folder.lower().partition("/")
        for part in (self.server, owner, name):
            if not _NAME.fullmatch(part) or part in {".", ".."}:
                raise WorkspaceRefused(f"{folder!r} on {self.server!r} is no name of a repository.")
        return self.server, owner, name


@dataclass(frozen=True, slots=True)
class Marks:
    """Where the default branch and a thread's branch stand in the mirror; see `jobs.mirror` for the refs."""

    base: str | None
    server: str | None
    seen: str | None
    start: str | None

    def known(self) -> list[str]:
        """The commits among them."""
        return sorted({mark for mark in (self.base, self.server, self.seen, self.start) if mark is not None})


class Step(Enum):
    """What is to be done with a place that is there already."""

    KEEP = auto()  # it holds all the server has
    FORWARD = auto()  # somebody pushed on top of what it holds
    YIELD = auto()  # somebody pushed something else
    RESTART = auto()  # the branch was deleted on the server, as after a merge


def read_marks(mirror: Mirror, target: Target) -> Marks:
    """The marks as they are now; another thread's fetch may move the server's at any time."""
    names = [f"refs/heads/{target.base}", f"refs/heads/{target.branch}"]
    names += [f"refs/kugetsu/{kind}/{target.branch}" for kind in ("seen", "start")]
    found = mirror.refs(*names)
    base, server, seen, start = map(found.get, names)
    return Marks(base, server, seen, start)


def set_marks(held: HeldMirror, target: Target, *, start: str, seen: str | None) -> None:
    """Records what the place was set on, and what it holds of the server's branch (None: there is none)."""
    set_mark(held, "start", target.branch, start)
    set_mark(held, "seen", target.branch, seen)


def set_mark(held: HeldMirror, kind: str, branch: str, commit: str | None) -> None:
    """Records one of them. Git keeps no ref in the folder of another: where an older branch has left its mark there, it
    is gone from the server, and so its mark goes.
    """
    name = f"{OURS}/{kind}/{branch}"
    try:
        held.set_ref(name, commit)
    except GitFailed as error:
        if "exists; cannot create" not in error.stderr:
            raise
        for other in held.names(f"{OURS}/{kind}"):
            if other.startswith(f"{name}/") or name.startswith(f"{other}/"):
                held.set_ref(other, None)
        held.set_ref(name, commit)


def next_step(mirror: Mirror, head: str, marks: Marks, spent: str | None) -> Step:
    """What follows for a place whose head is `head`; `spent` is what of the server's branch has been merged."""
    if marks.server is None:
        return Step.KEEP if marks.seen is None else Step.RESTART
    if marks.server == spent and marks.seen == spent:
        return Step.KEEP
    if mirror.is_ancestor(marks.server, head):
        return Step.KEEP
    return Step.FORWARD if mirror.is_ancestor(head, marks.server) else Step.YIELD


def fork_point(mirror: Mirror, marks: Marks, head: str) -> str:
    """Where the work left the default branch; where it started, if that branch was rewritten since.

    Raises Unrelated.
    """
    for trunk in (marks.base, marks.start):
        fork = mirror.merge_base(trunk, head) if trunk is not None else None
        if fork is not None:
            return fork
    raise Unrelated("the branch has no history in common with the default branch")
