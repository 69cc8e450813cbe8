"""What is no longer needed in the tables: which rows go, and how their space is given back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from peewee import SQL, Database, Expression, ModelSelect, SqliteDatabase, fn

from models.moves import State
from models.side_tables import Notification
from models.tables import Ask, Delivery, Heard, Job, Repo, Thread

CHUNK = 200
"""Deliveries, or notifications, that go in one transaction: few enough that none that comes meanwhile waits long."""

PAGES_AT_ONCE = 500
"""Pages given back in one transaction, likewise."""

REST_SECONDS = 0.2
"""Between two such transactions. Who waits for SQLite's lock looks again every 0.1 s (sqliteDefaultBusyCallback in its
main.c), and locks are not given in the order of waiting: with shorter rests others were kept waiting for seconds.
"""

LEAST_BYTES = 4 * 1024 * 1024
"""Less room than this inside the file is not worth the writing: new rows fill it."""

_INCREMENTAL = 2
"""`PRAGMA auto_vacuum` of a database that can give pages back one by one (https://sqlite.org/pragma.html)."""


def drop_deliveries(db: Database, *, before: float) -> int:
    """Take away some of the deliveries that came before that moment; how many, 0 once there are none."""
    return _drop_some(db, Delivery, Delivery.received_at < before)


def drop_notifications(db: Database, *, before: float) -> int:
    """Likewise of the notifications made before then, but for those that are still to arrive."""
    over = Notification.sent_at.is_null(False) | Notification.given_up
    return _drop_some(db, Notification, (Notification.made_at < before) & over)


def _drop_some(db: Database, model: type[Delivery | Notification], old: Expression) -> int:
    some = model.select(model.id).where(old).limit(CHUNK)
    return int(model.delete().where(model.id.in_(some)).execute(db))


def quiet_threads(db: Database, *, before: float) -> list[int]:
    """The conversations in which nothing has happened since and nothing is left to do, the longest quiet first."""
    rows = Thread.select(Thread.id).where(_is_quiet(before)).order_by(Thread.updated_at)
    return [int(row.id) for row in rows.execute(db)]


def is_quiet(db: Database, thread_id: int, *, before: float) -> bool:
    """Whether that is still so of this one."""
    return bool(Thread.select().where((Thread.id == thread_id) & _is_quiet(before)).exists(db))


def _is_quiet(before: float) -> Expression:
    """The newest job and the newest ask stay, since SQLite would give their numbers again, and what we have written on
    Gitea names them.
    """
    at_work = Job.select(SQL("1")).where((Job.thread == Thread.id) & (Job.state != State.DONE))
    undecided = Ask.select(SQL("1")).where((Ask.thread == Thread.id) & Ask.verdict.is_null())
    newest_job = Job.select(SQL("1")).where((Job.thread == Thread.id) & (Job.id == _newest(Job)))
    newest_ask = Ask.select(SQL("1")).where((Ask.thread == Thread.id) & (Ask.id == _newest(Ask)))
    seen_to = (Thread.desk_wanted == Thread.desk_seen) & (Thread.look_wanted == Thread.look_seen)
    quiet: Expression = (Thread.updated_at < before) & seen_to & Thread.desk_worker.is_null()
    for rows in (at_work, undecided, newest_job, newest_ask):
        quiet = quiet & ~fn.EXISTS(rows)
    return quiet


def _newest(model: type[Job | Ask]) -> ModelSelect[Any]:
    """Select the highest number."""
    every = model.alias()
    return every.select(fn.MAX(every.id))


def forget_thread(db: Database, thread_id: int, *, before: float) -> bool:
    """Take a quiet conversation away with its jobs and asks. What was heard in it is not heard again, however often it
    arrives. False, and nothing changed, where it is not quiet any more.
    """
    with db.atomic():
        if not is_quiet(db, thread_id, before=before):
            return False
        keys = Ask.select(Ask.key).where(Ask.thread == thread_id)
        Heard.insert_from(keys, [Heard.key]).on_conflict(action="NOTHING", conflict_target=[Heard.key]).execute(db)
        return bool(Thread.delete().where(Thread.id == thread_id).execute(db))


def jobs_of(db: Database, thread_id: int) -> list[int]:
    """The numbers of a conversation's jobs."""
    return [int(job.id) for job in Job.select(Job.id).where(Job.thread == thread_id).execute(db)]


def folders_with_threads(db: Database) -> set[tuple[str, str]]:
    """Server and folder of each repository in which there is a conversation."""
    rows = Thread.select(Repo.server, Repo.folder).join(Repo).distinct().tuples().execute(db)
    return {(str(server), str(folder)) for server, folder in rows}


def needed_logs(db: Database, *, since: float) -> set[int]:
    """The jobs whose folders are needed: those that have not ended, or since then only."""
    needed = (Job.state != State.DONE) | (Job.finished_at >= since)
    return {int(job.id) for job in Job.select(Job.id).where(needed).execute(db)}


def is_idle(db: Database, *, now: float, quiet_for: float) -> bool:
    """Whether nothing runs and nothing has come for so many seconds."""
    busy = Job.select().where(Job.state == State.RUNNING).exists(db)
    return not busy and not Delivery.select().where(Delivery.received_at > now - quiet_for).exists(db)


def give_back(
    db: SqliteDatabase, *, idle: bool, room: int, rest: Callable[[], object], least: int = LEAST_BYTES
) -> int:
    """Give the space of rows that are gone back to the disk; how many bytes. It is done in small steps, and `rest` is
    called between them. `room` is how many bytes are free there: a database of an older version has to be written anew
    once, which is done only while all is `idle`.
    """
    before = _size(db)
    if _pragma(db, "freelist_count") * _pragma(db, "page_size") < least:
        return 0
    if _pragma(db, "auto_vacuum") == _INCREMENTAL:
        while _pragma(db, "freelist_count"):
            # As a script: SQLite gives one page back at each step, and a cursor takes one step where there is no row.
            db.connection().executescript(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})")  # type: ignore[no-untyped-call]
            rest()
    elif idle and room > 2 * before:
        db.execute_sql("PRAGMA auto_vacuum = incremental")  # type: ignore[no-untyped-call]
        db.execute_sql("VACUUM")  # type: ignore[no-untyped-call]
    db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # type: ignore[no-untyped-call]
    return before - _size(db)


def _pragma(db: SqliteDatabase, name: str) -> int:
    return int(db.pragma(name))


def _size(db: SqliteDatabase) -> int:
    return _pragma(db, "page_count") * _pragma(db, "page_size")
