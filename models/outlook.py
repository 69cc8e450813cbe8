"""What each queued job has to expect, read from the tables."""

from __future__ import annotations

from peewee import SQL, Database

from models import budgets, ledger, limits, spending, turns
from models.budgets import NOBODY, NONE, Held, Limits
from models.estimate import Busy, Outlook, Queued, Run, Usual, starts
from models.moves import State
from models.tables import Intake, Job, Repo

LAST_RUNS = 500
"""Completed jobs that are looked at, of all repositories and recipes together."""


def outlooks(db: Database, *, now: float, allowed: Limits = NONE) -> dict[int, Outlook]:
    """Each queued job's place in the queue and what it waits for, by its id. `allowed` is what of the
    budgets is set.
    """
    places, rows = ledger.positions(db, now=now), _queued(db)
    places = {job_id: place for job_id, place in places.items() if job_id in rows}
    held = budgets.held(db, allowed, now=now) if places else NOBODY
    return _outlooks(db, places, rows, now, held) if places else {}


def _outlooks(db: Database, places: dict[int, int], rows: dict[int, Job], now: float, held: Held) -> dict[int, Outlook]:
    intake = limits.of(db)
    running = list(Job.select().where(Job.state == State.RUNNING).execute(db))
    why = limits.why_nothing_starts(intake)
    away = _away(db)
    line = [job for job in (rows[number] for number in places) if not (held.why(job.repo_id) or job.repo_id in away)]
    found = {} if why is not None else _starts(db, intake, running, line, now)
    repos = [job.repo_id for job in running]
    room = len(running) < intake.capacity
    full = {repo for repo in repos if room and intake.per_repo is not None and repos.count(repo) >= intake.per_repo}
    return {
        job_id: Outlook(
            place,
            found.get(job_id),
            away.get(rows[job_id].repo_id) if why is None else why,
            rows[job_id].not_before if rows[job_id].not_before > now else None,
            rows[job_id].repo_id in full,
            held.why(rows[job_id].repo_id),
            spending.next_month(now),
        )
        for job_id, place in places.items()
    }


def _away(db: Database) -> dict[int, str]:
    """The repositories, by id, in which nothing starts since their server cannot be worked with, and that in words."""
    rows = Repo.select(Repo.id, Repo.server).where(Repo.server.in_(turns.away())).tuples().execute(db)
    return {int(number): f"{server} cannot be worked with now" for number, server in rows}


def _queued(db: Database) -> dict[int, Job]:
    columns = (Job.id, Job.repo, Job.thread, Job.recipe, Job.not_before)
    return {job.id: job for job in Job.select(*columns).where(Job.state == State.QUEUED).execute(db)}


def _starts(db: Database, intake: Intake, running: list[Job], line: list[Job], now: float) -> dict[int, int]:
    usual = usual_times(db)
    lefts = [(job, usual.of(job.repo_id, job.recipe), job.started_at or now) for job in running]
    busy = [Busy(job.repo_id, job.thread_id, max(0.0, since + time - now)) for job, time, since in lefts if time]
    if len(busy) < len(running):
        return {}
    times = [(job, usual.of(job.repo_id, job.recipe)) for job in line]
    waits = [Queued(job.id, job.repo_id, job.thread_id, time, job.not_before - now) for job, time in times if time]
    found = starts(busy, waits, intake.capacity, intake.per_repo)
    return {job_id: round(seconds) for job_id, seconds in found.items()}


def usual_times(db: Database) -> Usual:
    """How long jobs usually take, by what the last ones took."""
    return Usual(_runs(db))


def _runs(db: Database) -> list[Run]:
    """The last completed runs, newest first. Written out, so that the planner knows the index `job_completed`."""
    completed = (Job.outcome == SQL("'completed'")) & Job.started_at.is_null(False)
    columns = (Job.repo, Job.recipe, Job.finished_at - Job.started_at)
    rows = Job.select(*columns).where(completed).order_by(Job.finished_at.desc()).limit(LAST_RUNS)
    return [Run(repo, recipe, max(seconds, 0.1)) for repo, recipe, seconds in rows.tuples().execute(db)]
