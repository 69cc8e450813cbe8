"""The moves of a job. Each is one compare-and-set statement in a transaction that also writes its row of the log.

All times are seconds since the epoch. `epoch` is the fence: what a worker does to a job it runs names the epoch
under which it took it, and changes nothing once another worker has taken the job over.
"""

from __future__ import annotations

from typing import Any

import msgspec
from peewee import SQL, Case, Database, Expression, fn

from models.moves import Outcome, State, Verdict, check
from models.tables import Ask, Intake, Job, Move, Repo, Thread


class Claimed(msgspec.Struct, frozen=True):
    """A job that this worker may run, under this epoch."""

    job_id: int
    epoch: int


def recipe_of(verb: str, db: Database, thread: Thread) -> str:
    """The recipe that `verb` asks for on this thread: to continue is to go on with what was last done there."""
    if verb not in ("continue", "retry"):
        return verb.removeprefix("recipe:")
    last = Job.select(Job.recipe).where(Job.thread == thread.id).order_by(Job.id.desc()).first(db)
    return str(last.recipe) if last else "code"


def gather(db: Database, ask: Ask, thread: Thread) -> int:
    """Give `ask` a job: one of this thread that has not started, else a new one. Returns its id."""
    recipe = recipe_of(ask.verb, db, thread)
    waiting = _waiting(db, thread, recipe) if not ask.fresh else None
    job_id = waiting if waiting is not None else _create(db, ask, thread, recipe)
    Ask.update(job=job_id).where(Ask.id == ask.id).execute(db)
    if waiting is not None:
        _raise_report(db, job_id)
    return job_id


def _waiting(db: Database, thread: Thread, recipe: str) -> int | None:
    row = (
        Job.select(Job.id)
        .where(
            (Job.thread == thread.id)
            & Job.state.in_([State.ASKED, State.QUEUED])
            & Job.cancel_requested_at.is_null()
            & (Job.recipe == recipe)
        )
        .order_by(Job.id)
        .first(db)
    )
    return int(row.id) if row else None


def _create(db: Database, ask: Ask, thread: Thread, recipe: str) -> int:
    job_id = int(
        Job.insert(
            thread=thread.id,
            repo=thread.repo_id,
            recipe=recipe,
            priority=ask.priority or 0,
            model=ask.model,
            fresh=ask.fresh,
            asked_by=ask.author,
            asked_at=ask.said_at,
        ).execute(db)
    )
    _log(db, job_id, at=ask.said_at, source=None, target=State.ASKED, reason=f"{ask.author} asked")
    return job_id


def _log(db: Database, job_id: int, *, at: float, source: State | None, target: State, **more: Any) -> None:
    Move.insert(job=job_id, at=at, source=source, target=target, **more).execute(db)


def _raise_report(db: Database, job_id: int) -> None:
    Job.update(report_wanted=Job.report_wanted + 1).where(Job.id == job_id).execute(db)
    thread = Job.select(Job.thread).where(Job.id == job_id)
    Thread.update(desk_wanted=Thread.desk_wanted + 1).where(Thread.id.in_(thread)).execute(db)


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
        _log(db, job_id, at=at, source=source, target=target, reason=reason, outcome=outcome, worker=worker)
        _raise_report(db, job_id)
        return True


def _eligible(now: float) -> Expression:
    """Queued jobs that may start now: not put off, not cancelled, and no other job runs on their issue."""
    other = Job.alias()
    busy = other.select(SQL("1")).where((other.thread == Job.thread) & (other.state == State.RUNNING))
    waits = (Job.state == State.QUEUED) & (Job.not_before <= now) & Job.cancel_requested_at.is_null()
    eligible: Expression = waits & ~fn.EXISTS(busy)
    return eligible


def claim_next(db: Database, worker: str, *, now: float, lease: float) -> Claimed | None:
    """Take the next job for `worker`, or None: the highest priority first, then the repository whose turn is longest
    ago, then the oldest, while fewer run than may and intake is not paused. `lease` is in seconds.
    """
    running = Job.alias()
    slots = running.select(fn.COUNT(running.id)).where(running.state == State.RUNNING)
    room = fn.EXISTS(Intake.select(SQL("1")).where(~Intake.paused & (Intake.capacity > slots)))
    turn = Repo.select(Repo.turn).where(Repo.id == Job.repo)
    chosen = (
        Job.select(Job.id)
        .where(_eligible(now) & room)
        .order_by(Job.priority.desc(), turn, Job.queued_at, Job.id)
        .limit(1)
    )
    with db.atomic():
        taken = list(
            Job.update(
                state=State.RUNNING,
                worker=worker,
                lease_until=now + lease,
                epoch=Job.epoch + 1,
                run=Job.run + 1,
                started_at=now,
                step="",
            )
            .where((Job.id == chosen) & (Job.state == State.QUEUED))
            .returning(Job.id, Job.epoch, Job.repo)
            .execute(db)
        )
        if not taken:
            return None
        job = taken[0]
        latest = Repo.select(fn.MAX(Repo.turn) + 1)
        Repo.update(turn=latest.scalar(db)).where(Repo.id == job.repo_id).execute(db)
        _log(db, job.id, at=now, source=State.QUEUED, target=State.RUNNING, reason="claimed", worker=worker)
        _raise_report(db, job.id)
        return Claimed(int(job.id), int(job.epoch))


