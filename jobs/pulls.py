"""Whose pull request it is, and whether its branch may be worked on.

A pull request of ours belongs to the thread of the issue it came from. One of somebody else's is a thread of its own,
and its work goes to its own branch: only in the same repository, and never to the default branch.
"""

from __future__ import annotations

import re

from jobs import sentences
from jobs.servers import Forge
from jobs.wiring import Wiring
from models import closing, store
from models.intake import Look
from models.tables import Thread
from models.wire import PullRequest

_OURS = re.compile(r"kugetsu/issue-([1-9][0-9]{0,9})")


def pull_of(thread: Thread) -> int | None:
    """The pull request on which this thread works now."""
    return thread.issue if thread.is_pull else thread.pull


def numbers_of(thread: Thread) -> list[int]:
    """Where people talk on this thread: on the issue, and on the pull request that came from it."""
    return list(dict.fromkeys(number for number in (thread.issue, thread.pull) if number is not None))


def forget(wiring: Wiring, thread: Thread) -> None:
    """Somebody has deleted the pull request that came from this issue: the next work opens another one."""
    if thread.pull is not None:
        closing.lose_pull(wiring.db, thread.id, thread.pull)
    thread.pull = None


def base_of(forge: Forge, thread: Thread) -> str:
    """The branch that the thread's work is meant for."""
    if thread.is_pull:
        return forge.gitea.pull(thread.repo.name, thread.issue).base.ref
    return forge.default_branch(thread.repo.name)


def send_home(wiring: Wiring, forge: Forge, thread: Thread) -> bool:
    """Move what was said on a pull request of ours to the thread of its issue; False where that is not what it is.

    Usually the table knows and nothing comes here: but somebody can be faster than the worker that opened it.
    """
    issue = _issue_of(forge, thread) if thread.is_pull else None
    if issue is None:
        return False
    look = Look(thread.repo.name, issue, is_pull=False)
    home = store.thread_of(wiring.db, thread.server, look, now=wiring.clock())
    unknown = (Thread.id == home.id) & Thread.pull.is_null()
    Thread.update(pull=thread.issue).where(unknown).execute(wiring.db)
    closing.move_asks(wiring.db, thread, home)
    return True


def _issue_of(forge: Forge, thread: Thread) -> int | None:
    """The issue from which we made this pull request, by its branch; None where it is not ours, or not open."""
    pull = forge.gitea.pull(thread.repo.name, thread.issue)
    found = _OURS.fullmatch(pull.head.ref)
    ours = pull.user.id == forge.bot.id and pull.head.repo_id == pull.base.repo_id and pull.state == "open"
    return int(found[1]) if found and ours else None


def refusal(wiring: Wiring, forge: Forge, thread: Thread) -> str | None:
    """Why the branch of this pull request is not worked on, or None, which notes the branch."""
    pull = forge.gitea.pull(thread.repo.name, thread.issue)
    if pull.state != "open":
        return sentences.pull_closed()
    if _is_foreign(pull):
        return sentences.pull_of_fork()
    if pull.head.ref == forge.default_branch(thread.repo.name):
        return sentences.pull_from_default(pull.head.ref)
    mine = Thread.id == thread.id
    Thread.update(branch=pull.head.ref, pull=thread.issue).where(mine).execute(wiring.db)
    thread.branch, thread.pull = pull.head.ref, thread.issue
    return None


def _is_foreign(pull: PullRequest) -> bool:
    """From a fork, or made without a branch (AGit), which Gitea shows as one of the repository's own."""
    return pull.head.repo_id != pull.base.repo_id or pull.head.ref.startswith("refs/")
