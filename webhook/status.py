"""What the service does right now, read from the tables into the JSON of GET /admin/status."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import NotRequired, TypedDict

from peewee import JOIN, Database, fn

from models import budgets, hooks, limits, recovery, spending, store
from models.moves import Outcome, State
from models.recovery import Missed
from models.settings import Settings
from models.side_tables import Watch
from models.tables import Delivery, Job, Repo, Server, Worker
from webhook.health import SILENT, what_is_missing

Value = str | int | float | bool | None


class Status(TypedDict):
    """The keys of the contract. Times are RFC 3339, UTC; counts reach as far back as the rows are kept."""

    version: str
    capacity: dict[str, Value]
    workers: list[dict[str, Value]]
    jobs: dict[str, int]
    deliveries: dict[str, int]
    repos: list[dict[str, Value]]
    gitea: dict[str, dict[str, Value]]
    agent: dict[str, Value]
    sandbox: dict[str, Value]
    credentials: str | list[str] | None
    spending: dict[str, object]
    storage: NotRequired[dict[str, Value]]


def read(
    db: Database, settings: Settings, *, now: float, refused: Mapping[int, int], verdicts: Mapping[str, int]
) -> Status:
    """The status at `now` (seconds since the epoch). `refused` counts deliveries turned away, by HTTP
    status, `verdicts` those that were stored.
    """
    workers = list(Worker.select().order_by(Worker.name).execute(db))
    newest = max(workers, key=lambda worker: worker.seen_at, default=None)
    jobs = _jobs(db)
    return {
        "version": version("kugetsu"),
        "capacity": _capacity(db, jobs),
        "workers": [_worker(worker, now) for worker in workers],
        "jobs": jobs,
        "deliveries": _deliveries(db, verdicts) | {"refused": sum(refused.values())},
        "repos": _repos(db, settings, now=now),
        "gitea": _gitea(db, settings),
        "agent": {
            "command": settings.agent_command,
            "runner": settings.agent_runner,
            "version": newest.agent if newest else None,
        },
        "sandbox": {
            "asked": settings.sandbox,
            "kind": newest.sandbox if newest else None,
            "reason": newest.sandbox_why if newest else "no worker has looked yet",
        },
        "credentials": credentials(db),
        "spending": _spending(db, settings, now),
    }


def rfc3339(seconds: float | None) -> str | None:
    """Seconds since the epoch as text, in UTC; None for None and for 0, which means never."""
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _capacity(db: Database, jobs: Mapping[str, int]) -> dict[str, Value]:
    intake = limits.of(db)
    why = limits.why_nothing_starts(intake)
    return {
        "limit": intake.capacity,
        "running": jobs[State.RUNNING],
        "queued": jobs[State.QUEUED],
        "paused": why is not None,
        "reason": why or "",
    }


def credentials(db: Database) -> str | list[str] | None:
    """What agents hold: "none", or the names of what they are handed; None before a worker has looked."""
    handed = spending.handed_over(db)
    return "none" if handed == [] else handed


def _spending(db: Database, settings: Settings, now: float) -> dict[str, object]:
    """What was used today and this month (UTC), in all and by repository, and the limits that are set."""
    days = {"today": spending.day_of(now), "month": spending.month_begin(now)}
    used = {name: spending.since(db, day) for name, day in days.items()}
    names = {row.id: f"{row.server}/{row.name}" for row in Repo.select().execute(db)}
    allowed = {f"{scope}_{unit}": limit for (scope, unit), limit in budgets.limits_of(settings).items()}
    return {
        **{name: _sum(by_repo) for name, by_repo in used.items()},
        "repos": {names[repo]: _sum({repo: each}) for repo, each in used["month"].items()},
        "limits": allowed,
    }


def _sum(used: Mapping[int, tuple[int, float]]) -> dict[str, Value]:
    """Tokens, and US dollars."""
    tokens, cost = (sum(values) for values in zip(*used.values(), strict=True)) if used else (0, 0.0)
    return {"tokens": tokens, "cost": round(cost, 6)}


def _worker(worker: Worker, now: float) -> dict[str, Value]:
    return {
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "alive": worker.seen_at > now - SILENT,
        "started_at": rfc3339(worker.started_at),
        "seen_at": rfc3339(worker.seen_at),
        "agent": worker.agent,
        "sandbox": worker.sandbox,
    }


def _jobs(db: Database) -> dict[str, int]:
    """How many are in each state, and how many ended in each way."""
    states, outcomes = store.count_states(db), store.count_outcomes(db)
    by_state = {str(state): states.get(state, 0) for state in State}
    return by_state | {str(outcome): outcomes.get(outcome, 0) for outcome in Outcome}


def _deliveries(db: Database, verdicts: Mapping[str, int]) -> dict[str, int]:
    missed = Delivery.select().where((Delivery.source == "reconcile") & (Delivery.verdict == "accepted"))
    return {**verdicts, "recovered": int(missed.count(db))}


def _repos(db: Database, settings: Settings, *, now: float) -> list[dict[str, Value]]:
    """By server and name. `missed_24h` counts what was asked and no webhook told of, `problem` is a sentence or ""."""
    jobs, missed = _job_counts(db), recovery.missed_since(db, now - recovery.DAY_SECONDS)
    rows = Repo.select(Repo, Watch).join(Watch, JOIN.LEFT_OUTER, on=(Watch.repo == Repo.id), attr="seen")
    found = rows.order_by(Repo.server, Repo.name).execute(db)
    lost = {row.id: missed.get((row.server, row.name)) for row in found}
    return [_repo(row, jobs.get(row.id, 0), lost[row.id], hooks.address_of(settings, row.server)) for row in found]


def _repo(repo: Repo, jobs: int, missed: Missed | None, address: str) -> dict[str, Value]:
    watch: Watch | None = getattr(repo, "seen", None)
    return {
        "server": repo.server,
        "repo": repo.name,
        "jobs": jobs,
        "looked_at": rfc3339(watch.looked_at) if watch else None,
        "missed_24h": missed.count if missed else 0,
        "missed_at": rfc3339(missed.last_at) if missed else None,
        "archived": bool(watch and watch.archived),
        "problem": problem_of(watch, missed, address),
    }


def problem_of(watch: Watch | None, missed: Missed | None, address: str) -> str:
    """What somebody has to see to, the gravest first. `address` is where its webhook leads."""
    if watch is not None and watch.lost_at is not None:
        return f"it is gone, or the bot may not see it, since {rfc3339(watch.lost_at)}; nothing can be told there"
    if watch is not None and watch.archived:
        return "it is archived: what is to be told there waits until it is not"
    if watch is not None and watch.problem:
        return watch.problem
    return _lost_deliveries(missed, address) if missed else ""


def _lost_deliveries(missed: Missed, address: str) -> str:
    return (
        f"the webhook missed {missed.count} of what was asked in the last 24 hours; it was found by looking. Is there"
        f" an active webhook to {address}, and what does Gitea show under its Recent Deliveries?"
    )


def _job_counts(db: Database) -> dict[int, int]:
    rows = Job.select(Job.repo, fn.COUNT(Job.id)).group_by(Job.repo).tuples().execute(db)
    return {int(repo): int(count) for repo, count in rows}


def _gitea(db: Database, settings: Settings) -> dict[str, dict[str, Value]]:
    """Each server of the settings, with what a worker last saw of it."""
    seen = {row.name: row for row in Server.select().execute(db)}
    return {
        name: _server(seen.get(name), url=server.url, missing=what_is_missing(server))
        for name, server in settings.servers.items()
    }


def _server(row: Server | None, *, url: str, missing: Sequence[str]) -> dict[str, Value]:
    problem = row.problem if row else "no worker has looked at it yet"
    return {
        "url": url,
        "version": row.version if row else None,
        "bot": row.bot_login if row else None,
        "ok": bool(row and row.ok and not missing),
        "problem": f"{' and '.join(missing)} not set" if missing else problem,
        "checked_at": rfc3339(row.checked_at) if row else None,
    }
