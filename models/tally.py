"""Figures that only grow, kept in the database: they outlive the rows they were counted from, and every restart.

Prometheus reads a counter that falls as one that began anew, so what retention removes must stay counted. Each is
added to in the transaction of the very change that it counts. Names and units follow the conventions of Prometheus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from peewee import EXCLUDED, Database

from models.prepared import Prepared, slot, slots
from models.side_tables import Tally
from models.tables import Job, Repo

if TYPE_CHECKING:
    from models.moves import State

Labels = tuple[tuple[str, str], ...]
"""Label names and values, sorted by name."""

Figures = dict[str, dict[Labels, float]]
"""Every figure by its name and its labels."""


class Count(msgspec.Struct, frozen=True):
    """A counter: `name` without the ending `_total`, what it says, and the names of its labels."""

    name: str
    says: str
    labels: tuple[str, ...]


class Spread(msgspec.Struct, frozen=True):
    """A histogram of seconds: `bounds` are the upper bounds of its buckets, the last one of which has none."""

    name: str
    says: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...]


_OF_A_REPO = ("server", "repo", "recipe")
DELIVERIES = Count(
    "kugetsu_deliveries", "Deliveries stored, by what was made of them.", ("server", "source", "verdict")
)
ENDED = Count("kugetsu_jobs_ended", "Jobs that have ended and were reported.", (*_OF_A_REPO, "outcome"))
AGAIN = Count("kugetsu_job_retries", "Runs that were put back into the queue.", _OF_A_REPO)
TOKENS = Count("kugetsu_agent_tokens", "Tokens that agents used.", (*_OF_A_REPO, "direction"))
COST = Count("kugetsu_agent_cost_usd", "What agents cost, in US dollars, as they report it.", _OF_A_REPO)
GITEA_RETRIES = Count("kugetsu_gitea_retries", "Work on an issue put off since Gitea did not answer well.", ("server",))

_MINUTE, _HOUR = 60.0, 3600.0
WAITED = Spread(
    "kugetsu_job_wait_seconds",
    "Time from the queue to the agent's start.",
    ("server", "recipe"),
    (1, 5, 15, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 4 * _HOUR, 12 * _HOUR, 24 * _HOUR),
)
RAN = Spread(
    "kugetsu_job_run_seconds",
    "Time from the agent's start to its end.",
    ("server", "recipe"),
    (5, 15, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 20 * _MINUTE, 40 * _MINUTE, _HOUR, 2 * _HOUR),
)

COUNTS = (DELIVERIES, ENDED, AGAIN, TOKENS, COST, GITEA_RETRIES)
SPREADS = (WAITED, RAN)


def add(db: Database, what: Count, amount: float = 1.0, **labels: str) -> None:
    """Add `amount` to the counter with these labels."""
    _add(db, what.name, labels, amount)


def observe(db: Database, what: Spread, seconds: float, **labels: str) -> None:
    """Count one that took so long."""
    bound = next((bound for bound in what.bounds if seconds <= bound), None)
    _add(db, f"{what.name}_bucket", {**labels, "le": "+Inf" if bound is None else f"{bound:g}"}, 1.0)
    _add(db, f"{what.name}_sum", labels, max(0.0, seconds))


def stored(db: Database, deliveries: Iterable[tuple[str, str, str]]) -> None:
    """Count deliveries: the server, the source and the verdict of each."""
    for (server, source, verdict), number in sorted(Counter(deliveries).items()):
        add(db, DELIVERIES, number, server=server, source=source, verdict=verdict)


def moved(db: Database, job_id: int, source: State, target: State, *, at: float) -> None:
    """Count what the move of a job from `source` to `target` means; its row says already that it was made."""
    row = _JOB.run(db, job=job_id).fetchone()
    if row is None:
        return
    server, repo, recipe, outcome, queued_at, started_at, tokens_in, tokens_out, cost = row
    of = {"server": server, "repo": repo, "recipe": recipe}
    match (source, target):
        case ("queued", "running"):
            observe(db, WAITED, at - (queued_at if queued_at is not None else at), server=server, recipe=recipe)
        case ("running", "queued"):
            add(db, AGAIN, **of)
        case ("running", "reporting"):
            observe(db, RAN, at - (started_at if started_at is not None else at), server=server, recipe=recipe)
        case ("reporting", "done"):
            add(db, ENDED, **of, outcome=str(outcome))
            for direction, number in (("in", tokens_in), ("out", tokens_out)):
                if number:
                    add(db, TOKENS, number, **of, direction=direction)
            if cost:
                add(db, COST, cost, **of)
        case _:
            pass  # into the queue, or out of it without having run: counted when it is done


def read(db: Database) -> Figures:
    """Every figure by its name and labels; the name of a histogram has `_bucket` or `_sum` at its end."""
    found: Figures = {}
    for name, labels, value in Tally.select(Tally.name, Tally.labels, Tally.value).tuples().execute(db):
        found.setdefault(name, {})[tuple(sorted(msgspec.json.decode(labels).items()))] = float(value)
    return found


def _add(db: Database, name: str, labels: dict[str, str], amount: float) -> None:
    _ADD.run(db, name=name, labels=msgspec.json.encode(labels, order="sorted").decode(), value=float(amount))


_ADD = Prepared(
    lambda: Tally.insert(**slots("name", "labels", "value")).on_conflict(
        conflict_target=[Tally.name, Tally.labels], update={Tally.value: Tally.value + EXCLUDED.value}
    )
)
_JOB = Prepared(
    lambda: (
        Job.select(
            *(Repo.server, Repo.name, Job.base, Job.outcome, Job.queued_at, Job.started_at),
            *(Job.tokens_in, Job.tokens_out, Job.cost),
        )
        .join(Repo)
        .where(Job.id == slot("job"))
    )
)
