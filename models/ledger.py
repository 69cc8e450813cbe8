"""The moves of a job. Each is one compare-and-set statement in a transaction that also writes its row of the log.

All times are seconds since the epoch. `epoch` is the fence: what a worker does to a job it runs names the epoch
under which it took it, and changes nothing once another worker has taken the job over.
"""

from __future__ import annotations

from typing import Any

import msgspec
from peewee import SQL, Database, Expression, fn

from models import saying, spending, tally
from models.budgets import NOBODY, Held
from models.moves import OPEN, Outcome, State, Verdict, check
from models.numbering import next_number
from models.prepared import Prepared, slot, slots
from models.tables import Ask, Intake, Job, Move, Repo, Thread
from models.turns import in_order, next_job, waiting


class Claimed(msgspec.Struct, frozen=True):
    """A job that this worker may run, under this epoch."""

    job_id: int
    epoch: int


def create(db: Database, ask: Ask, thread: Thread, recipe: str) -> int:
    """Open a job for `ask`; its id. What the ask says of model, priority and freshness counts once it is admitted."""
    job_id = int(
        _ADD_JOB.one(
            db,
            thread=thread.id,
            repo=thread.repo_id,
            recipe=recipe,
            priority=ask.priority or 0,
            model=ask.model,
            fresh=ask.fresh,
            asked_by=ask.author,
            asked_at=ask.said_at,
            said_on=ask.said_on,
        )
    )
    _ADD_FIRST_MOVE.run(db, job=job_id, at=ask.said_at, target=str(State.ASKED), reason=f"{ask.author} asked")
    saying.moved(db, job_id, None, State.ASKED, reason=f"{ask.author} asked")
    return job_id


def _note(db: Database, job_id: int, *, at: float, source: State, target: State, reason: str, **more: Any) -> None:
    """Write the move into the log that replays, count it, and have the report made."""
    Move.insert(job=job_id, at=at, source=source, target=target, reason=reason, **more).execute(db)
    tally.moved(db, job_id, source, target, at=at)
    saying.moved(db, job_id, source, target, reason=reason, **more)
    _raise_report(db, job_id)


def _raise_report(db: Database, job_id: int) -> None:
    _WANT_REPORT.run(db, job=job_id)
    _WANT_DESK_OF.run(db, job=job_id)


def want_report(db: Database, job_id: int) -> None:
    """Have the reporter look at this job again."""
    with db.atomic():
        _raise_report(db, job_id)


def move(
    db: Database,
    job_id: int,
    source: State,
    target: State,
    *,
    at: float,
    reason: str,
    epoch: int | None = None,
    where: Expression | None = None,
    **changes: Any,
) -> bool:
    """Take the job from `source` to `target`, with `changes` to its row, and have it reported.

    False, and nothing changed, where it is not in `source` any more, another worker has it, or `where` does not hold.
    """
    check(source, target)
    if source is State.RUNNING:
        changes = {"worker": None, "lease_until": None, **changes}
    with db.atomic():
        worker = Job.select(Job.worker).where(Job.id == job_id).scalar(db)
        query = Job.update(state=target, **changes).where((Job.id == job_id) & (Job.state == source))
        if epoch is not None:
            query = query.where(Job.epoch == epoch)
        if where is not None:
            query = query.where(where)
        if query.execute(db) == 0:
            return False
        outcome = changes.get("outcome")
        _note(db, job_id, at=at, source=source, target=target, reason=reason, outcome=outcome, worker=worker)
        return True


def claim_next(db: Database, worker: str, *, now: float, lease: float, held: Held = NOBODY) -> Claimed | None:
    """Take the next job for `worker`, or None: the highest priority first, then the repository whose turn is longest
    ago, then the oldest, while fewer run than may, in all and of each repository, and intake is not paused. `lease` is
    in seconds; `held` is what may not start since a budget is spent.
    """
    if held.everything is not None:
        return None
    taken = {"state": State.RUNNING, "worker": worker, "lease_until": now + lease, "started_at": now, "step": ""}
    counted = {"epoch": Job.epoch + 1, "run": Job.run + 1}
    with db.atomic():
        _one_claim_at_a_time(db)
        query = Job.update(**taken, **counted).where(
            (Job.id == next_job(now, held.repos)) & (Job.state == State.QUEUED)
        )
        for job in list(query.returning(Job.id, Job.epoch, Job.repo).execute(db)):
            latest = Repo.select(fn.MAX(Repo.turn) + 1).scalar(db)
            Repo.update(turn=latest).where(Repo.id == job.repo_id).execute(db)
            _note(db, job.id, at=now, source=State.QUEUED, target=State.RUNNING, reason="claimed", worker=worker)
            return Claimed(int(job.id), int(job.epoch))
    return None


