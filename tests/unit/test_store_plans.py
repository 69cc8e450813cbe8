"""What is asked of the database all the time finds its rows by an index, however many there are."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from peewee import SqliteDatabase

from models import closing, ledger, outlook, speakers, store, threads
from models.intake import Asks, Look
from models.ledger import Claimed
from models.store import Incoming
from models.tables import Ask
from tests.unit.storing import APP, comment, delivery, hear, limit, new_ask, queue, say

SMALL = {"repo", "server", "intake", "sqlite_master"}
"""Tables of few rows, which may be read whole: a row for each repository that somebody asked in, and one."""


PARTIAL = (["thread_due"], ["job_one_running"], ["job_completed"])
"""Indexes that hold only what is due or runs; of what has completed, in their order, only the last are read."""


@contextmanager
def statements(db: SqliteDatabase) -> Iterator[list[str]]:
    """The statements that are run meanwhile, with their values."""
    seen: list[str] = []
    plain_connection(db).set_trace_callback(seen.append)
    yield seen
    plain_connection(db).set_trace_callback(None)


def plain_connection(db: SqliteDatabase) -> sqlite3.Connection:
    connection: sqlite3.Connection = db.connection()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
    return connection


def plan_of(db: SqliteDatabase, statement: str) -> list[str]:
    """How SQLite goes about `statement`, a line for each table."""
    return [row[3] for row in plain_connection(db).execute(f"EXPLAIN QUERY PLAN {statement}")]


def scans(db: SqliteDatabase, statement: str) -> set[str]:
    """The tables that `statement` reads from one end to the other."""
    tables = {alias: table for table, alias in re.findall(r'"(\w+)" AS "(\w+)"', statement)}
    lines = (re.match(r"SCAN (\w+)(.*)", line) for line in plan_of(db, statement))
    found = {str(match[1]) for match in lines if match and match[2].split()[-1:] not in PARTIAL}
    return {tables.get(name, name) for name in found if name != "CONSTANT"}


def undecided(db: SqliteDatabase) -> Ask:
    """What was said on the first thread and is not decided."""
    return threads.pending_asks(db, 1)[0]


ACTIONS: dict[str, Callable[[SqliteDatabase], object]] = {
    "claim": lambda db: ledger.claim_next(db, "one", now=10.0, lease=30.0),
    "outlooks": lambda db: outlook.outlooks(db, now=10.0),
    "positions": lambda db: ledger.positions(db, now=10.0),
    "take_thread": lambda db: threads.take_thread(db, "one", now=10.0, lease=60.0),
    "any_due": lambda db: threads.any_due(db, now=10.0),
    "pending_asks": lambda db: threads.pending_asks(db, 1),
    "unreported": lambda db: threads.unreported(db, 1),
    "open_jobs": lambda db: threads.open_jobs(db, 1),
    "recent_jobs": lambda db: threads.recent_jobs(db, 1, 5),
    "asks_of": lambda db: ledger.asks_of(db, 1),
    "mark_told": lambda db: ledger.mark_told(db, 1, 1, now=5.0),
    "renew": lambda db: ledger.renew(db, Claimed(1, 1), until=99.0),
    "cancel": lambda db: ledger.request_cancel(db, 1, "ann", now=10.0),
    "admit": lambda db: threads.admit(db, undecided(db), threads.load(db, 1), now=2.0),
    "refuse": lambda db: threads.refuse(db, undecided(db), "may not", now=2.0),
    "asked_before": lambda db: closing.asked_before(db, 1, undecided(db)),
    "places": lambda db: speakers.places(db, ledger.job_of(db, 1), threads.load(db, 1)),
    "threads_at": lambda db: speakers.threads_at(db, undecided(db)),
    "labelled": lambda db: speakers.labelled(db, threads.load(db, 1)),
    "look": lambda db: hear(db, Look(APP, 13, is_pull=True, reviews_from=5.0)),
    "accept on a pull request": lambda db: hear(db, Asks(APP, 13, True, "", (new_ask("code", 78),))),
    "accept": lambda db: store.accept_many(db, [Incoming(delivery(), comment(new_ask("code", 77)))]),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_no_table_that_grows_is_read_from_end_to_end(db: SqliteDatabase, name: str) -> None:
    limit(db, capacity=9)
    for issue in range(7, 10):
        queue(db, issue=issue)
    say(db)
    with statements(db) as seen:
        ACTIONS[name](db)
    queries = [text for text in seen if re.match("SELECT|UPDATE", text)]
    assert queries
    for text in queries:
        assert scans(db, text) <= SMALL, text


def test_a_claim_and_the_desk_use_the_indexes_made_for_them(db: SqliteDatabase) -> None:
    queue(db)
    with statements(db) as seen:
        ACTIONS["claim"](db)
        ACTIONS["take_thread"](db)
    plans = [str(plan_of(db, text)) for text in seen if '"t' in text]
    for index in ("job_in_line (state=? AND repo_id=?)", "job_one_running (thread_id=?)", "thread_due"):
        assert any(index in plan for plan in plans), plans
