"""Doing again what has ended, because an administrator says so."""

from __future__ import annotations

from typing import Any

from peewee import Database

from models import ledger
from models.moves import OPEN, Outcome, State, Verdict
from models.tables import Ask, Job, Thread


class CannotRetry(Exception):
    """The job is not one to be done again now; the message says why."""


def retry(db: Database, job_id: int, by: str, *, now: float, fresh: bool = False) -> int:
    """Queue a new job that goes on where this one stopped, or begins a new session where it is to be `fresh`; its id.
    It is asked for by `by`, and answered to those who asked before. Raises `CannotRetry`; the job must exist.
    """
    with db.atomic():
        job = ledger.job_of(db, job_id)
        _check(db, job)
        thread = Thread.select().where(Thread.id == job.thread_id).get(db)
        asks = ledger.asks_of(db, job_id)
        new = ledger.create(db, _first(job, asks, by, now), thread, job.recipe)
        for ask in asks:
            _say_again(db, ask, new, now, whole=fresh)
        wishes: dict[str, Any] = {"queued_at": now, "base": job.base, "asked_by": by, "fresh": fresh}
        ledger.move(db, new, State.ASKED, State.QUEUED, at=now, reason=f"{by} has job {job_id} done again", **wishes)
        return new


def _check(db: Database, job: Job) -> None:
    if job.state in OPEN:
        raise CannotRetry(f"job {job.id} has not ended yet")
    if job.outcome == Outcome.REFUSED or job.queued_at is None:
        raise CannotRetry(f"job {job.id} was never admitted, so there is nothing to do again")
    other = Job.select(Job.id).where((Job.thread == job.thread_id) & Job.state.in_(OPEN)).first(db)
    if other is not None:
        raise CannotRetry(f"job {other.id} of the same issue waits or runs already")


def _first(job: Job, asks: list[Ask], by: str, now: float) -> Ask:
    """What opens the new job: as the old one was asked for, but now."""
    said_on = asks[-1].said_on if asks else job.said_on
    return Ask(author=by, said_at=now, priority=job.priority, model=job.model, fresh=False, said_on=said_on)


def _say_again(db: Database, ask: Ask, job_id: int, now: float, *, whole: bool) -> None:
    """For the prompt only what the agent has not been told, or all of it (`whole`) for an agent that knows nothing;
    for the answer everybody who asked.
    """
    Ask.insert(
        key=f"{ask.key}:again:{job_id}",
        thread=ask.thread_id,
        job=job_id,
        verb="retry",
        instructions=ask.instructions if whole or ask.told_run is None else "",
        said_on=ask.said_on,
        comment_id=ask.comment_id,
        entry_id=ask.entry_id,
        author_id=ask.author_id,
        author=ask.author,
        may_write=ask.may_write,
        said_at=now,
        verdict=Verdict.ADMITTED,
        reason="done again",
        title=ask.title,
        body=ask.body,
    ).execute(db)