def _one_claim_at_a_time(db: Database) -> None:
    """So that two claims never count the same slots. SQLite's BEGIN IMMEDIATE has seen to it already."""
    if db.for_update:
        Intake.select(Intake.id).for_update().execute(db)


RELEASED = 0.0
"""The lease of a job that its worker has left on purpose."""


def renew(db: Database, claimed: Claimed, *, until: float) -> bool:
    """Keep the lease of a job that this worker runs; False where it has been taken away, or released."""
    ours = (Job.id == claimed.job_id) & (Job.epoch == claimed.epoch) & (Job.state == State.RUNNING)
    return bool(Job.update(lease_until=until).where(ours & (Job.lease_until != RELEASED)).execute(db))


def holds(db: Database, claimed: Claimed) -> bool:
    """Whether the job runs and is still this worker's."""
    ours = (Job.id == claimed.job_id) & (Job.epoch == claimed.epoch) & (Job.state == State.RUNNING)
    return bool(Job.select().where(ours).exists(db))


def note_progress(db: Database, claimed: Claimed, **progress: Any) -> None:
    """Store how far the agent is (`step`, `steps`, `tokens_in`, …) while the job runs and is ours."""
    ours = (Job.id == claimed.job_id) & (Job.epoch == claimed.epoch) & (Job.state == State.RUNNING)
    Job.update(**progress).where(ours).execute(db)


def give_back(db: Database, claimed: Claimed, **red: Any) -> bool:
    """The job's work is found wanting: the next run of its agent is to mend it, in the same session. `red` says how the
    check went. False, and nothing changed, where the job is not ours any more.
    """
    ours = (Job.id == claimed.job_id) & (Job.epoch == claimed.epoch) & (Job.state == State.RUNNING)
    counted = {"run": Job.run + 1, "repairs": Job.repairs + 1, "repair_told": None}
    return bool(Job.update(**counted, **red).where(ours).execute(db))


def adopt(db: Database, job_id: int, epoch: int, worker: str, *, now: float, lease: float) -> Claimed | None:
    """Take over a running job from a worker that is gone; None where somebody was faster."""
    with db.atomic():
        query = Job.update(worker=worker, lease_until=now + lease, epoch=epoch + 1).where(
            (Job.id == job_id) & (Job.epoch == epoch) & (Job.state == State.RUNNING)
        )
        return Claimed(job_id, epoch + 1) if query.execute(db) else None


def release(db: Database, claimed: Claimed) -> None:
    """Let the lease of a running job lapse at once: a worker that stops leaves its agents to the next one."""
    renew(db, claimed, until=RELEASED)


def settle(db: Database, claimed: Claimed, outcome: Outcome, *, now: float, reason: str, **result: Any) -> bool:
    """The one durable step: how the job ended. All after it can be repeated."""
    return move(
        db,
        claimed.job_id,
        State.RUNNING,
        State.REPORTING,
        at=now,
        reason=reason,
        epoch=claimed.epoch,
        outcome=outcome,
        finished_at=now,
        **result,
    )


def requeue(db: Database, claimed: Claimed, *, now: float, reason: str, not_before: float = 0.0, **counts: Any) -> bool:
    """Put a running job back into the queue, not to start before `not_before`. One that somebody has cancelled
    meanwhile ends instead: a cancelled job is never tried again.
    """
    changes = {"epoch": claimed.epoch, "where": Job.cancel_requested_at.is_null(), "not_before": not_before, **counts}
    with db.atomic():
        if move(db, claimed.job_id, State.RUNNING, State.QUEUED, at=now, reason=reason, **changes):
            return True
        return settle(db, claimed, Outcome.CANCELLED, now=now, reason="cancelled while it ran", error="")


def end_waiting(db: Database, job_id: int, outcome: Outcome, *, now: float, reason: str) -> bool:
    """End a job that does not run (yet): cancelled, expired or refused."""
    ends = ending(outcome, now, reason)
    waiting = (State.ASKED, State.QUEUED)
    return any(move(db, job_id, source, State.REPORTING, at=now, reason=reason, **ends) for source in waiting)


def ending(outcome: Outcome, now: float, error: str = "") -> dict[str, Any]:
    """What a job's row says once it has ended."""
    return {"outcome": outcome, "finished_at": now, "error": error}


