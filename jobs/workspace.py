"""A thread's workspace: the place its agent works in, what the agent made there, and its way to the server.

    opened = workspace.open(target)                   # folders, on the branch, level with the server
    ...the agent runs in opened.place...
    made = workspace.collect(target, opened.place, job_id, identity, message)
    workspace.push(target, made.head_sha)

Each step can be repeated after a kill at any moment. Git runs in the mirror, or, where the agent can write, inside the
agent's sandbox. One job at a time works on a thread; any number of threads may share a mirror, which is locked only
while something is written to it.
"""

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from jobs import checkout, remote
from jobs.git import Access
from jobs.inside import CompletedText, Identity, Inside, InsideFailed, InsideStopped, RunInside, Taken
from jobs.mirror import SERVERS, HeldMirror, Mirror, MirrorBusy, PackRefused
from jobs.place import Place
from jobs.remote import FetchFailed, PushFailed, PushRejected, ServerRefused
from jobs.seal import Seal, TooManyCommits, join, seal
from jobs.standing import (
    Marks,
    RepositoryUnreadable,
    Step,
    Target,
    Unrelated,
    WorkspaceRefused,
    fork_point,
    next_step,
    read_marks,
    set_mark,
    set_marks,
)

__all__ = [
    "CompletedText",
    "FetchFailed",
    "Identity",
    "InsideStopped",
    "Made",
    "MirrorBusy",
    "Opened",
    "PushFailed",
    "PushRejected",
    "RepositoryUnreadable",
    "RunInside",
    "Target",
    "Workspace",
    "WorkspaceRefused",
]

log: Final = logging.getLogger(__name__)

_KEEPER: Final = Identity("Kugetsu", "kugetsu@localhost")


@dataclass(frozen=True, slots=True)
class Opened:
    """A place ready for an agent."""

    place: Place
    base_sha: str
    """The newest commit the work has in common with the default branch."""
    head_sha: str
    new: bool
    """Whether nothing of an earlier run is in the tree, because this call made it or began the branch again."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the thread's branch holds now."""

    base_sha: str
    head_sha: str
    """Sealed: the commit to push."""
    changed: bool
    """Whether there is something to push: commits the server has not, which are more than nothing at all."""
    commits: int
    """New ones, not on the server yet."""
    files: int
    """Files, and lines, that differ between base and head: what a pull request shows."""
    additions: int
    deletions: int


