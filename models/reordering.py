"""Changing the priority of a job that waits."""

from __future__ import annotations

from peewee import Database

from models import ledger
from models.moves import State
from models.tables import Job, Move

WORDS = {-1: "low", 0: "normal", 1: "high"}


def set_priority(db: Database, job_id: int, priority: int, by: str, *, now: float) -> bool:
    """Give a job that has not started this priority (-1, 0, 1), and say so in its log. False, and nothing changed,
    where it does not wait any more.
    """
    waits = (Job.id == job_id) & Job.state.in_((State.ASKED, State.QUEUED))
    with db.atomic():
        state = Job.select(Job.state).where(waits).scalar(db)
        if state is None or Job.update(priority=priority).where(waits).execute(db) == 0:
            return False
        reason = f"{by} gave it {WORDS[priority]} priority"
        Move.insert(job=job_id, at=now, source=state, target=state, reason=reason).execute(db)
        ledger.want_report(db, job_id)
        return True
