"""What the desk has to see to: threads with something new, one desk worker a thread at a time.

Only who holds a thread's lease writes to that issue on Gitea, so nothing is written twice or out of order.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from peewee import Case, Database, Expression, ModelSelect, fn

from models import ledger, tally
from models.gathering import gather
from models.moves import Outcome, State, Verdict
from models.tables import Ask, Job, Repo, Thread


def take_thread(
    db: Database,
    worker: str,
    *,
    now: float,
    lease: float,
    but_of: Collection[str] = (),
    delivering_none_of: Collection[str] = (),
) -> Thread | None:
    """Take the next thread with something to see to, or None: urgent ones first, put off ones last, and else the one
    that was seen to longest ago. `lease` is in seconds; none of the servers `but_of` is taken, and of those
    `delivering_none_of` none that has work to be delivered.
    """
    order = (Thread.urgent.desc(), Thread.desk_not_before, Thread.updated_at, Thread.id)
    due = _due(now)
    if but_of:
        due &= Thread.server.not_in(list(but_of))
    if delivering_none_of:
        due &= Thread.server.not_in(list(delivering_none_of)) | ~fn.EXISTS(_brought(Thread.id))
    chosen = Thread.select(Thread.id).where(due).order_by(*order).limit(1)
    if db.for_update:
        chosen = chosen.for_update(skip_locked=True)
    lent = {"desk_worker": worker, "desk_lease_until": now + lease, "desk_epoch": Thread.desk_epoch + 1}
    with db.atomic():
        query = Thread.update(**lent).where(Thread.id == chosen)
        taken = list(query.returning(Thread.id).execute(db))
        return load(db, taken[0].id) if taken else None


def delivers(db: Database, thread_id: int) -> bool:
    """Whether the thread has work that is to be pushed."""
    return bool(_brought(thread_id).exists(db))


def _brought(thread_id: object) -> ModelSelect[Job]:
    return Job.select(Job.id).where((Job.thread == thread_id) & (Job.state == State.REPORTING) & Job.changed)


def _due(now: float) -> Expression:
    free = Thread.desk_lease_until.is_null() | (Thread.desk_lease_until < now)
    due: Expression = (Thread.desk_wanted > Thread.desk_seen) & (Thread.desk_not_before <= now) & free
    return due


def any_due(db: Database, *, now: float) -> bool:
    """Whether a thread waits for the desk."""
    return bool(Thread.select().where(_due(now)).exists(db))


def load(db: Database, thread_id: int) -> Thread:
    """The thread with its repository."""
    thread: Thread = Thread.select(Thread, Repo).join(Repo).where(Thread.id == thread_id).get(db)
    return thread


def renew_thread(db: Database, thread_id: int, worker: str, *, until: float) -> bool:
    """Keep a thread's lease; False where it was taken away."""
    query = Thread.update(desk_lease_until=until).where((Thread.id == thread_id) & (Thread.desk_worker == worker))
    return bool(query.execute(db))


def thread_done(db: Database, thread: Thread, *, now: float) -> None:
    """Give the thread back: all that was wanted when it was taken has been seen to. Nothing changes, here and in
    `thread_failed`, where the lease has lapsed and somebody else has taken it.
    """
    Thread.update(
        desk_seen=thread.desk_wanted,
        urgent=Case(None, ((Thread.desk_wanted > thread.desk_wanted, Thread.urgent),), False),
        desk_worker=None,
        desk_lease_until=None,
        desk_not_before=0.0,
        desk_failures=0,
        desk_problem="",
        updated_at=now,
    ).where(_held(thread)).execute(db)


def thread_failed(db: Database, thread: Thread, *, problem: str, not_before: float) -> None:
    """Give the thread back with its work undone, to be tried again at `not_before`."""
    query = Thread.update(
        desk_worker=None,
        desk_lease_until=None,
        desk_not_before=not_before,
        desk_failures=Thread.desk_failures + 1,
        desk_problem=problem,
    ).where(_held(thread))
    with db.atomic():
        query.execute(db)
        tally.add(db, tally.GITEA_RETRIES, server=thread.server)


def wake(db: Database, server: str) -> None:
    """The server answers again: what did not succeed there is tried again at once."""
    waits = (Thread.server == server) & (Thread.desk_failures > 0) & (Thread.desk_wanted > Thread.desk_seen)
    Thread.update(desk_not_before=0.0).where(waits).execute(db)


def is_held(db: Database, thread: Thread) -> bool:
    """Whether nobody has taken the thread away from who took it."""
    return bool(Thread.select().where(_held(thread)).exists(db))


def _held(thread: Thread) -> Expression:
    """The row of `thread`, as long as it is held by who took it: the epoch tells apart two of the same worker."""
    lease = (Thread.desk_worker == thread.desk_worker) & (Thread.desk_epoch == thread.desk_epoch)
    held: Expression = (Thread.id == thread.id) & lease
    return held


def look_done(db: Database, thread: Thread) -> None:
    """The labels, the state and the reviews have been looked at, as far as was wanted when the thread was taken."""
    latest = Thread.look_wanted == thread.look_wanted
    left = Case(None, ((latest, None),), Thread.reviews_from)
    Thread.update(look_seen=thread.look_wanted, reviews_from=left).where(Thread.id == thread.id).execute(db)


