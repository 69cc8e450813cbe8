"""Closing an issue, merging its pull request, and what that means for its thread."""

from __future__ import annotations

from typing import Any

from peewee import Database, fn

from models import ledger
from models.gathering import gather
from models.moves import State, Verdict
from models.tables import Ask, Job, Thread

CLOSED, MERGED = "closed", "merged"
"""The verbs of asks that nobody typed: somebody closed the issue or the pull request, or merged it."""

CANCEL = "cancel"
"""The verb of one that somebody did."""


def asked_before(db: Database, thread_id: int, ask: Ask) -> list[Job]:
    """The thread's jobs that were admitted, have not ended, and hold nothing that was said after `ask`: what is asked
    for on a closed issue is wanted.
    """
    later = Ask.alias()
    newer = later.select(later.id).where(
        (later.job == Job.id) & (later.verdict == Verdict.ADMITTED) & (later.entry_id > ask.entry_id)
    )
    mine = (Job.thread == thread_id) & Job.state.in_([State.QUEUED, State.RUNNING])
    return list(Job.select().where(mine & ~fn.EXISTS(newer)).order_by(Job.id).execute(db))


def ended_since(db: Database, ask: Ask) -> Ask | None:
    """What has ended all that was asked for on the thread, and was said after `ask`, which came to be known later. Who
    edits a comment says it again: its time is later then, and its number is not.
    """
    ends = Ask.verb.in_([CANCEL, CLOSED, MERGED]) & (Ask.verdict == Verdict.ANSWERED)
    later = (Ask.entry_id > ask.entry_id) & (Ask.said_at >= ask.said_at)
    found: Ask | None = (
        Ask.select().where((Ask.thread == ask.thread_id) & ends & later).order_by(Ask.id.desc()).first(db)
    )
    return found


def end(db: Database, thread: Thread, pull: int, *, spent: str) -> None:
    """The conversation is over: `pull`, its pull request, was merged with the commit `spent`. Nothing changes where the
    thread works on another one by now. Where the pull request has a thread of its own, of reviews, that is over too.
    """
    mine = (Thread.id == thread.id) & ((Thread.pull == pull) | Thread.is_pull)
    own = (Thread.repo == thread.repo_id) & (Thread.issue == pull) & (Thread.id != thread.id)
    with db.atomic():
        Thread.update(pull=None, over=True, spent_sha=spent).where(mine).execute(db)
        Thread.update(over=True, desk_wanted=Thread.desk_wanted + 1).where(own).execute(db)


def lose_pull(db: Database, thread_id: int, pull: int) -> None:
    """There is no such pull request any more: the thread's next work gets another."""
    Thread.update(pull=None).where((Thread.id == thread_id) & (Thread.pull == pull)).execute(db)


def give_up(db: Database, thread_id: int, *, now: float, reason: str) -> list[int]:
    """Nothing can be told any more where this thread is: end its jobs and asks. Gives the jobs that are done with it;
    one that runs is cancelled, and is done with when its agent has ended.
    """
    mine = (Job.thread == thread_id) & (Job.state != State.DONE)
    ended = []
    with db.atomic():
        undecided = (Ask.thread == thread_id) & Ask.verdict.is_null()
        Ask.update(verdict=Verdict.WITHDRAWN, reason=reason).where(undecided).execute(db)
        for job in list(Job.select(Job.id).where(mine).order_by(Job.id).execute(db)):
            ledger.request_cancel(db, job.id, "", now=now, why=reason)
            if ledger.move(db, job.id, State.REPORTING, State.DONE, at=now, reason=reason):
                ended.append(int(job.id))
        Job.update(report_seen=Job.report_wanted).where(Job.thread == thread_id).execute(db)
        seen = {"look_seen": Thread.look_wanted, "desk_seen": Thread.desk_wanted, "reviews_from": None}
        Thread.update(**seen).where(Thread.id == thread_id).execute(db)
    return ended


def begin_anew(db: Database, thread_id: int) -> None:
    """Nothing is left of a conversation that was over: the next one starts like the first."""
    Thread.update(session=None, pull_session=None, told_until=0, over=False).where(
        (Thread.id == thread_id) & Thread.over
    ).execute(db)


def is_running(db: Database, thread_id: int) -> bool:
    """Whether a job of this thread runs, so that its place is in use."""
    return bool(Job.select().where((Job.thread == thread_id) & (Job.state == State.RUNNING)).exists(db))


def move_asks(db: Database, source: Thread, target: Thread) -> None:
    """What was said on `source` and not decided yet belongs to `target`, but for reviews; so does what `source` was to
    be looked at for.
    """
    with db.atomic():
        for ask in _undecided(db, source):
            empty = ask.job_id
            Ask.update(thread=target.id, job=None).where(Ask.id == ask.id).execute(db)
            if empty is not None:
                gather(db, ask, target)
                _drop(db, empty)
        raised: dict[str, Any] = {"desk_wanted": Thread.desk_wanted + 1, "look_wanted": Thread.look_wanted + 1}
        if source.reviews_from is not None:
            raised["reviews_from"] = source.reviews_from
        Thread.update(**raised).where(Thread.id == target.id).execute(db)


def _undecided(db: Database, thread: Thread) -> list[Ask]:
    mine = (Ask.thread == thread.id) & Ask.verdict.is_null() & ~Ask.verb.startswith("review")
    return list(Ask.select().where(mine).order_by(Ask.id).execute(db))


def _drop(db: Database, job_id: int) -> None:
    """Take away a job that was never begun and that nobody asks for any more."""
    asked = Ask.select().where(Ask.job == job_id)
    if not asked.exists(db):
        Job.delete().where((Job.id == job_id) & (Job.state == State.ASKED)).execute(db)
