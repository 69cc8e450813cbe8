"""The clean bare copy of a server's repository, into which only the service writes.

`refs/heads/*` and `refs/tags/*` are the server's, exactly. Ours live under `refs/kugetsu/`:

    jobs/<job>       what the agent committed in a job, as it was
    sealed/<job>     the same, sealed: what is pushed
    start/<branch>   the server's commit the thread's place was last set on
    seen/<branch>    the server's newest commit of the branch that the place holds; none: never pushed
    kept/<branch>/<commit>    work that had to give way to the server's
    pulls/<number>   the server's head of a pull request, wherever its branch lies

Objects are never dropped from a mirror while there are places: they borrow them. See `jobs.compacting`.
"""

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Final

from jobs import difflines
from jobs.difflines import DiffLines
from jobs.git import LOCAL, Access, GitFailed, Run, git, git_bytes
from jobs.inside import MAX_PACK_BYTES

LOCK_LIMIT: Final = 1800.0
"""Seconds to wait for the lock. Its holders' git processes all have deadlines, the longest of them a fetch."""

FETCH_LIMIT: Final = 900.0
_LOCK_PAUSE: Final = 0.05
SERVERS: Final = ("refs/heads", "refs/tags", "refs/kugetsu/start", "refs/kugetsu/seen")
"""Namespaces whose commits came from the server."""


class MirrorBusy(Exception):
    """The mirror stayed locked. Passing: try again later."""


class PackRefused(Exception):
    """What the agent committed is no sound git history; the text says why."""


class Mirror:
    """Reading a mirror. Needs no lock: refs change one at a time, objects stay."""

    def __init__(self, path: Path) -> None:
        """`path` is the bare repository's folder; it need not exist before `HeldMirror.refresh`."""
        self.path = path

    @contextmanager
    def held(self) -> Iterator["HeldMirror"]:
        """The mirror, to write to; one holder at a time, in all threads and processes. Raises MirrorBusy.

        The lock is the kernel's and is inherited by git: when a worker is killed, it stays taken until the git process
        it had started has ended too.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f"{self.path.name}.lock").open("a+b") as lock:
            _take(lock, self.path)
            held = HeldMirror(self.path, lock.fileno())
            with _marked(lock, held):
                yield held

    def refs(self, *names: str) -> dict[str, str]:
        """The commits of those of the full ref names that exist."""
        printed = self._git("for-each-ref", "--format=%(refname) %(objectname)", *names)
        found = dict(line.split(" ", 1) for line in printed.splitlines())
        return {name: found[name] for name in names if name in found}

    def names(self, *folders: str) -> list[str]:
        """The full names of all refs that are called so, or lie below."""
        return self._git("for-each-ref", "--format=%(refname)", *folders).splitlines()

    def is_empty(self) -> bool:
        """Whether the server has no branch at all."""
        return not self._git("for-each-ref", "--count=1", "refs/heads")

    def has(self, commit: str) -> bool:
        """Whether the commit is here, reachable or not."""
        return self._asked("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}") is not None

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` holds all that `older` does; a commit is its own ancestor."""
        return self._asked("merge-base", "--is-ancestor", older, newer) is not None

    def merge_base(self, one: str, other: str) -> str | None:
        """The newest commit both descend from; None for histories with nothing in common."""
        answer = self._asked("merge-base", one, other)
        return answer.strip() if answer else None

    def tree(self, commit: str) -> str:
        """The id of a commit's tree."""
        return self._git("rev-parse", "--verify", f"{commit}^{{tree}}").strip()

    def commits(self, head: str, *, without: Sequence[str]) -> list[str]:
        """The commits of `head` that no ref in the namespaces `without` holds, parents before children."""
        globs = [f"--glob={name}" for name in without]
        return self._git("rev-list", "--topo-order", "--reverse", head, "--not", *globs).split()

    def contents(self, commits: Sequence[str]) -> list[bytes]:
        """The raw commit objects, in the order asked for."""
        run = Run(cwd=self.path, git_dir=self.path, stdin="".join(f"{name}\n" for name in commits).encode())
        return list(_batched(git_bytes(["cat-file", "--batch"], run)))

    def patch(self, older: str, newer: str) -> str:
        """What differs between two commits, as text for people."""
        return self._git("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", older, newer)

    def diff(self, older: str, newer: str) -> DiffLines:
        """Which lines differ between two commits, as Gitea shows them: renames found, three lines around a change."""
        plain = ("--no-color", "--no-ext-diff", "--no-textconv", "--unified=3", "--find-renames")
        return difflines.read(self._git("diff", "--patch-with-raw", "-z", *plain, older, newer))

    def lines(self, older: str, newer: str) -> list[tuple[int, int]]:
        """Lines added and deleted, one pair a changed file; a binary file counts 0 and 0."""
        printed = self._git("diff-tree", "-r", "-z", "--no-renames", "--numstat", older, newer)
        counts = [entry.split("\t", 2)[:2] for entry in printed.split("\0") if entry]
        return [(int(added.replace("-", "0")), int(deleted.replace("-", "0"))) for added, deleted in counts]

    def ask(self, access: Access, *args: str, deadline: float, trace: Path | None = None) -> str:
        """Runs a git command here that speaks to the server; what git's protocol says meanwhile is written to `trace`.
        Raises GitFailed.
        """
        run = self._run(access=access, deadline=deadline)
        return git(args, run if trace is None else replace(run, env={"GIT_TRACE_PACKET": str(trace)}))

    def _git(self, *args: str) -> str:
        return git(args, self._run())

    def _asked(self, *args: str) -> str | None:
        """The answer of a command that says no by ending with 1."""
        try:
            return self._git(*args)
        except GitFailed as error:
            if error.code != 1:
                raise
            return None

    def _run(self, *, access: Access | None = None, deadline: float = LOCAL) -> Run:
        return Run(cwd=self.path, git_dir=self.path, access=access, deadline=deadline)


