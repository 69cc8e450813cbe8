"""What a claim costs with 10 and with 10,000 queued jobs, and how soon an idle worker claims.

The peer is the shorter queue in the same run.
"""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path

from peewee import Database

from jobs.queue import Bells, Lane
from models import ledger, opening, store
from models.events import Person
from models.intake import Asks, NewAsk
from models.moves import Outcome, State
from models.store import Incoming, NewDelivery
from models.tables import Job

SHORT, LONG, ROUNDS = 10, 10_000, 200
REPOS = 20


def measure(folder: Path) -> dict[str, object]:
    """Medians in milliseconds, and the ratio of the long queue to the short one."""
    short, long = (_claims(folder, size) for size in (SHORT, LONG))
    return {
        f"claim with {SHORT} queued, median ms": round(short, 3),
        f"claim with {LONG} queued, median ms": round(long, 3),
        "ratio": round(long / short, 2),
        "idle lane: from the ring to its answer, median ms": round(_ring(folder), 1),
    }


def _claims(folder: Path, size: int) -> float:
    database = opening.open_database(folder / f"{size}.db")
    opening.migrate(database, folder / "lock", capacity=1)
    with database.connection_context():
        _fill(database, size)
        times = [_claim(database) for _ in range(min(ROUNDS, size - 1))]
    return statistics.median(times) * 1000


def _fill(database: Database, size: int) -> None:
    for start in range(0, size, 500):
        store.accept_many(database, [_incoming(number) for number in range(start, min(start + 500, size))])
    # As if the desk had admitted them all, which it does one by one.
    Job.update(state=State.QUEUED, queued_at=Job.id).execute(database)


def _incoming(number: int) -> Incoming:
    ask = NewAsk(key=f"comment:{number}:0", verb="code", author=Person(1, "ada"), said_at=1.0)
    delivery = NewDelivery(
        server="gitea", source="webhook", uuid="", event_type="issue_comment", headers={}, body="", received_at=1.0
    )
    return Incoming(delivery, Asks(f"acme/r{number % REPOS}", number, is_pull=False, title="", asks=(ask,)))


def _claim(database: Database) -> float:
    """Seconds for one claim; the job is then ended, so that the next may start."""
    began = time.perf_counter()
    claimed = ledger.claim_next(database, "bench", now=1e6, lease=60)
    took = time.perf_counter() - began
    assert claimed is not None, "nothing was claimed"
    ledger.settle(database, claimed, Outcome.COMPLETED, now=1e6, reason="bench")
    return took


def _ring(folder: Path) -> float:
    heard = threading.Event()
    bells = Bells(folder / "queue.db")
    bells.answer({Lane.DESK: (1, heard.set)})
    delays = []
    for _ in range(20):
        heard.clear()
        rung = time.perf_counter()
        bells.ring(Lane.DESK)
        heard.wait(10)
        delays.append(time.perf_counter() - rung)
    bells.stop(5)
    bells.close()
    return statistics.median(delays) * 1000
