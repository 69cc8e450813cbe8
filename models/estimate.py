"""When a waiting job will start, as far as anybody can say: pure.

The line is played through: every job takes as long as such jobs usually do, and starts when there is room for it in all
and in its repository and nothing else runs on its issue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from statistics import median
from typing import NamedTuple

import msgspec

from models.budgets import Budget

RECENT = 20
"""Runs from which the usual time is taken."""

MOST = 200
"""Jobs of the line that are played through; further behind nobody counts the minutes."""


class Run(NamedTuple):
    """A completed run, and how many seconds it took."""

    repo_id: int
    recipe: str
    seconds: float


class Busy(NamedTuple):
    """A job that runs, and for how many seconds more it usually would (0 where it is late already)."""

    repo_id: int
    thread_id: int
    left: float


class Queued(NamedTuple):
    """A job that waits: the seconds it will take, and those before which it is not to start."""

    job_id: int
    repo_id: int
    thread_id: int
    seconds: float
    put_off: float = 0.0


class Outlook(msgspec.Struct, frozen=True):
    """What a queued job has to expect. `eta_seconds` is the time until it starts, None where nobody can say;
    `paused` is the reason of a pause ("" where none was given), None where there is none. `put_off_until` is in seconds
    since the epoch, and says that a passing fault ended the last attempt.
    """

    position: int
    eta_seconds: int | None = None
    paused: str | None = None
    put_off_until: float | None = None
    repo_full: bool = False
    budget: Budget | None = None
    """The one that is spent, for which it waits until the month is over, at `month_over`."""
    month_over: float = 0.0


class Usual:
    """How long jobs usually take. `runs` are those that completed, newest first."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs
        self._known: dict[tuple[int, str], float | None] = {}

    def of(self, repo_id: int, recipe: str) -> float | None:
        """Seconds: the median of the last runs of this recipe in this repository, else of this recipe anywhere, else of
        all; None where nothing has run yet.
        """
        key = (repo_id, recipe)
        if key not in self._known:
            self._known[key] = self._look_up(repo_id, recipe)
        return self._known[key]

    def _look_up(self, repo_id: int, recipe: str) -> float | None:
        same = [run for run in self._runs if run.recipe == recipe]
        here = [run for run in same if run.repo_id == repo_id]
        best = here or same or self._runs
        return float(median(run.seconds for run in best[:RECENT])) if best else None


def starts(busy: Iterable[Busy], line: Sequence[Queued], capacity: int, per_repo: int | None) -> dict[int, float]:
    """In how many seconds each job of `line` (in the order of the queue) will start, by its id. Jobs of which that
    cannot be said, because nothing may run at all or too many are before them, are left out.
    """
    ends = [(job.left, job.repo_id, job.thread_id) for job in busy]
    heapify(ends)
    left, found, now = list(line[:MOST]), dict[int, float](), 0.0
    while left and capacity > 0:
        for job in list(left):
            if len(ends) >= capacity:
                break
            if job.put_off <= now and _has_room(job, ends, per_repo):
                found[job.job_id] = now
                heappush(ends, (now + job.seconds, job.repo_id, job.thread_id))
                left.remove(job)
        now = _next_moment(ends, left, now)
    return found


def _has_room(job: Queued, ends: Sequence[tuple[float, int, int]], per_repo: int | None) -> bool:
    theirs = sum(repo_id == job.repo_id for _, repo_id, _ in ends)
    return (per_repo is None or theirs < per_repo) and all(job.thread_id != thread_id for *_, thread_id in ends)


def _next_moment(ends: list[tuple[float, int, int]], left: Sequence[Queued], now: float) -> float:
    """When something changes next: jobs that end by then are taken out of `ends`."""
    moments = [job.put_off for job in left if job.put_off > now] + [end for end, *_ in ends[:1]]
    then = max(now, min(moments, default=now))
    while ends and ends[0][0] <= then:
        heappop(ends)
    return then