class Workspace:
    """All places and mirrors below one folder."""

    def __init__(
        self,
        home: Path,
        run_inside: RunInside,
        *,
        temp_dir: Path | None = None,
        words: Callable[[str], str] = str,
    ) -> None:
        """`home` is KUGETSU_HOME; `temp_dir` holds the agents' temporary folders where they lie elsewhere;
        `words` makes the agent's commit messages fit to be seen.
        """
        self._home = home.resolve()
        self._words = words
        self._run_inside = run_inside
        self._temp_dir = temp_dir.resolve() if temp_dir is not None else None

    def place(self, target: Target) -> Place:
        """Where the thread's work lies, whether or not it is there."""
        server, owner, name = target.names()
        # Hyphens part the names; those of server and owner are replaced, so that no two threads share a folder.
        parts = (server.replace("-", "+"), owner.replace("-", "+"), name, str(target.issue), target.purpose)
        folder = "-".join(part for part in parts if part)
        tmp = self._temp_dir / folder if self._temp_dir is not None else None
        return Place.at(self._home / "worktrees" / folder, tmp=tmp)

    def mirror(self, target: Target) -> Path:
        """The clean copy of the thread's repository: what a sandbox has to show, read-only, for borrowed objects."""
        server, owner, name = target.names()
        return self._home / "repos" / server / owner / f"{name}.git"

    def open(self, target: Target) -> Opened:
        """Makes the thread's place, or brings the one that is there level with the server, keeping work done in it.

        Raises WorkspaceRefused; FetchFailed, MirrorBusy and InsideStopped, which pass.
        """
        mirror, place = Mirror(self.mirror(target)), self.place(target)
        with mirror.held() as held:
            fetch(held, target)
        marks = read_marks(mirror, target)
        base = _base(mirror, marks, target)
        checkout.settle(place)
        if checkout.is_whole(place):
            checkout.furnish(place)
            try:
                return self._take_up(mirror, target, marks, base)
            except (InsideFailed, PackRefused, Unrelated) as error:
                log.warning("%s is unusable and made anew: %s", place.root, error)
        return self._make(mirror, target, marks, base)

    def collect(self, target: Target, place: Place, job_id: int | str, identity: Identity, message: str) -> Made:
        """Takes what the agent made into the mirror, sealed as `identity`'s commits of the job.

        What is uncommitted is committed first, with `message`. Repeated for the same job it gives the same commits.
        Raises WorkspaceRefused; MirrorBusy and InsideStopped, which pass.
        """
        mirror = Mirror(self.mirror(target))
        marks = read_marks(mirror, target)
        inside = self._inside(target, place)
        if not checkout.is_whole(place):
            raise WorkspaceRefused("A folder of the workspace is gone, or is no folder any more.")
        checkout.furnish(place)
        try:
            taken = inside.commit(message, marks.known(), identity)
            with mirror.held() as held:
                _take(held, inside, taken)
                untouched = marks.seen == target.spent and taken.head == marks.start
                seen = None if untouched else marks.seen
                head = _seal(held, taken.head, seen, Seal(identity, str(job_id), self._words))
            fork = fork_point(mirror, marks, head)
        except (InsideFailed, PackRefused, TooManyCommits, Unrelated) as error:
            raise WorkspaceRefused(f"What the agent left behind could not be taken: {error}.") from error
        _level(inside, target.branch, head)
        on_server = _stands(mirror, target, marks, fork)
        return _measure(mirror, fork, head, on_server=on_server)

    def push(self, target: Target, sha: str) -> None:
        """Brings a collected commit to the thread's branch on the server, looking first.

        Raises PushRejected, WorkspaceRefused; PushFailed, FetchFailed and MirrorBusy, which pass.
        """
        mirror, access = Mirror(self.mirror(target)), Access(target.clone_url, target.token)
        there = remote.tip(mirror, access, target.branch)
        if there is not None and not mirror.has(there):
            with mirror.held() as held:
                fetch(held, target)
        if there is None or not (mirror.has(there) and mirror.is_ancestor(sha, there)):
            remote.push(mirror, access, sha, target.branch)
        with mirror.held() as held:
            set_mark(held, "seen", target.branch, sha)

    def inside(self, target: Target) -> Inside:
        """Git inside the sandbox of the thread's place."""
        return self._inside(target, self.place(target))

    @contextmanager
    def alone(self, place: Place) -> Iterator[None]:
        """Keeps a place that is about to be used and one that is about to be forgotten apart, on this host."""
        place.root.parent.mkdir(parents=True, exist_ok=True)
        with place.root.with_name(f"{place.root.name}+freeing").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def forget(self, place: Place) -> None:
        """Removes the place with all that is in it. Can be repeated."""
        checkout.forget(place)

    def _make(self, mirror: Mirror, target: Target, marks: Marks, base: str) -> Opened:
        place, start = self.place(target), _start(mirror, target, marks, base)
        with mirror.held() as held:
            set_marks(held, target, start=start, seen=marks.server)
        checkout.set_aside(place)
        checkout.make(place, mirror.path, target.branch, start)
        checkout.settle(place)
        checkout.furnish(place)
        return Opened(place, fork_point(mirror, replace(marks, start=start), start), start, new=True)

    def _take_up(self, mirror: Mirror, target: Target, marks: Marks, base: str) -> Opened:
        """Goes on in a place that is there. Raises InsideFailed, PackRefused or Unrelated where it is of no use."""
        inside = self._inside(target, self.place(target))
        taken = inside.look(marks.known())
        with mirror.held() as held:
            _take(held, inside, taken)
        step = next_step(mirror, taken.head, marks, target.spent)
        if step is Step.FORWARD and not _carried(inside, target, marks):
            step = Step.YIELD
        if step in {Step.YIELD, Step.RESTART}:
            return self._begin_again(mirror, target, marks, base)
        head = taken.head if step is Step.KEEP else (marks.server or base)
        fork = fork_point(mirror, marks, head)
        if marks.server != marks.seen:
            with mirror.held() as held:
                set_marks(held, target, start=marks.start or fork, seen=marks.server)
        return Opened(inside.place, fork, head, new=False)

    def _begin_again(self, mirror: Mirror, target: Target, marks: Marks, base: str) -> Opened:
        """Sets the place to the server's branch, or without one to the default branch; keeps what gives way."""
        place, start = self.place(target), marks.server or base
        inside = self._inside(target, place)
        taken = inside.commit("Work that gave way to the server's branch", marks.known(), _KEEPER)
        with mirror.held() as held:
            _take(held, inside, taken)
            if held.commits(taken.head, without=("refs/heads", "refs/tags")):
                held.set_ref(f"refs/kugetsu/kept/{target.branch}/{taken.head}", taken.head)
        inside.put(target.branch, start, "replace")
        # Last, so that a kill before this leads here again.
        with mirror.held() as held:
            set_marks(held, target, start=start, seen=marks.server)
        fork = fork_point(mirror, replace(marks, start=start), start)
        return Opened(place, fork, start, new=marks.server is None)

    def _inside(self, target: Target, place: Place) -> Inside:
        return Inside(self._run_inside, place, self.mirror(target))


