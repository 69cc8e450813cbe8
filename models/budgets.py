"""How much may be used: by a job, an issue, a repository in a month, and all of them in a month.

A budget is full when as much or more is used; the answer that fills it is finished, so it can be passed by a little.
Months are those of UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec
from peewee import Database, fn

from models import spending
from models.settings import Settings
from models.tables import Job

NEAR = 0.8
"""From this share on people are warned."""


class Scope(StrEnum):
    """Whose budget it is. What a month has spent ends; the others are for good."""

    JOB = "job"
    ISSUE = "issue"
    REPO = "repo"
    ALL = "all"

    @property
    def monthly(self) -> bool:
        return self in (Scope.REPO, Scope.ALL)


class Unit(StrEnum):
    TOKENS = "tokens"
    COST = "cost"


class Budget(msgspec.Struct, frozen=True):
    """A limit and what is used of it: tokens, or US dollars."""

    scope: Scope
    unit: Unit
    limit: float
    used: float

    @property
    def full(self) -> bool:
        return self.used >= self.limit

    @property
    def near(self) -> bool:
        return self.used >= NEAR * self.limit


class Held(msgspec.Struct, frozen=True):
    """What may not start this month: everything (`everything` is why), or the jobs of these repositories, by id."""

    everything: Budget | None = None
    repos: Mapping[int, Budget] = {}

    def why(self, repo: int) -> Budget | None:
        return self.everything or self.repos.get(repo)


_NAMES = {Scope.JOB: "job", Scope.ISSUE: "issue", Scope.REPO: "repo_month", Scope.ALL: "month"}
"""As the settings call them."""

Limits = Mapping[tuple[Scope, Unit], float]
"""The limits that are set."""

NOBODY = Held()
NONE: Limits = {}


def limits_of(settings: Settings) -> Limits:
    """The limits in the settings."""
    names = {Scope.JOB: "job", Scope.ISSUE: "issue", Scope.REPO: "repo_month", Scope.ALL: "month"}
    every = {
        (scope, unit): getattr(settings, f"max_{unit}_per_{name}") for scope, name in names.items() for unit in Unit
    }
    return {key: float(limit) for key, limit in every.items() if limit is not None}


def of_job(db: Database, limits: Limits, job_id: int, *, now: float) -> list[Budget]:
    """Every budget that this job draws on, the fullest first."""
    if not limits:
        return []
    job = Job.select(Job.thread, Job.repo).where(Job.id == job_id).get(db)
    return _sorted(_drawn(db, limits, job_id, job, now))


def of_thread(db: Database, limits: Limits, thread_id: int) -> list[Budget]:
    """The budgets of an issue, the fullest first."""
    used = _used(db, Job.thread == thread_id) if limits else {}
    return _sorted(_budgets(limits, Scope.ISSUE, used))


def held(db: Database, limits: Limits, *, now: float) -> Held:
    """What may not start, since a budget of this month is full."""
    if not any(scope.monthly for scope, _ in limits):
        return NOBODY
    month = spending.since(db, spending.month_begin(now))
    repos = {repo: _full(_budgets(limits, Scope.REPO, _by_unit(used))) for repo, used in month.items()}
    whole = (sum(tokens for tokens, _ in month.values()), sum(cost for _, cost in month.values()))
    return Held(
        everything=_full(_budgets(limits, Scope.ALL, _by_unit(whole))),
        repos={repo: budget for repo, budget in repos.items() if budget is not None},
    )


def full(db: Database, limits: Limits, job_id: int, *, now: float) -> Budget | None:
    """The budget that ends this job, if one does."""
    return _full(of_job(db, limits, job_id, now=now))


def _drawn(db: Database, limits: Limits, job_id: int, job: Job, now: float) -> Iterator[Budget]:
    scopes = {scope for scope, _ in limits}
    yield from _budgets(limits, Scope.JOB, _used(db, Job.id == job_id))
    if Scope.ISSUE in scopes:
        yield from _budgets(limits, Scope.ISSUE, _used(db, Job.thread == job.thread_id))
    if any(scope.monthly for scope in scopes):
        month = spending.since(db, spending.month_begin(now))
        yield from _budgets(limits, Scope.REPO, _by_unit(month.get(job.repo_id, (0, 0.0))))
        whole = (sum(tokens for tokens, _ in month.values()), sum(cost for _, cost in month.values()))
        yield from _budgets(limits, Scope.ALL, _by_unit(whole))


def _used(db: Database, which: object) -> dict[Unit, float]:
    tokens, cost = fn.SUM(Job.tokens_in + Job.tokens_out), fn.SUM(Job.cost)
    rows = Job.select(tokens, cost).where(which).tuples().execute(db)
    ((used, paid),) = list(rows)
    return _by_unit((used or 0, paid or 0.0))


def _by_unit(used: tuple[int, float]) -> dict[Unit, float]:
    return {Unit.TOKENS: float(used[0]), Unit.COST: used[1]}


def _budgets(limits: Limits, scope: Scope, used: Mapping[Unit, float]) -> list[Budget]:
    return [Budget(scope, unit, limits[scope, unit], used[unit]) for unit in Unit if (scope, unit) in limits]


def _sorted(found: Iterator[Budget] | list[Budget]) -> list[Budget]:
    return sorted(found, key=lambda budget: budget.used / budget.limit, reverse=True)


def _full(found: list[Budget]) -> Budget | None:
    return next((budget for budget in _sorted(found) if budget.full), None)