class HeldMirror(Mirror):
    """Writing a mirror, while its lock is held. Made by `Mirror.held` only."""

    def __init__(self, path: Path, lock: int) -> None:
        """`lock` is the descriptor of the locked file."""
        super().__init__(path)
        self._lock = lock

    def prepare(self) -> None:
        """Makes the bare repository, or completes one whose making was cut short."""
        run = Run(cwd=self.path.parent, keep_open=(self._lock,))
        git(["init", "--bare", "--quiet", "--template=", str(self.path)], run)

    def set_ref(self, name: str, commit: str | None) -> None:
        """Points a ref of ours at a commit, or removes it (None); both can be repeated."""
        args = ["update-ref", name, commit] if commit is not None else ["update-ref", "-d", name]
        self._git(*args)

    def take_pack(self, pack: IO[bytes], head: str) -> None:
        """Takes the objects of `pack`, so that `head` and all it needs are here.

        Nothing of it is believed: each object is checked as `git fsck` does, and that none is missing. Raises
        PackRefused. Git reads a stream of bytes here, as it would from any server; it starts nothing.
        """
        try:
            if not self.has(head):
                limit = f"--max-input-size={MAX_PACK_BYTES}"
                run = Run(cwd=self.path, git_dir=self.path, stdin=pack, keep_open=(self._lock,))
                git(["index-pack", "--stdin", "--strict", limit], run)
            # Also for a head that is here: an earlier pack may have brought it and then been refused.
            self._git("rev-list", "--objects", "--quiet", head, "--not", "--all")
        except GitFailed as error:
            raise PackRefused(" ".join(error.stderr.split())[:500]) from error

    def write_commit(self, tree: str, parents: Sequence[str], message: str, env: dict[str, str]) -> str:
        """Writes a commit; author, committer and dates are given by `env`. The same values give the same id."""
        args = ["commit-tree", tree, *(part for parent in parents for part in ("-p", parent)), "-F", "-"]
        run = Run(cwd=self.path, git_dir=self.path, env=env, stdin=message.encode(), keep_open=(self._lock,))
        return git(args, run).strip()

    def repack(self, *, keep_all: bool, deadline: float) -> None:
        """Packs everything into one file; what no ref names is dropped unless `keep_all`. Raises GitFailed."""
        for args in (
            ["repack", "-a", "-d", "-q", *(["-k"] if keep_all else [])],
            ["pack-refs", "--all"],
            *([] if keep_all else [["prune", "--expire=now"]]),
        ):
            git(args, self._run(deadline=deadline))

    def clear_leavings(self) -> None:
        """Takes away the lock and temporary files of a git process that was killed here."""
        patterns = ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/??/tmp_obj_*")
        for pattern in patterns:
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)

    def _run(self, *, access: Access | None = None, deadline: float = LOCAL) -> Run:
        run = super()._run(access=access, deadline=deadline)
        return replace(run, keep_open=(self._lock,))


def _take(lock: IO[bytes], path: Path) -> None:
    """Waits for the lock; polling, because the kernel's own wait knows no limit."""
    limit = time.monotonic() + LOCK_LIMIT
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > limit:
                raise MirrorBusy(f"{path} stayed locked for {LOCK_LIMIT:.0f} s") from None
        time.sleep(_LOCK_PAUSE)


@contextmanager
def _marked(lock: IO[bytes], held: HeldMirror) -> Iterator[None]:
    """Marks the mirror as being written to. A mark found there says that the last writer did not come to its end."""
    lock.seek(0)
    if lock.read(1):
        held.clear_leavings()
    else:
        lock.write(b"writing\n")
        lock.flush()
    yield
    lock.truncate(0)


def _batched(printed: bytes) -> Iterator[bytes]:
    """The objects in what `git cat-file --batch` prints: a line "id type size", the bytes, a line end."""
    position = 0
    while position < len(printed):
        end = printed.index(b"\n", position)
        size = int(printed[position:end].rsplit(b" ", 1)[1])
        yield printed[end + 1 : end + 1 + size]
        position = end + size + 2
