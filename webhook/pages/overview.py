"""The status page: is it well, what runs, what waits, what went wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

from peewee import Database, fn
from starlette.requests import Request
from starlette.responses import Response

from jobs.redact import Redactor
from models import budgets, hooks, limits, spending, store
from models.moves import Outcome, State
from models.outlook import outlooks, usual_times
from models.settings import Settings
from models.tables import Job, Repo, Server, Thread, Worker
from webhook.admin import why_not_from_here
from webhook.door import Door, Visit
from webhook.health import SILENT, Health
from webhook.joblist import with_threads
from webhook.pages.troubles import Known, troubles
from webhook.status import credentials

MOST_QUEUED = 20
MOST_REPOS = 20
MOST_TROUBLES = 10


class Spent(NamedTuple):
    """What the jobs of some time have taken; `cost` is in dollars."""

    tokens: int
    cost: float


class Heard(NamedTuple):
    """A repository's webhook, and its last delivery."""

    server: str
    name: str
    state: str
    problem: str
    at: float | None


class Overview:
    """GET /admin."""

    def __init__(
        self,
        settings: Settings,
        door: Door,
        health: Health,
        refused: Callable[[], Mapping[int, int]],
        redactor: Redactor,
        *,
        set_up: bool = True,
    ) -> None:
        """`set_up`: the service is set up; otherwise who sits at its machine is led to its first-start page."""
        self._settings = settings
        self._door = door
        self._health = health
        self._refused = refused
        self._clean = redactor.clean
        self._set_up = set_up
        self._allowed = budgets.limits_of(settings)

    async def page(self, request: Request) -> Response:
        """GET /admin: the status page."""
        return await self._door.get(self._page)(request)

    def _page(self, visit: Visit) -> Response:
        everything = self._everything(visit) if visit.viewer.sees_all else {}
        intake = limits.of(visit.database)
        running = _in_state(visit, State.RUNNING)
        usual = usual_times(visit.database)
        found = outlooks(visit.database, now=visit.now, allowed=self._allowed)
        queued = sorted((number for number in found), key=lambda number: found[number].position)
        return visit.page(
            "status.html",
            intake=intake,
            why_nothing_starts=limits.why_nothing_starts(intake),
            counts=_state_counts(visit),
            running=running,
            usual={job.id: usual.of(job.repo_id, job.recipe) for job in running},
            queued=_queued(visit, queued[:MOST_QUEUED]),
            outlooks=found,
            reporting=_in_state(visit, State.REPORTING)[:MOST_QUEUED],
            today=_outcomes(visit, _day(visit.now)),
            spent={
                "today": _spent(visit, spending.day_of(visit.now)),
                "this month": _spent(visit, spending.month_begin(visit.now)),
            },
            heard=_heard(visit),
            clean=self._clean,
            now=visit.now,
            all=everything,
            may_set_up=not self._set_up and not why_not_from_here(visit.request),
        )

    def _everything(self, visit: Visit) -> dict[str, Any]:
        """What only concerns who looks after the service."""
        db = visit.database
        workers: Sequence[Worker] = list(Worker.select().order_by(Worker.name).execute(db))
        newest = max(workers, key=lambda worker: worker.seen_at, default=None)
        return {
            "troubles": troubles(self._known(visit, newest)),
            "workers": workers,
            "silent": visit.now - SILENT,
            "leases": dict(_leases(db)),
            "sandbox": newest.sandbox if newest else None,
            "agent": newest.agent if newest else None,
            "servers": list(Server.select().order_by(Server.name).execute(db)),
            "version": version("kugetsu"),
            "disk": shutil.disk_usage(self._settings.home),
            "credentials": credentials(db),
            "database": _database_size(self._settings),
        }

    def _known(self, visit: Visit, newest: Worker | None) -> Known:
        db, intake = visit.database, limits.of(visit.database)
        broken = Repo.select().where(Repo.file_problem != "").order_by(Repo.name).limit(MOST_TROUBLES)
        untold = (
            Thread.select(Thread, Repo)
            .join(Repo)
            .where((Thread.desk_wanted > Thread.desk_seen) & (Thread.desk_failures > 0))
        )
        return Known(
            settings=self._settings,
            problems=self._health.problems(),
            paused=intake.paused,
            reason=intake.reason,
            held=intake.held,
            sandbox=(newest.sandbox, newest.sandbox_why) if newest else None,
            refused=self._refused(),
            broken_files=list(broken.execute(db)),
            hooks=[row for row in hooks.repos(db) if row.allowed and row.problem][:MOST_TROUBLES],
            untold=list(untold.order_by(Thread.desk_failures.desc()).limit(MOST_TROUBLES).execute(db)),
        )


def _in_state(visit: Visit, state: State) -> list[Job]:
    query = visit.sight.jobs(Job.select(Job.id).where(Job.state == state))
    return with_threads(visit.database, [row.id for row in query.limit(200).execute(visit.database)])


def _queued(visit: Visit, numbers: Sequence[int]) -> list[Job]:
    """The jobs in the order of the queue."""
    rows = {job.id: job for job in with_threads(visit.database, numbers) if visit.sight.sees(job.repo_id)}
    return [rows[number] for number in numbers if number in rows]


def _state_counts(visit: Visit) -> dict[str, int]:
    if visit.viewer.sees_all:
        return store.count_states(visit.database)
    query = visit.sight.jobs(Job.select(Job.state, fn.COUNT(Job.id))).group_by(Job.state)
    return {str(state): int(count) for state, count in query.tuples().execute(visit.database)}


def _outcomes(visit: Visit, since: float) -> dict[str, int]:
    query = visit.sight.jobs(Job.select(Job.outcome, fn.COUNT(Job.id)).where(Job.finished_at >= since))
    rows = query.group_by(Job.outcome).tuples().execute(visit.database)
    counts = {str(outcome): int(count) for outcome, count in rows}
    return {str(outcome): counts.get(outcome, 0) for outcome in Outcome}


def _spent(visit: Visit, day: str) -> Spent:
    """As it is booked for the budgets, from that day on."""
    booked = spending.since(visit.database, day)
    mine = [used for repo, used in booked.items() if visit.sight.sees(repo)]
    return Spent(sum(tokens for tokens, _ in mine), sum(cost for _, cost in mine))


def _heard(visit: Visit) -> list[Heard]:
    """The webhooks of the repositories, those that are not right first."""
    rows = [row for row in hooks.repos(visit.database) if row.allowed and visit.viewer.may_see(row.server, row.place)]
    rows = sorted(rows, key=lambda row: (row.state == "fine", row.place.lower()))[:MOST_REPOS]
    db = visit.database
    last = hooks.last_delivery
    return [Heard(row.server, row.place, row.state, row.problem, last(db, row.server, row.place)) for row in rows]


def _leases(db: Database) -> list[tuple[str, int]]:
    """How many jobs each worker holds."""
    query = Job.select(Job.worker, fn.COUNT(Job.id)).where(Job.state == State.RUNNING).group_by(Job.worker)
    return [(str(name), int(count)) for name, count in query.tuples().execute(db)]


def _database_size(settings: Settings) -> int:
    names = ("kugetsu.db", "kugetsu.db-wal", "queue.db")
    paths = (settings.home / name for name in names)
    return sum(path.stat().st_size for path in paths if path.is_file())


def _day(now: float) -> float:
    return datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