def spoil(db: Database, job_id: int, *, now: float, error: str) -> bool:
    """What a completed job has brought, or one that was cut short, cannot be delivered: it is a failed one for that,
    while it is being reported.
    """
    with db.atomic():
        reported = (Job.id == job_id) & (Job.state == State.REPORTING)
        short = (Job.outcome == Outcome.FAILED) & (Job.error == (spending.cut_short(db, job_id) or None))
        brought = (Job.outcome == Outcome.COMPLETED) | short
        if Job.update(outcome=Outcome.FAILED, error=error).where(reported & brought).execute(db) == 0:
            return False
        here = State.REPORTING
        Move.insert(job=job_id, at=now, source=here, target=here, outcome=Outcome.FAILED, reason=error).execute(db)
        return True


def waiting_since(db: Database, moment: float) -> list[int]:
    """The queued jobs that have waited in the queue since before `moment`: what ran meanwhile has waited only since."""
    back = (Move.source != State.QUEUED) & (Move.target == State.QUEUED) & (Move.at >= moment)
    came = Move.select(SQL("1")).where((Move.job == Job.id) & back)
    query = Job.select(Job.id).where((Job.state == State.QUEUED) & (Job.queued_at < moment) & ~fn.EXISTS(came))
    return [int(job.id) for job in query.execute(db)]


def request_cancel(db: Database, job_id: int, by: str, *, now: float, why: str = "") -> bool:
    """Cancel an open job: at once where it waits, soon by the worker that runs it. False where it had ended. `why` is
    what people are told.
    """
    this = Job.select().where(Job.id == job_id)
    with db.atomic():
        job = (this.for_update() if db.for_update else this).first(db)
        if job is None or job.state not in OPEN:
            return False
        if job.cancel_requested_at is None:
            Job.update(cancel_requested_at=now, cancelled_by=by, cancel_reason=why).where(Job.id == job_id).execute(db)
        end_waiting(db, job_id, Outcome.CANCELLED, now=now, reason=f"cancelled by {by}")
        return True


def cancel_requested(db: Database, job_id: int) -> bool:
    """Whether somebody has cancelled this job."""
    return Job.select(Job.cancel_requested_at).where(Job.id == job_id).scalar(db) is not None


def job_of(db: Database, job_id: int) -> Job:
    """The job's row as it stands now."""
    job: Job = Job.select().where(Job.id == job_id).get(db)
    return job


def asks_of(db: Database, job_id: int) -> list[Ask]:
    """The admitted asks of the job, in the order in which they were said."""
    mine = (Ask.job == job_id) & (Ask.verdict == Verdict.ADMITTED)
    return list(Ask.select().where(mine).order_by(Ask.said_at, Ask.id).execute(db))


def mark_told(db: Database, job_id: int, run: int, *, now: float) -> None:
    """The agent has begun to answer in `run`, so it knows every ask of the job. Once that run is over this changes
    nothing: what was asked since is for the next one.
    """
    running = Job.select(Job.id).where((Job.id == job_id) & (Job.run == run) & (Job.state == State.RUNNING))
    mine = Ask.job.in_(running) & (Ask.verdict == Verdict.ADMITTED) & Ask.told_run.is_null()
    with db.atomic():
        begun = is_told(db, job_id)
        if Ask.update(told_run=run).where(mine).execute(db) and not begun:
            here = State.RUNNING
            Move.insert(job=job_id, at=now, source=here, target=here, reason="the agent has begun").execute(db)
    untold = Job.id.in_(running) & (Job.repairs > 0) & Job.repair_told.is_null()
    Job.update(repair_told=run).where(untold).execute(db)


def is_told(db: Database, job_id: int) -> bool:
    """Whether the agent has begun to answer what the job asks."""
    return bool(Ask.select().where((Ask.job == job_id) & Ask.told_run.is_null(False)).exists(db))


def positions(db: Database, *, now: float) -> dict[int, int]:
    """The place in the queue of each queued job, from 1: as they would start one after the other, and behind them
    those that are put off, the soonest first.
    """
    ready, put_off = waiting(db, now=now)
    return {job_id: place for place, job_id in enumerate([*in_order(ready), *put_off], 1)}


_ADD_JOB = Prepared(
    lambda: Job.insert(
        id=next_number(Job),
        **slots("thread", "repo", "recipe", "priority", "model", "fresh", "asked_by", "asked_at", "said_on"),
    ).returning(Job.id)
)
_ADD_FIRST_MOVE = Prepared(lambda: Move.insert(**slots("job", "at", "target", "reason")))
_WANT_REPORT = Prepared(lambda: Job.update(report_wanted=Job.report_wanted + 1).where(Job.id == slot("job")))
_WANT_DESK_OF = Prepared(
    lambda: Thread.update(desk_wanted=Thread.desk_wanted + 1).where(
        Thread.id.in_(Job.select(Job.thread).where(Job.id == slot("job")))
    )
)
