"""Git work that reads what the agent can write, and so is done where the agent is: inside its sandbox.

Two short scripts go in, one line and one pack file come out. All of it is the agent's word: the line is checked for its
form here, the pack by git in the mirror. Nothing the agent planted in its repository can run anywhere but in there.
"""

import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from jobs.place import Place

CompletedText = subprocess.CompletedProcess[str]

RunInside = Callable[[Place, Path, Sequence[str], float], CompletedText]
"""Runs a command in the sandbox of a place, the mirror readable there: place, mirror, argv, seconds.
When the seconds are over it ends the sandbox and raises `subprocess.TimeoutExpired`."""

DEADLINE: Final = 300.0
MAX_PACK_BYTES: Final = 512 * 1024 * 1024
_PACK: Final = "kugetsu.pack"
_MAX_MESSAGE: Final = 16_000

_SIGNALS: Final = 128
"""A shell ends with this and the signal's number where its command was killed; git itself ends with 128 at most
(and with 129 for wrong usage, which is none of the agent's doing)."""

_NO_ROOM: Final = re.compile(r"No space left on device|Disk quota exceeded")

_ENVIRONMENT: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C.UTF-8",
}
_SETTINGS: Final = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.editor": "true",
    "commit.gpgSign": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.addEmbeddedRepo": "false",
    "safe.directory": "*",
}

# GIT_DIR is named outright: the tree's own .git file is the agent's to change. Locks and drafts of objects are a killed
# git's leavings, for nothing else runs in the place.
_PREAMBLE: Final = """\
set -eu
command -v git >/dev/null
echo inside
repo=$1 tree=$2
shift 2
export GIT_DIR="$repo/worktrees/tree" GIT_WORK_TREE="$tree"
cd "$tree"
rm -f "$GIT_DIR"/*.lock "$repo"/*.lock "$repo/kugetsu.pack"
find "$repo/refs" -name '*.lock' -type f -exec rm -f {} +
find "$repo/objects" -name 'tmp_*' -type f -exec rm -f {} +
"""

# An unfinished merge is concluded even where its tree is the old one: its second parent is work too.
_TAKE: Final = (
    _PREAMBLE
    + """\
message=$1
shift
state=clean
if [ -n "$message" ]; then
    git add -A
    if [ -e "$GIT_DIR/MERGE_HEAD" ] || [ "$(git write-tree)" != "$(git rev-parse 'HEAD^{tree}')" ]; then
        git commit --quiet --no-verify --allow-empty -m "$message"
    fi
elif [ -n "$(git status --porcelain)" ]; then
    state=dirty
fi
head=$(git rev-parse --verify 'HEAD^{commit}')
{
    echo "$head"
    for known; do echo "^$known"; done
} | git pack-objects -q --revs --stdout >"$repo/kugetsu.pack"
echo "$head $state"
"""
)

# The tree goes first and the refs last: killed in between, the branch still names what was there.
_PUT: Final = (
    _PREAMBLE
    + """\
branch=$1 commit=$2 how=$3
cd "$GIT_DIR"
rm -rf rebase-merge rebase-apply sequencer
rm -f MERGE_HEAD MERGE_MODE MERGE_MSG SQUASH_MSG AUTO_MERGE CHERRY_PICK_HEAD REVERT_HEAD BISECT_LOG
cd "$tree"
case $how in
    replace) git read-tree --reset -u "$commit" ;;
    carry) git update-index -q --refresh || true; git read-tree -m -u HEAD "$commit" ;;
esac
git update-ref "refs/heads/$branch" "$commit"
git symbolic-ref HEAD "refs/heads/$branch"
"""
)

How = Literal["replace", "carry", "refs"]
"""What a `put` does to files: set them to the commit's; carry local changes over to it (or fail, changing nothing);
leave them alone."""


class InsideFailed(Exception):
    """Git could not do what was asked in this place; the text is its own complaint."""


class InsideStopped(Exception):
    """Git inside the sandbox did not start or finish: killed, out of time, no room on the disk, no sandbox.

    This says nothing about the place, and may pass.
    """


