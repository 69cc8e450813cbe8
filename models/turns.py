"""Whose turn it is: the order in which queued jobs start.

While there is room, in all and in the repository: the highest priority first, then the repository whose turn is
longest ago, then the oldest. `next_job` says it to the database, `in_order` to people who ask how many are before them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple

from peewee import SQL, Case, Database, Expression, Function, ModelAlias, ModelSelect, fn

from models.moves import State
from models.tables import Intake, Job, Move, Repo, Server

_RUNNING = SQL("'running'")
"""Written out rather than bound, so that the planner knows that `job_one_running` holds all it looks for."""


_LONG = 10 * 365 * 86_400.0
"""Seconds that no job is put off."""


class Waiting(NamedTuple):
    """A queued job, as far as its place in the queue goes. `turn` is its repository's."""

    job_id: int
    repo_id: int
    priority: int
    queued_at: float
    turn: int


def next_job(now: float, held: Collection[int] = ()) -> ModelSelect[Job]:
    """Select the id of the job to start next, if one may start; none of the repositories `held` (ids), and none of a
    server that cannot be worked with.

    Only the first job of each repository's line is looked at, by the index `job_in_line`: it takes as long with ten
    thousand jobs waiting as with ten.
    """
    line = Job.alias()
    first = (
        line.select(line.id)
        .where((line.repo == Repo.id) & _may_start(line, now))
        .order_by(line.priority.desc(), line.queued_at, line.id)
        .limit(1)
    )
    may = _room() & _room_in_repo() & Repo.server.not_in(away())
    return (
        Job.select(Job.id)
        .join(Repo, on=(Job.id == first))
        .where(may & Repo.id.not_in(list(held)) if held else may)
        .order_by(Job.priority.desc(), Repo.turn, Job.queued_at, Job.id)
        .limit(1)
    )


def _may_start(job: ModelAlias[Job], now: float) -> Expression:
    """Queued, not put off, not cancelled, and no other job runs on the issue."""
    other = Job.alias()
    busy = other.select(SQL("1")).where((other.thread == job.thread) & (other.state == _RUNNING))
    waits = (job.state == State.QUEUED) & (job.not_before <= now) & job.cancel_requested_at.is_null()
    may: Expression = waits & ~fn.EXISTS(busy)
    return may


def away() -> ModelSelect[Server]:
    """Select the names of the servers that cannot be worked with: what would start there would only wait in a slot."""
    return Server.select(Server.name).where(~Server.ok)


def _room() -> Function:
    """Intake is neither paused nor held, and fewer jobs run than may."""
    running = Job.alias()
    slots = running.select(fn.COUNT(running.id)).where(running.state == _RUNNING)
    return fn.EXISTS(Intake.select(SQL("1")).where(~Intake.paused & Intake.held.is_null() & (Intake.capacity > slots)))


def _room_in_repo() -> Function:
    """Fewer jobs of the repository run than may of each."""
    running = Job.alias()
    theirs = running.select(fn.COUNT(running.id)).where((running.state == State.RUNNING) & (running.repo == Repo.id))
    return fn.EXISTS(Intake.select(SQL("1")).where(Intake.per_repo.is_null() | (Intake.per_repo > theirs)))


def overtaken(db: Database, job: Job) -> bool:
    """Whether another job of the issue has started since this one's agent began: it was put off meanwhile."""
    starts = (Move.source == State.QUEUED) & (Move.target == State.RUNNING)
    begun = (Move.job == job.id) & (Move.source == State.RUNNING) & (Move.target == State.RUNNING)
    own = Move.select(fn.MIN(Move.id)).where(begun)
    others = Job.select(Job.id).where((Job.thread == job.thread_id) & (Job.id != job.id))
    return bool(Move.select().where(Move.job.in_(others) & starts & (Move.id > own)).exists(db))


def waiting(db: Database, *, now: float) -> tuple[list[Waiting], list[int]]:
    """The jobs that wait for their turn, and the ids of those that are put off, the soonest first."""
    rows = (
        Job.select(Job.id, Job.repo, Job.priority, Job.queued_at, Repo.turn, _from(now))
        .join(Repo)
        .where((Job.state == State.QUEUED) & Job.cancel_requested_at.is_null())
        .tuples()
    )
    found = list(rows.execute(db))
    put_off = sorted((not_before, job_id) for job_id, *_, not_before in found if not_before > now)
    return [Waiting(*row) for *row, not_before in found if not_before <= now], [job_id for _, job_id in put_off]


def _from(now: float) -> Case:
    """When the job may start; for one of a server that cannot be worked with, not yet, and behind all others."""
    return Case(None, [(Repo.server.in_(away()), now + _LONG)], Job.not_before)


def in_order(jobs: Sequence[Waiting]) -> list[int]:
    """The ids of `jobs` in the order in which they would start, one after the other."""
    turns = {job.repo_id: job.turn for job in jobs}
    latest = count(max(turns.values(), default=0) + 1)
    order: list[int] = []
    for priority in sorted({job.priority for job in jobs}, reverse=True):
        lines = _lines(job for job in jobs if job.priority == priority)
        heads = [(turns[repo], line[0], repo) for repo, line in lines.items()]
        heapify(heads)
        while heads:
            _, (_, job_id), repo = heappop(heads)
            order.append(job_id)
            turns[repo] = next(latest)
            lines[repo].popleft()
            if lines[repo]:
                heappush(heads, (turns[repo], lines[repo][0], repo))
    return order


def _lines(jobs: Iterable[Waiting]) -> dict[int, deque[tuple[float, int]]]:
    """The line of each repository, the oldest job first: when it was queued, and its id."""
    lines: dict[int, list[tuple[float, int]]] = {}
    for job in jobs:
        lines.setdefault(job.repo_id, []).append((job.queued_at, job.job_id))
    return {repo: deque(sorted(line)) for repo, line in lines.items()}
