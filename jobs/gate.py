"""The gate before a push: what an agent's work must not bring. Pure; what the work is, `jobs.inspection` reads.

A rule that has the name of a key is closed unless the default branch's `.kugetsu.toml` opens it; the others stay closed
for everybody, and a person may push such a change by hand.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from jobs.globs import matches
from jobs.guarded import is_ci, is_tool_setup
from jobs.work import SUBMODULE, Change, Work
from models.repofile import RepoFile

_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Closed:
    """A gate that closes: which `rule`, the `path` (or commit) that it closes for, and why as the end of a sentence."""

    rule: str
    path: str
    why: str

    def __str__(self) -> str:
        return f"`{shown(self.path)}` {self.why} (rule `{shown(self.rule)}`)"


def check(work: Work, file: RepoFile) -> list[Closed]:
    """Everything that closes the gate, the gravest first; `file` is what the default branch says."""
    return [*_of_history(work), *_of_secrets(work, file), *_of_paths(work, file), *_of_size(work)]


def _of_history(work: Work) -> Iterator[Closed]:
    for commit in work.rootless:
        yield Closed("history", commit, "does not descend from anything that the repository has")
    for commit in work.disguised:
        yield Closed("identity", commit, "claims to be by somebody else than the bot")


def _of_secrets(work: Work, file: RepoFile) -> Iterator[Closed]:
    for found in work.findings:
        if found.known:
            yield Closed("secrets", found.path, "would hold a secret of this service")
        elif not any(matches(glob, found.path) for glob in file.allow_secrets_in):
            yield Closed("allow_secrets_in", found.path, f"would hold what looks like a secret: {found.kind}")


def _of_paths(work: Work, file: RepoFile) -> Iterator[Closed]:
    for path in work.leaving:
        yield Closed("links", path, "is a link that leads out of the repository")
    for path in work.colliding:
        yield Closed("names", path, "differs from another path only by case or by how its letters are written")
    for change in sorted(work.changes, key=lambda change: change.path):
        yield from _of_path(change, work, file)


def _of_path(change: Change, work: Work, file: RepoFile) -> Iterator[Closed]:
    path = change.path
    if change.new_mode and (problem := unfit(path)):
        yield Closed("names", path, problem)
    if SUBMODULE in (change.old_mode, change.new_mode) or path.casefold() == ".gitmodules":
        if not file.allow_config_changes:
            yield Closed("allow_config_changes", path, "would change a submodule")
    elif is_ci(path) and not file.allow_workflow_changes:
        yield Closed("allow_workflow_changes", path, "is an order to the server that builds this repository")
    elif (is_tool_setup(path) or path in work.filters) and not file.allow_config_changes:
        yield Closed("allow_config_changes", path, "sets up agents, editors or git for whoever checks this out")
    for glob in file.forbidden:
        if matches(glob, path):
            yield Closed(f'forbidden = "{glob}"', path, "is not to be changed by an agent")
            break


def _of_size(work: Work) -> Iterator[Closed]:
    limits, total = work.limits, sum(size for _, size in work.sizes)
    for path, size in work.sizes:
        if size > limits.file:
            yield Closed("size", path, f"has {_megabytes(size)}; at most {_megabytes(limits.file)} are pushed")
    if total > limits.total:
        path = max(work.sizes, key=lambda each: each[1])[0]
        yield Closed("size", path, f"is the largest of {_megabytes(total)}; {_megabytes(limits.total)} are the most")
    if len(work.changes) > limits.files:
        path = min(change.path for change in work.changes)
        yield Closed("count", path, f"is one of {len(work.changes):,} changed files; {limits.files:,} are the most")


def unfit(path: str) -> str:
    """What is wrong with a name, as the end of a sentence; empty where nothing is."""
    if any(0xDC80 <= ord(sign) <= 0xDCFF for sign in path):  # noqa: PLR2004 - how Python marks bytes that are no UTF-8
        return "has a name that is not UTF-8"
    if any(unicodedata.category(sign) in {"Cc", "Cf", "Zl", "Zp"} for sign in path):
        return "has a name with characters that cannot be seen"
    if "\\" in path:
        return "has a name with a backslash, which parts folders on other systems"
    if any(_is_git_folder(part) for part in path.split("/")):
        return "has a name that some systems take for git's own folder"
    return ""


def _is_git_folder(part: str) -> bool:
    """`.git` as Windows and macOS may read it; git itself refuses most of them when it takes the commits."""
    bare = unicodedata.normalize("NFKC", part).casefold().partition(":")[0].rstrip(". ")
    return bare in {".git", "git~1"}


def folded(path: str) -> str:
    """The name under which disks without regard to case, or to how letters are composed, would keep it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def shown(path: str) -> str:
    """A path as code in a sentence, whatever it holds."""
    plain = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in path[:_SHOWN]).replace("`", "'")
    return plain if len(path) <= _SHOWN else f"{plain}…"


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MiB"
