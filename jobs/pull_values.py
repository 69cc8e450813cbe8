"""A pull request in figures and names, for the prompt. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One path, what was done to it, and how many lines."""

    path: str
    how: str
    added: int
    deleted: int


@dataclass(frozen=True, slots=True)
class PullContext:
    """A pull request in figures and names. `commits` are (short hash, first line), oldest first; without their words
    where the branch is a stranger's. The totals count all, the lists only so many.
    """

    state: str
    base: str
    head: str
    files: tuple[ChangedFile, ...]
    commits: tuple[tuple[str, str], ...]
    all_files: int
    all_commits: int
    added: int
    deleted: int
