"""One line of the log for each move of a job and each delivery stored, with fields that a log store can search by.

A line is written when its statement has run. Should the transaction around it fail to reach the disk, the line says
more than happened; the table of moves never does.
"""

from __future__ import annotations

import logging
from typing import Any

from peewee import Database, fn

from models.moves import State
from models.prepared import Prepared, slot
from models.tables import Ask, Job, Repo, Thread

FIELDS = ("job", "server", "repo", "issue", "delivery", "recipe", "source", "target", "outcome", "worker", "reason")
"""What a line may carry as attributes of its record, beside its text."""

_log = logging.getLogger("kugetsu.moves")
_deliveries = logging.getLogger("kugetsu.deliveries")


def moved(
    db: Database,
    job_id: int,
    source: State | None,
    target: State,
    *,
    reason: str,
    outcome: Any = None,
    worker: str | None = None,
) -> None:
    """Say that a job went from `source` to `target`."""
    if not _log.isEnabledFor(logging.INFO) or (row := _ABOUT.run(db, job=job_id).fetchone()) is None:
        return
    server, repo, issue, recipe, delivery = row
    ended = None if outcome is None else str(outcome)
    fields = {"job": job_id, "server": server, "repo": repo, "issue": issue, "delivery": delivery, "recipe": recipe}
    fields |= {"source": source and str(source), "target": str(target), "outcome": ended}
    fields |= {"worker": worker, "reason": reason}
    way = f"{source or 'new'} -> {target}" + (f" ({ended})" if ended else "")
    _log.info("job %d %s %s#%d: %s: %s", job_id, server, repo, issue, way, reason, extra=fields)


def stored(delivery: int, *, server: str, source: str, repo: str, issue: int | None, verdict: str, detail: str) -> None:
    """Say what was made of a delivery."""
    about = {"delivery": delivery, "server": server, "repo": repo, "issue": issue, "reason": detail}
    _deliveries.info("delivery %d (%s, %s): %s: %s", delivery, source, server, verdict, detail, extra=about)


_ABOUT = Prepared(
    lambda: (
        Job.select(
            Repo.server,
            Repo.name,
            Thread.issue,
            Job.recipe,
            Ask.select(fn.MIN(Ask.delivery)).where(Ask.job == slot("job")),
        )
        .join(Repo, on=(Job.repo == Repo.id))
        .join(Thread, on=(Job.thread == Thread.id))
        .where(Job.id == slot("job"))
    )
)
