"""Sealing: the agent's commits are made over into the bot's, each saying which job it came from.

Whatever name, date format, signature or header the agent put into a commit, what is pushed has the bot as author and
committer and a `Kugetsu-Job` trailer; contents, order, message and times stay. The same commits sealed for the same job
give the same ids, so sealing can be repeated after a kill. A commit is taken for sealed, or for the server's, only
because a ref of the mirror holds it, never for what it says about itself.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from jobs.inside import Identity
from jobs.mirror import SERVERS, HeldMirror, Mirror

MAX_COMMITS: Final = 500
"""Commits of one job. Each costs a git process; more is no work of one job but a rewritten history."""

TRAILER: Final = "Kugetsu-Job"
_MAX_MESSAGE: Final = 60_000
_CLAIM: Final = re.compile(
    r"(?:kugetsu-job|(?:signed-off|co-authored|authored|co-developed|committed|reviewed|acked|tested|approved)-by|on-behalf-of)\s*:",
    re.IGNORECASE,
)
"""Lines by which a commit claims a job, or that somebody made or approved it: none of that is the agent's to say."""

_TRAILER_LINE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*: \S")


class TooManyCommits(Exception):
    """More new commits than can be sealed; the text says how many."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Who the commits shall be by, and what they came from."""

    identity: Identity
    job: str
    words: Callable[[str], str] = str
    """What becomes of each commit's message before the trailer is put under it."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What sealing keeps of a commit; the times as git stores them, `1700000000 +0200`."""

    tree: str
    parents: tuple[str, ...]
    authored: str
    committed: str
    message: str


def seal(mirror: HeldMirror, head: str, seal: Seal) -> str:
    """Seals every commit of `head` that is not the server's or sealed already; gives the new head.

    Raises TooManyCommits.
    """
    fresh = unsealed(mirror, head)
    if len(fresh) > MAX_COMMITS:
        raise TooManyCommits(f"{len(fresh)} commits, at most {MAX_COMMITS} are taken from one job")
    sealed: dict[str, str] = {}
    for name, raw in zip(fresh, mirror.contents(fresh), strict=True):
        sealed[name] = _write(mirror, read_commit(raw), sealed, seal)
    return sealed.get(head, head)


def join(mirror: HeldMirror, head: str, older: str, seal: Seal) -> str:
    """A merge of `head` and `older` with the contents of `head`.

    For an agent that amended or rebased what had been pushed: the branch can go forward to it without force.
    """
    (raw,) = mirror.contents([head])
    commit = read_commit(raw)
    message = "Join the rewritten commits with those already on the branch"
    joined = Commit(commit.tree, (older, head), commit.committed, commit.committed, message)
    return _write(mirror, joined, {}, seal)


def unsealed(mirror: Mirror, head: str) -> list[str]:
    """The commits of `head` that neither the server nor a seal vouches for, parents first."""
    return mirror.commits(head, without=(*SERVERS, "refs/kugetsu/sealed"))


def read_commit(raw: bytes) -> Commit:
    """Reads a commit object (the format: git's `Documentation/gitformat-*` and `commit.c`)."""
    head, _, body = raw.partition(b"\n\n")
    fields = [line.split(" ", 1) for line in head.decode("utf-8", "replace").splitlines() if " " in line]
    # Continued lines (of signatures) begin with a space, so they give an empty name.
    first = {name: value for name, value in reversed(fields) if name}
    return Commit(
        tree=first["tree"],
        parents=tuple(value for name, value in fields if name == "parent"),
        authored=_time(first["author"]),
        committed=_time(first["committer"]),
        message=_decoded(body, first.get("encoding", "utf-8")),
    )


def with_trailer(message: str, job: str) -> str:
    """The message with the one trailer naming the job; any other claim, to a job or to be somebody's, is taken out."""
    kept = [line.rstrip() for line in message.replace("\0", "")[:_MAX_MESSAGE].splitlines()]
    kept = [line for line in kept if not _CLAIM.match(line.lstrip())]
    paragraphs = "\n".join(kept).strip("\n") or "Changes"
    last = paragraphs.split("\n\n")[1:][-1:]
    joins_block = bool(last) and all(_TRAILER_LINE.match(line) for line in last[0].splitlines())
    return f"{paragraphs}{chr(10) if joins_block else chr(10) * 2}{TRAILER}: {job}\n"


def _write(mirror: HeldMirror, commit: Commit, sealed: Mapping[str, str], seal: Seal) -> str:
    parents = [sealed.get(parent, parent) for parent in commit.parents]
    env = {
        "GIT_AUTHOR_NAME": seal.identity.name,
        "GIT_AUTHOR_EMAIL": seal.identity.email,
        "GIT_AUTHOR_DATE": f"@{commit.authored}",
        "GIT_COMMITTER_NAME": seal.identity.name,
        "GIT_COMMITTER_EMAIL": seal.identity.email,
        "GIT_COMMITTER_DATE": f"@{commit.committed}",
    }
    return mirror.write_commit(commit.tree, parents, with_trailer(seal.words(commit.message), seal.job), env)


def _time(person: str) -> str:
    return " ".join(person.rsplit(" ", 2)[1:])


def _decoded(text: bytes, encoding: str) -> str:
    try:
        return text.decode(encoding)
    except (LookupError, UnicodeDecodeError):
        return text.decode("utf-8", "replace")
