"""How long the pages take with 100,000 jobs and 1,000,000 deliveries stored, and a live log of 50,000 lines.

Each page is asked for over HTTP, as a browser does. The peer is the same page with nearly nothing stored.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from peewee import Database, Model

from models.tables import Ask, Delivery, Job, Move, Repo, Thread
from tests.unit.website import Website, running, settings_for

JOBS, DELIVERIES, LINES, ROUNDS = 100_000, 1_000_000, 50_000, 15
REPOS, PEOPLE, DAY = 40, 200, 86_400.0
NOW = 1_782_900_000.0
PAGES = {
    "status": "/admin",
    "status as JSON": "/admin/status",
    "charts": "/admin/charts",
    "jobs": "/admin/jobs",
    "jobs, far back": "/admin/jobs?before={far}",
    "jobs that failed": "/admin/jobs?state=failed",
    "jobs of a repository": "/admin/jobs?repo=acme/r7",
    "jobs of a person": "/admin/jobs?person=person17",
    "jobs of a day": "/admin/jobs?from=2026-04-01&to=2026-04-01",
    "jobs with a word": "/admin/jobs?q=title+7777",
    "jobs with a word that none has": "/admin/jobs?q=nothing+like+it",
    "jobs by all of it": "/admin/jobs?state=failed&repo=acme/r7&person=person17&from=2026-01-01&q=crash",
    "jobs as JSON": "/admin/jobs",
    "jobs as JSON, last page": "/admin/jobs?page=2000",
    "a job": "/admin/jobs/{job}",
    "deliveries": "/admin/deliveries",
    "deliveries, far back": "/admin/deliveries?before={far}",
    "deliveries ignored": "/admin/deliveries?verdict=ignored",
    "deliveries recovered": "/admin/deliveries?source=reconcile",
    "deliveries of a repository": "/admin/deliveries?repo=acme/r7",
    "deliveries as JSON": "/admin/deliveries",
    "a delivery": "/admin/deliveries/{far}",
    "repositories": "/admin/repos",
}


def measure(folder: Path) -> dict[str, object]:
    """Medians in milliseconds: of each page with much stored, and beside it with little."""
    little = _times(folder / "little", jobs=200, deliveries=200)
    much = _times(folder / "much", jobs=JOBS, deliveries=DELIVERIES)
    found: dict[str, object] = {
        f"{name}, median ms (with little stored)": f"{ms:.1f} ({little[name]:.1f})" for name, ms in much.items()
    }
    return found | {"slowest page, median ms": round(max(much.values()), 1)}


def _times(home: Path, *, jobs: int, deliveries: int) -> dict[str, float]:
    home.mkdir()
    with running(settings_for(home), clock=lambda: NOW) as site:
        with site.database.connection_context():
            fill(site.database, jobs=jobs, deliveries=deliveries)
        write_log(site.settings.home / "jobs" / str(jobs) / "run-1", LINES if jobs == JOBS else 20)
        return {name: _median(site, name, path, jobs) for name, path in PAGES.items()}


def _median(site: Website, name: str, path: str, jobs: int) -> float:
    headers = {"Accept": "application/json" if "JSON" in name else "text/html, */*;q=0.1"}
    address = path.format(far=jobs // 2, job=jobs)
    return statistics.median(_time(site.client, address, headers) for _ in range(ROUNDS))


def _time(client: httpx.Client, address: str, headers: dict[str, str]) -> float:
    began = time.perf_counter()
    answer = client.get(address, headers=headers)
    took = (time.perf_counter() - began) * 1000
    assert answer.status_code == httpx.codes.OK, f"{address}: {answer.status_code} {answer.text[:300]}"
    return took


def fill(db: Database, *, jobs: int, deliveries: int) -> None:
    """Rows as a busy half-year leaves them: three running, twenty in the queue, the rest ended."""
    _insert(db, Repo, ({"server": "gitea", "name": f"acme/r{n}"} for n in range(REPOS)))
    _insert(db, Thread, (_thread(n) for n in range(jobs)))
    _insert(db, Job, (_job(n, jobs) for n in range(jobs)))
    _insert(db, Move, (_move(n, step, jobs) for n in range(jobs) for step in range(3)))
    _insert(db, Delivery, (_delivery(n, deliveries) for n in range(deliveries)))
    _insert(db, Ask, (_ask(n, jobs) for n in range(jobs)))


def _insert(db: Database, model: type[Model], rows: Iterator[dict[str, Any]]) -> None:
    """All rows, past peewee, which takes minutes for a million: what is not given is as the model has it."""
    fields = [field for field in model._meta.sorted_fields if field.name != "id"]
    columns = ", ".join(f'"{field.column_name}"' for field in fields)
    marks = ", ".join("?" for _ in fields)
    defaults = {field.name: field.default for field in fields}
    table = model._meta.table_name
    sql = f'INSERT INTO "{table}" ({columns}) VALUES ({marks})'  # noqa: S608 - names of our own tables
    connection = db.connection()  # type: ignore[no-untyped-call]
    while batch := list(islice(rows, 20_000)):
        with db.atomic():
            connection.executemany(sql, [list({**defaults, **row}.values()) for row in batch])


def _at(number: int, all_: int) -> float:
    return NOW - 180 * DAY * (all_ - number) / all_


def _thread(n: int) -> dict[str, Any]:
    return {"server": "gitea", "repo": n % REPOS + 1, "issue": n // REPOS + 1, "title": f"A title {n} of an issue",
            "updated_at": NOW}  # fmt: skip


def _job(n: int, jobs: int) -> dict[str, Any]:
    at, left = _at(n, jobs), jobs - n
    outcomes = ("completed", "completed", "completed", "failed", "cancelled", "completed", "refused", "completed")
    row: dict[str, Any] = {
        "thread": n + 1,
        "repo": n % REPOS + 1,
        "recipe": "code",
        "asked_by": f"person{n % PEOPLE}",
        "asked_at": at,
        "queued_at": at,
        "tokens_in": 1000,
        "tokens_out": 100,
        "cost": 0.01,
        "state": "done",
        "outcome": outcomes[n % 8],
        "started_at": at + 5,
        "finished_at": at + 300,
        "worker": None,
        "lease_until": None,
    }
    if left <= 3:
        return row | {"state": "running", "outcome": None, "worker": "w", "lease_until": NOW, "finished_at": None}
    if left <= 23:
        return row | {"state": "queued", "outcome": None, "started_at": None, "finished_at": None}
    return row


def _move(n: int, step: int, jobs: int) -> dict[str, Any]:
    states = ("asked", "queued", "running", "reporting")
    return {"job": n + 1, "at": _at(n, jobs) + step, "source": states[step], "target": states[step + 1],
            "reason": "as it goes"}  # fmt: skip


def _delivery(n: int, deliveries: int) -> dict[str, Any]:
    return {
        "server": "gitea",
        "source": "reconcile" if n % 1000 == 0 else "webhook",
        "uuid": f"{n:032x}",
        "event_type": ("issue_comment", "issues", "push")[n % 3],
        "repo": f"acme/r{n % REPOS}",
        "issue": n % 500,
        "verdict": ("ignored", "ignored", "accepted", "ignored", "duplicate")[n % 5],
        "detail": "nothing in it speaks to me",
        "headers": "{}",
        "body": '{"action": "created"}',
        "received_at": _at(n, deliveries),
    }


def _ask(n: int, jobs: int) -> dict[str, Any]:
    who = {"author_id": 1, "author": "ada", "said_at": _at(n, jobs), "said_on": 1}
    return {"key": f"k{n}", "thread": n + 1, "job": n + 1, "verb": "code", "verdict": "admitted", **who}


def write_log(run: Path, lines: int) -> None:
    """The log of a run that says so many things."""
    run.mkdir(parents=True)
    append_log(run, 0, lines)


def append_log(run: Path, first: int, lines: int) -> None:
    """So many more, numbered from `first` on."""
    with (run / "events.jsonl").open("a", encoding="utf-8") as file:
        for number in range(first, first + lines):
            state = {"status": "completed", "input": {"command": f"step {number}"}, "output": "some output\n" * 20}
            line = {"type": "tool_use", "timestamp": int(NOW * 1000), "part": {"tool": "bash", "state": state}}
            file.write(json.dumps(line) + "\n")
