"""Opening the database, bringing it up to date, and storing what arrives."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from peewee import Database, SqliteDatabase, fn
from playhouse import migrations

from models.events import Person
from models.gathering import gather
from models.intake import Asks, Decision, Ignore, Look, NewAsk
from models.tables import Ask, Delivery, Intake, Repo, Server, Thread

WORK_VERBS = frozenset({"code", "research", "review", "continue", "retry"})
"""Verbs that become a job at once; the desk answers the others itself."""


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A verified delivery as it came. `source` is `webhook`, `reconcile` or `replay`."""

    server: str
    source: str
    uuid: str
    event_type: str
    headers: dict[str, str]
    body: str
    received_at: float


class Incoming(msgspec.Struct, frozen=True):
    """A delivery and what it asks."""

    delivery: NewDelivery
    decision: Decision


class Accepted(msgspec.Struct, frozen=True):
    """What became of a delivery: `accepted`, `duplicate` or `ignored`, and a sentence."""

    delivery_id: int
    verdict: str
    detail: str


def open_database(path: Path, *, busy_timeout: float = 5.0) -> SqliteDatabase:
    """The database at `path`, durable (WAL, synchronous FULL: a commit has reached the disk).

    A write lock is taken at BEGIN, since a later upgrade fails at once whatever the time-out says.
    """
    pragmas = {
        "journal_mode": "wal",
        "synchronous": "full",
        "foreign_keys": 1,
        "journal_size_limit": 67_108_864,
    }
    return SqliteDatabase(str(path), pragmas=pragmas, timeout=busy_timeout, lock_type="IMMEDIATE")


@contextmanager
def _only_one(lock_path: Path) -> Iterator[None]:
    with lock_path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def migrate(db: Database, lock_path: Path, *, capacity: int) -> list[str]:
    """Bring the schema up to date, one process at a time, and return the names of the migrations that ran.
    `capacity` is how many agents may run, if nobody has said otherwise yet.
    """
    folder = Path(__file__).parent / "migrations"
    with _only_one(lock_path), db.connection_context():
        ran: list[str] = migrations.run(db, str(folder))
        Intake.insert(id=1, capacity=capacity).on_conflict_ignore().execute(db)
    return ran


def bot_of(db: Database, server: str) -> Person | None:
    """Our own account on `server`, as a worker last saw it."""
    row = Server.select().where(Server.name == server).first(db)
    if row is None or row.bot_id is None:
        return None
    return Person(row.bot_id, row.bot_login or "")


def accept_many(db: Database, items: Sequence[Incoming]) -> list[Accepted]:
    """Store all `items` with what they ask, in one transaction. Raises peewee's OperationalError where it cannot."""
    with db.atomic():
        return [_accept(db, item) for item in items]


def _accept(db: Database, item: Incoming) -> Accepted:
    decision = item.decision
    match decision:
        case Ignore(reason):
            return _store(db, item.delivery, decision, "ignored", reason)
        case Look(repo, issue):
            want_look(db, item.delivery.server, decision, now=item.delivery.received_at)
            detail = f"will look at the labels of {repo}#{issue}"
            return _store(db, item.delivery, decision, "accepted", detail)
        case Asks():
            return _accept_asks(db, item.delivery, decision)


def _accept_asks(db: Database, delivery: NewDelivery, asks: Asks) -> Accepted:
    stored = _store(db, delivery, asks, "accepted", "")
    thread = thread_of(db, delivery.server, asks, now=delivery.received_at)
    new = _heard(db, delivery.server, thread, asks, stored.delivery_id)
    verdict = "accepted" if new else "duplicate"
    words = ", ".join(ask.verb for ask in new)
    where = f"{asks.repo}#{asks.issue}"
    detail = f"{words} on {where}" if new else f"this comment on {where} has already been heard"
    Delivery.update(verdict=verdict, detail=detail).where(Delivery.id == stored.delivery_id).execute(db)
    return Accepted(stored.delivery_id, verdict, detail)


def _heard(db: Database, server: str, thread: Thread, asks: Asks, delivery_id: int) -> list[NewAsk]:
    """Store what of `asks` is new: all or nothing, since a comment that has spoken once never speaks again, however it
    is edited.
    """
    first, *others = asks.asks
    if not add_ask(db, thread, first, server, delivery_id):
        return []
    return [first, *(ask for ask in others if add_ask(db, thread, ask, server, delivery_id))]


def _store(db: Database, delivery: NewDelivery, decision: Decision, verdict: str, detail: str) -> Accepted:
    row: dict[str, Any] = {**msgspec.structs.asdict(delivery), "headers": json.dumps(delivery.headers)}
    about = {"repo": decision.repo, "issue": decision.issue, "verdict": verdict, "detail": detail}
    number = Delivery.insert(**row, **about).execute(db)
    return Accepted(int(number), verdict, detail)


def thread_of(db: Database, server: str, where: Look | Asks, *, now: float) -> Thread:
    """The thread of this issue, made where it is missing."""
    repo = _repo_of(db, server, where.repo)
    values = {
        "server": server,
        "repo": repo,
        "issue": where.issue,
        "is_pull": where.is_pull,
        "updated_at": now,
    }
    Thread.insert(**values).on_conflict_ignore().execute(db)
    thread = Thread.select().where((Thread.repo == repo) & (Thread.issue == where.issue)).get(db)
    title = where.title if isinstance(where, Asks) else ""
    if title and title != thread.title:
        Thread.update(title=title).where(Thread.id == thread.id).execute(db)
        thread.title = title
    return thread


def _repo_of(db: Database, server: str, name: str) -> Repo:
    Repo.insert(server=server, name=name).on_conflict_ignore().execute(db)
    return Repo.select().where((Repo.server == server) & (Repo.name == name)).get(db)


def want_look(db: Database, server: str, look: Look, *, now: float | None = None) -> None:
    """Have the desk re-read the labels of this issue."""
    thread = thread_of(db, server, look, now=now if now is not None else time.time())
    raised = {"look_wanted": Thread.look_wanted + 1, "desk_wanted": Thread.desk_wanted + 1}
    Thread.update(**raised).where(Thread.id == thread.id).execute(db)


def add_ask(db: Database, thread: Thread, ask: NewAsk, server: str, delivery_id: int | None) -> bool:
    """Store what somebody said, with the job it belongs to; False where it is known already."""
    values: dict[str, Any] = {**msgspec.structs.asdict(ask), "key": f"{server}:{ask.key}"}
    author = values.pop("author")
    row = Ask.insert(
        **values, author=author.login, author_id=author.id, thread=thread.id, delivery=delivery_id
    ).on_conflict_ignore()
    if row.as_rowcount().execute(db) == 0:
        return False
    stored = Ask.select().where(Ask.key == f"{server}:{ask.key}").get(db)
    raised: dict[str, Any] = {"desk_wanted": Thread.desk_wanted + 1}
    if ask.verb in WORK_VERBS or ask.verb.startswith("recipe:"):
        gather(db, stored, thread)
    else:
        raised["urgent"] = True
    Thread.update(**raised).where(Thread.id == thread.id).execute(db)
    return True


def count_by(db: Database, column: Any) -> dict[str, int]:
    """How many rows there are of each value of `column`."""
    rows = column.model.select(column, fn.COUNT(column.model.id)).group_by(column).tuples().execute(db)
    return {str(value): int(count) for value, count in rows}
