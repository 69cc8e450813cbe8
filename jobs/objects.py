"""What a push would bring, read from the objects in the clean mirror: nothing of the agent's is run or believed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jobs.git import Run, git_bytes
from jobs.mirror import SERVERS, Mirror
from jobs.work import Change

_BATCH_BYTES: Final = 8 * 1024 * 1024
"""Contents read by one git process; a single larger file comes alone."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands at a path of a commit."""

    mode: int
    id: str


def changed(mirror: Mirror, older: str, newer: str) -> list[Change]:
    """The paths that differ between two commits, renamed ones by both names."""
    printed = _git(mirror, "diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", older, newer)
    return list(_changes(printed.split(b"\0")))


def history(mirror: Mirror, head: str) -> Iterator[tuple[str, list[Change]]]:
    """The commits of `head` that the server has not, each once for each of its parents, with what it changes."""
    fresh = mirror.commits(head, without=SERVERS)
    asked = "".join(f"{commit}\n" for commit in fresh).encode()
    run = Run(cwd=mirror.path, git_dir=mirror.path, stdin=asked)
    args = ["diff-tree", "--stdin", "--root", "-m", "-r", "-z", "--raw", "--no-abbrev", "--no-renames"]
    words = git_bytes(args, run).split(b"\0")
    at = 0
    while at < len(words) and words[at]:
        end = at + 1
        while end < len(words) and words[end].startswith(b":"):
            end += 2
        yield words[at].decode()[:40], list(_changes(words[at + 1 : end]))
        at = end


def new_objects(mirror: Mirror, head: str) -> frozenset[str]:
    """The ids of everything that a push of `head` would bring and the server has not: commits, trees, files."""
    printed = _git(mirror, "rev-list", "--objects", "--no-object-names", head, "--not", *_globs())
    return frozenset(printed.decode().split())


def roots(mirror: Mirror, head: str) -> list[str]:
    """The commits of `head` without a parent that the server has not."""
    return _git(mirror, "rev-list", "--max-parents=0", head, "--not", *_globs()).decode().split()


def listing(mirror: Mirror, commit: str) -> dict[str, Entry]:
    """Every path of a commit."""
    printed = _git(mirror, "ls-tree", "-r", "-z", "--full-tree", commit)
    found = {}
    for line in printed.split(b"\0")[:-1]:
        about, _, path = line.partition(b"\t")
        mode, _, name = about.decode().split(" ")
        found[_text(path)] = Entry(int(mode, 8), name)
    return found


def sizes(mirror: Mirror, ids: Iterable[str]) -> dict[str, int]:
    """Bytes of each object; one that is not there (a submodule's commit) is left out."""
    asked = "".join(f"{name}\n" for name in ids).encode()
    printed = _git(mirror, "cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked)
    pairs = (line.split(" ") for line in printed.decode().splitlines())
    return {name: int(size) for name, size in pairs if size.isdecimal()}


def contents(mirror: Mirror, sized: Mapping[str, int]) -> Iterator[dict[str, bytes]]:
    """The contents of the objects whose sizes are given, a few megabytes at a time."""
    batch: list[str] = []
    weight = 0
    for name, size in sized.items():
        if batch and weight + size > _BATCH_BYTES:
            yield dict(zip(batch, mirror.contents(batch), strict=True))
            batch, weight = [], 0
        batch.append(name)
        weight += size
    if batch:
        yield dict(zip(batch, mirror.contents(batch), strict=True))


def lines(mirror: Mirror, older: str, newer: str) -> dict[str, tuple[int, int]]:
    """Lines added and deleted by path; a binary file counts 0 and 0."""
    printed = _git(mirror, "diff-tree", "-r", "-z", "--no-renames", "--numstat", older, newer)
    counts = [entry.split(b"\t", 2) for entry in printed.split(b"\0") if entry]
    return {
        _text(path): (int(added.replace(b"-", b"0")), int(deleted.replace(b"-", b"0")))
        for added, deleted, path in counts
    }


def first_lines(mirror: Mirror, older: str, newer: str) -> list[tuple[str, str]]:
    """The commits of `newer` that `older` has not, oldest first, each with the first line of its message."""
    printed = _git(mirror, "log", "--reverse", "--format=%H%x09%s", newer, f"^{older}")
    pairs = (line.partition("\t") for line in printed.decode(errors="replace").split("\n") if line)
    return [(commit, line) for commit, _, line in pairs]


def _changes(words: Sequence[bytes]) -> Iterator[Change]:
    """Pairs of `:oldmode newmode oldid newid status` and a path."""
    for about, path in zip(words[::2], words[1::2], strict=False):
        old_mode, new_mode, old_id, new_id, _ = about.decode().removeprefix(":").split(" ")
        yield Change(_text(path), int(old_mode, 8), int(new_mode, 8), old_id, new_id)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _globs() -> list[str]:
    return [f"--glob={name}" for name in SERVERS]


def _git(mirror: Mirror, *args: str, stdin: bytes = b"") -> bytes:
    return git_bytes(list(args), Run(cwd=mirror.path, git_dir=mirror.path, stdin=stdin))