def free_threads_of(db: Database, worker: str) -> int:
    """Take the desk's leases away from a worker that is gone; how many there were."""
    free = {"desk_worker": None, "desk_lease_until": None}
    return int(Thread.update(**free).where(Thread.desk_worker == worker).execute(db))


def pending_asks(db: Database, thread_id: int) -> list[Ask]:
    """What was said on this thread and not decided yet, in the order in which it was said: a label is read later than
    a comment that was written after it. Times are whole seconds.
    """
    mine = (Ask.thread == thread_id) & Ask.verdict.is_null()
    return list(Ask.select().where(mine).order_by(Ask.said_at, Ask.entry_id, Ask.id).execute(db))


def admit(db: Database, ask: Ask, thread: Thread, *, now: float, base: str = "code", usual: int = 0) -> None:
    """This person may ask. The job is queued; where it has started or ended meanwhile, the ask goes to the next one.
    Nothing changes where the ask has been decided already. `base` is the built-in recipe by which it is done,
    `usual` the priority of what does not say otherwise.
    """
    with db.atomic():
        if not _decide(db, ask, Verdict.ADMITTED):
            return
        job_id = _startable(db, ask) or gather(db, ask, thread)
        theirs: dict[str, Any] = {
            "asked_by": ask.author,
            "model": ask.model,
            "priority": usual if ask.priority is None else ask.priority,
            "fresh": ask.fresh,
            "base": base,
            "said_on": ask.said_on,
        }
        why = f"{ask.author} may ask"
        if not ledger.move(db, job_id, State.ASKED, State.QUEUED, at=now, reason=why, queued_at=now, **theirs):
            _add_wishes(db, job_id, ask)


def _decide(db: Database, ask: Ask, verdict: Verdict, reason: str = "") -> bool:
    """Store what became of `ask`; False where that is known already."""
    undecided = (Ask.id == ask.id) & Ask.verdict.is_null()
    return bool(Ask.update(verdict=verdict, reason=reason).where(undecided).execute(db))


def _add_wishes(db: Database, job_id: int, ask: Ask) -> None:
    """What somebody else had admitted stands, but for what `ask` says otherwise."""
    said = {"priority": ask.priority, "model": ask.model}
    wishes = {name: value for name, value in said.items() if value is not None}
    if wishes:
        Job.update(**wishes).where(Job.id == job_id).execute(db)


def _startable(db: Database, ask: Ask) -> int | None:
    """The job of `ask`, while it has not started."""
    waits = (Job.id == ask.job_id) & Job.state.in_([State.ASKED, State.QUEUED])
    row = Job.select(Job.id).where(waits).first(db)
    return int(row.id) if row else None


def refuse(db: Database, ask: Ask, reason: str, *, now: float) -> None:
    """This ask is refused; so is its job, where no other ask holds it up."""
    _turn_away(db, ask, Verdict.REFUSED, ledger.ending(Outcome.REFUSED, now, reason))


def withdraw(db: Database, ask: Ask, reason: str, *, now: float) -> None:
    """This ask was taken back; its job is cancelled, where no other ask holds it up."""
    _turn_away(db, ask, Verdict.WITHDRAWN, ledger.ending(Outcome.CANCELLED, now, reason))


def _turn_away(db: Database, ask: Ask, verdict: Verdict, ends: dict[str, Any]) -> None:
    reason, now = ends["error"], ends["finished_at"]
    with db.atomic():
        if not _decide(db, ask, verdict, reason):
            return
        others = (Ask.job == ask.job_id) & (Ask.verdict.is_null() | (Ask.verdict == Verdict.ADMITTED))
        if ask.job_id is not None and not Ask.select().where(others).exists(db):
            ledger.move(db, ask.job_id, State.ASKED, State.REPORTING, at=now, reason=reason, **ends)


def answered(db: Database, ask: Ask, what: str) -> None:
    """This ask was answered by the desk itself."""
    _decide(db, ask, Verdict.ANSWERED, what)


def refused_before(db: Database, ask: Ask, reason: str) -> bool:
    """Whether this person was refused for this reason on this issue before: it is said once."""
    same = (Ask.thread == ask.thread_id) & (Ask.author_id == ask.author_id) & (Ask.verdict == Verdict.REFUSED)
    return bool(Ask.select().where(same & (Ask.reason == reason) & (Ask.id < ask.id)).exists(db))


def open_jobs(db: Database, thread_id: int) -> list[Job]:
    """The thread's jobs that were admitted and have not ended, oldest first: what a cancel means. A job that is still
    asked holds only what was said after that, since asks are decided in their order.
    """
    mine = (Job.thread == thread_id) & Job.state.in_([State.QUEUED, State.RUNNING])
    return list(Job.select().where(mine).order_by(Job.id).execute(db))


def recent_jobs(db: Database, thread_id: int, most: int) -> list[Job]:
    """The thread's newest jobs, newest first, at most `most`."""
    mine = Job.select().where(Job.thread == thread_id).order_by(Job.id.desc()).limit(most)
    return list(mine.execute(db))


def unreported(db: Database, thread_id: int) -> list[Job]:
    """The thread's jobs about which Gitea has not been told everything, oldest first."""
    mine = (Job.thread == thread_id) & (Job.report_wanted > Job.report_seen)
    return list(Job.select().where(mine).order_by(Job.id).execute(db))


def reported(db: Database, job: Job, **seen: object) -> None:
    """Gitea shows this job as it was when `job` was read."""
    Job.update(report_seen=job.report_wanted, **seen).where(Job.id == job.id).execute(db)
