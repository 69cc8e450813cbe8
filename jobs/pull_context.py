"""What the agent is told of a pull request: read from the mirror and the forge, as it stands where the work begins."""

from __future__ import annotations

from typing import Final

from jobs import objects
from jobs.mirror import Mirror
from jobs.pull_values import ChangedFile, PullContext
from jobs.work import ABSENT
from models.wire import PullRequest

MOST_FILES: Final = 100
MOST_COMMITS: Final = 50


def context(mirror: Mirror, pull: PullRequest, fork: str, head: str, *, stranger: bool) -> PullContext:
    """Of the commits between `fork` and `head`, both in the mirror."""
    kinds = {change.path: _kind(change.old_mode, change.new_mode) for change in objects.changed(mirror, fork, head)}
    counted = objects.lines(mirror, fork, head)
    files = [ChangedFile(path, kind, *counted.get(path, (0, 0))) for path, kind in sorted(kinds.items())]
    commits = objects.first_lines(mirror, fork, head)
    shown = [(commit[:10], "" if stranger else line) for commit, line in commits[-MOST_COMMITS:]]
    return PullContext(
        state="merged" if pull.merged else ("draft" if pull.draft else pull.state),
        base=pull.base.ref,
        head=pull.head.ref,
        files=tuple(files[:MOST_FILES]),
        commits=tuple(shown),
        all_files=len(files),
        all_commits=len(commits),
        added=sum(file.added for file in files),
        deleted=sum(file.deleted for file in files),
    )


def _kind(old_mode: int, new_mode: int) -> str:
    if old_mode == ABSENT:
        return "added"
    return "deleted" if new_mode == ABSENT else "modified"
