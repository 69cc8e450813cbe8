"""The labels that set the priority: `priority/high` and `priority/low` on the issue. An option outranks them."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.wiring import Wiring
from models import ledger
from models.intake import PRIORITIES, PRIORITY_SCOPE
from models.moves import State
from models.tables import Ask, Job, Thread


def named(labels: Iterable[str]) -> int:
    """The priority that `labels` set; the higher where somebody has put on both, 0 where none does."""
    known = {f"{PRIORITY_SCOPE}{priority}": number for priority, number in PRIORITIES.items()}
    return max((known[label] for label in labels if label in known), default=0)


def follow(wiring: Wiring, thread: Thread, labels: Iterable[str]) -> None:
    """Give what waits on this issue the priority that its labels set now."""
    by_option = Ask.select(Ask.job).where(
        (Ask.thread == thread.id) & Ask.priority.is_null(False) & Ask.job.is_null(False)
    )
    mine = (Job.thread == thread.id) & (Job.state == State.QUEUED) & Job.id.not_in(by_option)
    priority = named(labels)
    moved = Job.update(priority=priority).where(mine & (Job.priority != priority)).returning(Job.id)
    for job in list(moved.execute(wiring.db)):
        ledger.want_report(wiring.db, job.id)