@dataclass(frozen=True, slots=True)
class Taken:
    """What a place holds, by the agent's word."""

    head: str
    dirty: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a commit is by."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Inside:
    """Git inside the sandbox of one place. `mirror` is the repository its objects are borrowed from."""

    run: RunInside
    place: Place
    mirror: Path

    def look(self, known: Sequence[str]) -> Taken:
        """The head of the place and whether something is uncommitted; nothing is changed.

        Leaves the commits not reachable from `known` in a pack file, see `pack`. Raises InsideFailed.
        """
        return self._take("", known, Identity("", ""))

    def commit(self, message: str, known: Sequence[str], author: Identity) -> Taken:
        """As `look`, after everything uncommitted has been committed."""
        text = message.replace("\0", "").strip()[:_MAX_MESSAGE] or "Changes"
        return self._take(text, known, author)

    def put(self, branch: str, commit: str, how: How) -> None:
        """Sets the place's branch to `commit`, which the mirror must hold. Can be repeated. Raises InsideFailed."""
        self._script(_PUT, [branch, commit, how])

    def do(self, script: str, *args: str) -> str:
        """Runs a shell script in the tree; gives what it prints. `$repo` is the place's repository, git means the tree.

        Raises InsideFailed where it does not end with 0.
        """
        return self._script(_PREAMBLE + script, args)

    def read(self, name: str, most: int) -> str:
        """The first bytes of a file in the place's repository, by the agent's word; empty where there is none."""
        try:
            with _plain_file(self.place.repo, name) as file:
                return file.read(most).decode(errors="replace")
        except (OSError, InsideFailed):
            return ""

    @contextmanager
    def pack(self) -> Iterator[IO[bytes]]:
        """The pack file the last `look` or `commit` left. Raises InsideFailed where it is no plain file."""
        try:
            with _plain_file(self.place.repo, _PACK) as file:
                yield file
        except OSError as error:
            raise InsideFailed(f"the packed commits cannot be read: {error.strerror}") from error

    def _take(self, message: str, known: Sequence[str], author: Identity) -> Taken:
        printed = self._script(_TAKE, [message, *known], author)
        match = re.fullmatch(r"([0-9a-f]{40}|[0-9a-f]{64}) (clean|dirty)", printed.strip())
        if match is None:
            raise InsideFailed("git gave no commit for the head of the worktree")
        return Taken(head=match[1], dirty=match[2] == "dirty")

    def _script(self, script: str, args: Sequence[str], author: Identity | None = None) -> str:
        paths = [str(self.place.repo), str(self.place.tree)]
        argv = ["env", *_assignments(author), "sh", "-c", script, "kugetsu", *paths, *args]
        try:
            done = self.run(self.place, self.mirror, argv, DEADLINE)
        except subprocess.TimeoutExpired as error:
            raise InsideStopped(f"git did not finish within {DEADLINE:.0f} s") from error
        started, _, answer = done.stdout.partition("inside\n")
        killed = done.returncode < 0 or done.returncode > _SIGNALS
        if started or done.stdout == "" or killed or _NO_ROOM.search(done.stderr):
            raise InsideStopped(_complaint(done))
        if done.returncode != 0:
            raise InsideFailed(_complaint(done))
        return answer


def _assignments(author: Identity | None) -> list[str]:
    env = dict(_ENVIRONMENT)
    if author is not None and author.name:
        for who in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{who}_NAME": author.name, f"GIT_{who}_EMAIL": author.email}
    env["GIT_CONFIG_COUNT"] = str(len(_SETTINGS))
    for number, (key, value) in enumerate(_SETTINGS.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return [f"{name}={value}" for name, value in env.items()]


def _complaint(done: CompletedText) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    named = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines[-1:]
    return "; ".join(named)[:500] or f"git ended with {done.returncode}"


def _plain_file(folder: Path, name: str) -> IO[bytes]:
    """Opens a file of the agent's, following no link and waiting for no pipe: it may be anything by now."""
    inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=inside)
    finally:
        os.close(inside)
    kind = os.fstat(number)
    if stat.S_ISREG(kind.st_mode) and kind.st_size <= MAX_PACK_BYTES:
        return os.fdopen(number, "rb")
    os.close(number)
    raise InsideFailed(f"the new commits make {kind.st_size} bytes; {MAX_PACK_BYTES} at most can be taken")