def renew(db: Database, claimed: Claimed, *, until: float) -> bool:
    """Keep the lease of a job that this worker runs; False where it has been taken away."""
    query = Job.update(lease_until=until).where(
        (Job.id == claimed.job_id) & (Job.epoch == claimed.epoch) & (Job.state == State.RUNNING)
    )
    return bool(query.execute(db))


def note_progress(db: Database, claimed: Claimed, **progress: Any) -> None:
    """Store how far the agent is (`step`, `steps`, `tokens_in`, …) while the job is ours."""
    Job.update(**progress).where((Job.id == claimed.job_id) & (Job.epoch == claimed.epoch)).execute(db)


def adopt(db: Database, job_id: int, epoch: int, worker: str, *, now: float, lease: float) -> Claimed | None:
    """Take over a running job from a worker that is gone; None where somebody was faster."""
    with db.atomic():
        query = Job.update(worker=worker, lease_until=now + lease, epoch=epoch + 1).where(
            (Job.id == job_id) & (Job.epoch == epoch) & (Job.state == State.RUNNING)
        )
        return Claimed(job_id, epoch + 1) if query.execute(db) else None


def release(db: Database, claimed: Claimed) -> None:
    """Let the lease of a running job lapse at once: a worker that stops leaves its agents to the next one."""
    renew(db, claimed, until=0.0)


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
    """Put a running job back into the queue, not to start before `not_before`."""
    return move(
        db,
        claimed.job_id,
        State.RUNNING,
        State.QUEUED,
        at=now,
        reason=reason,
        epoch=claimed.epoch,
        not_before=not_before,
        **counts,
    )


def end_waiting(db: Database, job_id: int, outcome: Outcome, *, now: float, reason: str) -> bool:
    """End a job that does not run (yet): cancelled, expired or refused."""
    ends = ending(outcome, now, reason)
    waiting = (State.ASKED, State.QUEUED)
    return any(move(db, job_id, source, State.REPORTING, at=now, reason=reason, **ends) for source in waiting)


def ending(outcome: Outcome, now: float, error: str = "") -> dict[str, Any]:
    """What a job's row says once it has ended."""
    return {"outcome": outcome, "finished_at": now, "error": error}


def spoil(db: Database, job_id: int, *, now: float, error: str) -> bool:
    """The result of a completed job cannot be delivered: it becomes a failed one, while it is being reported."""
    with db.atomic():
        completed = (Job.id == job_id) & (Job.state == State.REPORTING) & (Job.outcome == Outcome.COMPLETED)
        if Job.update(outcome=Outcome.FAILED, error=error).where(completed).execute(db) == 0:
            return False
        ends = {"source": State.REPORTING, "target": State.REPORTING, "outcome": Outcome.FAILED}
        _log(db, job_id, at=now, reason=error, **ends)
        return True


def request_cancel(db: Database, job_id: int, by: str, *, now: float) -> bool:
    """Cancel an open job: at once where it waits, soon by the worker that runs it. False where it had ended."""
    with db.atomic():
        if end_waiting(db, job_id, Outcome.CANCELLED, now=now, reason=f"cancelled by {by}"):
            Job.update(cancel_requested_at=now, cancelled_by=by).where(Job.id == job_id).execute(db)
            return True
        query = Job.update(cancel_requested_at=fn.COALESCE(Job.cancel_requested_at, now), cancelled_by=by)
        return bool(query.where((Job.id == job_id) & (Job.state == State.RUNNING)).execute(db))


def cancel_requested(db: Database, job_id: int) -> bool:
    """Whether somebody has cancelled this job."""
    return Job.select(Job.cancel_requested_at).where(Job.id == job_id).scalar(db) is not None


def job_of(db: Database, job_id: int) -> Job:
    """The job's row as it stands now."""
    job: Job = Job.select().where(Job.id == job_id).get(db)
    return job


def mark_told(db: Database, claimed: Claimed, run: int) -> list[Ask]:
    """The admitted asks of the job in their order; those not told before count as told in `run`."""
    with db.atomic():
        mine = (Ask.job == claimed.job_id) & (Ask.verdict == Verdict.ADMITTED)
        Ask.update(told_run=run).where(mine & Ask.told_run.is_null()).execute(db)
        return list(Ask.select().where(mine).order_by(Ask.id).execute(db))


def positions(db: Database, *, now: float) -> dict[int, int]:
    """The place in the queue of each queued job, from 1, in the order in which they would be claimed."""
    rows = (
        Job.select(Job.id, Job.repo, Job.priority)
        .where((Job.state == State.QUEUED) & Job.cancel_requested_at.is_null())
        .order_by(Case(None, ((Job.not_before <= now, 0),), 1), Job.priority.desc(), Job.queued_at, Job.id)
        .tuples()
    )
    return {int(job_id): place for place, (job_id, _, _) in enumerate(rows.execute(db), 1)}
