"""What the desk has to see to: threads with something new, one desk worker a thread at a time.

Only who holds a thread's lease writes to that issue on Gitea, so nothing is written twice or out of order.
"""

from __future__ import annotations

from peewee import Case, Database, Expression

from models import ledger
from models.moves import OPEN, Outcome, State, Verdict
from models.tables import Ask, Job, Repo, Thread


def take_thread(db: Database, worker: str, *, now: float, lease: float) -> Thread | None:
    """Take the next thread with something to see to, urgent ones first, or None. `lease` is in seconds."""
    due = _due(now)
    chosen = (
        Thread.select(Thread.id).where(due).order_by(Thread.urgent.desc(), Thread.desk_not_before, Thread.id).limit(1)
    )
    with db.atomic():
        query = Thread.update(desk_worker=worker, desk_lease_until=now + lease).where(Thread.id == chosen)
        taken = list(query.returning(Thread.id).execute(db))
        return load(db, taken[0].id) if taken else None


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
    """Give the thread back: all that was wanted when it was taken has been seen to."""
    Thread.update(
        desk_seen=thread.desk_wanted,
        urgent=Case(None, ((Thread.desk_wanted > thread.desk_wanted, Thread.urgent),), False),
        desk_worker=None,
        desk_lease_until=None,
        desk_not_before=0.0,
        desk_failures=0,
        desk_problem="",
        updated_at=now,
    ).where((Thread.id == thread.id) & (Thread.desk_worker == thread.desk_worker)).execute(db)


def thread_failed(db: Database, thread: Thread, *, problem: str, not_before: float) -> None:
    """Give the thread back with its work undone, to be tried again at `not_before`."""
    Thread.update(
        desk_worker=None,
        desk_lease_until=None,
        desk_not_before=not_before,
        desk_failures=Thread.desk_failures + 1,
        desk_problem=problem,
    ).where((Thread.id == thread.id) & (Thread.desk_worker == thread.desk_worker)).execute(db)


def look_done(db: Database, thread: Thread) -> None:
    """The labels have been looked at, as far as was wanted when the thread was taken."""
    Thread.update(look_seen=thread.look_wanted).where(Thread.id == thread.id).execute(db)


def free_threads_of(db: Database, worker: str) -> int:
    """Take the desk's leases away from a worker that is gone; how many there were."""
    free = {"desk_worker": None, "desk_lease_until": None}
    return int(Thread.update(**free).where(Thread.desk_worker == worker).execute(db))


def pending_asks(db: Database, thread_id: int) -> list[Ask]:
    """What was said on this thread and not decided yet, in its order."""
    mine = (Ask.thread == thread_id) & Ask.verdict.is_null()
    return list(Ask.select().where(mine).order_by(Ask.id).execute(db))


def admit(db: Database, ask: Ask, thread: Thread, *, now: float) -> None:
    """This person may ask. The job is queued; where it has started meanwhile, the ask goes to the next one."""
    with db.atomic():
        Ask.update(verdict=Verdict.ADMITTED).where(Ask.id == ask.id).execute(db)
        job_id = _startable(db, ask) or ledger.gather(db, ask, thread)
        ledger.move(db, job_id, State.ASKED, State.QUEUED, at=now, reason=f"{ask.author} may ask", queued_at=now)
        if ask.priority is not None:
            Job.update(priority=ask.priority).where(Job.id == job_id).execute(db)
        if ask.model is not None:
            Job.update(model=ask.model).where(Job.id == job_id).execute(db)


def _startable(db: Database, ask: Ask) -> int | None:
    """The job of `ask`, while it has not started."""
    waits = (Job.id == ask.job_id) & Job.state.in_([State.ASKED, State.QUEUED])
    row = Job.select(Job.id).where(waits).first(db)
    return int(row.id) if row else None


def refuse(db: Database, ask: Ask, reason: str, *, now: float) -> None:
    """This ask is refused; so is its job, where no other ask holds it up."""
    with db.atomic():
        Ask.update(verdict=Verdict.REFUSED, reason=reason).where(Ask.id == ask.id).execute(db)
        others = (Ask.job == ask.job_id) & (Ask.verdict.is_null() | (Ask.verdict == Verdict.ADMITTED))
        if ask.job_id is not None and not Ask.select().where(others).exists(db):
            ledger.move(
                db,
                ask.job_id,
                State.ASKED,
                State.REPORTING,
                at=now,
                reason=reason,
                **ledger.ending(Outcome.REFUSED, now, reason),
            )


def answered(db: Database, ask: Ask, what: str) -> None:
    """This ask was answered by the desk itself."""
    Ask.update(verdict=Verdict.ANSWERED, reason=what).where(Ask.id == ask.id).execute(db)


def refused_before(db: Database, ask: Ask) -> bool:
    """Whether this person was refused on this issue before: the reason is said once."""
    same = (Ask.thread == ask.thread_id) & (Ask.author_id == ask.author_id) & (Ask.verdict == Verdict.REFUSED)
    return bool(Ask.select().where(same & (Ask.id < ask.id)).exists(db))


def open_jobs(db: Database, thread_id: int) -> list[Job]:
    """The thread's jobs that have not ended, oldest first."""
    mine = (Job.thread == thread_id) & Job.state.in_(OPEN)
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
