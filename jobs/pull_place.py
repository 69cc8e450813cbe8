"""The place in which a pull request is read: its head checked out, wherever its branch lies, and nothing taken back.

It is the thread's second place, so a branch under work is never disturbed by a look at it.
"""

import logging
from typing import Final

from jobs import checkout, remote
from jobs.git import Access
from jobs.inside import InsideFailed
from jobs.mirror import HeldMirror, Mirror
from jobs.remote import ServerRefused
from jobs.standing import Target, WorkspaceRefused
from jobs.workspace import Opened, Workspace, fetch

READING: Final = "reading"
"""The purpose of such a place."""

log: Final = logging.getLogger(__name__)


def open_pull(workspace: Workspace, target: Target, head: str | None = None) -> Opened:
    """Sets the place of `target` to the newest commit of the pull request that is its `issue`, or to `head`, one that
    was its newest before; `target.base` is the branch that the pull request goes to. Files that git does not know stay.
    Raises as `Workspace.open` does.
    """
    mirror, place = Mirror(workspace.mirror(target)), workspace.place(target)
    with mirror.held() as held:
        fetch(held, target)
        newest = _head(held, target)
    head = head if head is not None and mirror.has(head) else newest
    fork = _fork(mirror, target, head)
    checkout.settle(place)
    if checkout.is_whole(place):
        checkout.furnish(place)
        try:
            workspace.inside(target).put(target.branch, head, "replace")
            return Opened(place, fork, head, new=False)
        except InsideFailed as error:
            log.warning("%s is unusable and made anew: %s", place.root, error)
    checkout.set_aside(place)
    checkout.make(place, mirror.path, target.branch, head)
    checkout.settle(place)
    checkout.furnish(place)
    return Opened(place, fork, head, new=True)


def _head(held: HeldMirror, target: Target) -> str:
    """Gitea keeps the head of every pull request, also of one from a fork, under this name."""
    ours = f"refs/kugetsu/pulls/{target.issue}"
    try:
        remote.fetch_ref(held, Access(target.clone_url, target.token), f"refs/pull/{target.issue}/head", ours)
    except ServerRefused as error:
        raise WorkspaceRefused(f"The pull request #{target.issue} could not be read: {error}.") from error
    return held.refs(ours)[ours]


def _fork(mirror: Mirror, target: Target, head: str) -> str:
    ref = f"refs/heads/{target.base}"
    base = mirror.refs(ref).get(ref)
    if base is None:
        raise WorkspaceRefused(f"{target.repo} has no branch {target.base} any more, which the pull request goes to.")
    fork = mirror.merge_base(base, head)
    if fork is None:
        raise WorkspaceRefused(f"The pull request has no history in common with {target.base}.")
    return fork