def _start(mirror: Mirror, target: Target, marks: Marks, base: str) -> str:
    """Where new work starts: on the server's branch, unless that has been merged."""
    if marks.server is None or marks.server == target.spent or mirror.is_ancestor(marks.server, base):
        return base
    return marks.server


def fetch(held: HeldMirror, target: Target) -> None:
    """Brings the mirror level with the server. Raises WorkspaceRefused, FetchFailed."""
    try:
        remote.fetch(held, Access(target.clone_url, target.token))
    except ServerRefused as error:
        raise RepositoryUnreadable(target.repo, str(error)) from error


def _base(mirror: Mirror, marks: Marks, target: Target) -> str:
    if marks.base is not None:
        return marks.base
    if mirror.is_empty():
        raise WorkspaceRefused(f"{target.repo} is empty: there is no branch to start from.")
    raise WorkspaceRefused(f"{target.repo} has no branch {target.base}, which is to be its default branch.")


def _carried(inside: Inside, target: Target, marks: Marks) -> bool:
    """Brings the place forward to the server's branch with what is uncommitted; False where the two touch."""
    try:
        inside.put(target.branch, marks.server or "", "carry")
    except InsideFailed:
        return False
    return True


def _take(held: HeldMirror, inside: Inside, taken: Taken) -> None:
    with inside.pack() as pack:
        held.take_pack(pack, taken.head)


def _seal(held: HeldMirror, head: str, seen: str | None, wanted: Seal) -> str:
    result = f"refs/kugetsu/sealed/{wanted.job}"
    if held.refs(result).get(result) != head:
        held.set_ref(f"refs/kugetsu/jobs/{wanted.job}", head)
    made = seal(held, head, wanted)
    if seen is not None and not held.is_ancestor(seen, made):
        made = join(held, made, seen, wanted)
    held.set_ref(result, made)
    return made


def _level(inside: Inside, branch: str, head: str) -> None:
    """Puts the sealed commits into the place.

    Failing here costs nothing that was made: the next `open` finds the place beside the server's branch and mends it.
    """
    try:
        inside.put(branch, head, "refs")
    except (InsideFailed, InsideStopped) as error:
        log.warning("%s could not be set to %s: %s", inside.place.root, head, error)


def _stands(mirror: Mirror, target: Target, marks: Marks, fork: str) -> bool:
    """Whether the server's branch holds work that is not merged."""
    merged = marks.server is None or marks.server == target.spent or mirror.is_ancestor(marks.server, fork)
    return not merged


def _measure(mirror: Mirror, fork: str, head: str, *, on_server: bool) -> Made:
    lines = mirror.lines(fork, head)
    commits = len(mirror.commits(head, without=SERVERS))
    # Where the server has work, even going back to where it began is news.
    substance = on_server or mirror.tree(head) != mirror.tree(fork)
    return Made(
        base_sha=fork,
        head_sha=head,
        changed=commits > 0 and substance,
        commits=commits,
        files=len(lines),
        additions=sum(added for added, _ in lines),
        deletions=sum(deleted for _, deleted in lines),
    )
