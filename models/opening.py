"""Opening the database, and bringing it up to date."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from peewee import Database, OperationalError, PeeweeException, SqliteDatabase
from playhouse import migrations

from models import trouble
from models.refusal import Refused
from models.tables import Intake

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"

RESTORING = "+restoring"
"""The folder in a home in which a restore has begun, and not ended."""

PAUSE_SECONDS, REMIND_SECONDS = 0.5, 60.0
"""How often a database that cannot be used is tried again, and how often that is said."""


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
    return _Kept(str(path), pragmas=pragmas, timeout=busy_timeout, lock_type="IMMEDIATE", factory=_Connection)


class _Connection(sqlite3.Connection):
    """Knows which file it has opened."""

    file: tuple[int, int] | None = None


class _Kept(SqliteDatabase):
    """One that stores nothing in a file that somebody has taken away, and makes no other in its place.

    SQLite goes on with the file that it has opened, wherever that is, and says that all is well
    (https://sqlite.org/howtocorrupt.html, section 2.4).
    """

    _found = False

    def _connect(self) -> _Connection:
        if self._found and _file_at(self.database) is None:
            raise sqlite3.OperationalError(trouble.GONE)
        made: _Connection = super()._connect()  # type: ignore[misc]
        made.file, self._found = _file_at(self.database), True
        return made

    def _refuse_where_gone(self) -> None:
        if self.connection().file != _file_at(self.database):  # type: ignore[no-untyped-call]
            raise OperationalError(trouble.GONE)

    def begin(self, lock_type: str | None = None) -> None:
        self._refuse_where_gone()
        super().begin(lock_type)

    def execute_sql(self, sql: str, params: Any = None) -> Any:
        self._refuse_where_gone()
        return super().execute_sql(sql, params)  # type: ignore[no-untyped-call]


def _file_at(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - asked before each statement
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _only_one(lock_path: Path) -> Iterator[None]:
    with lock_path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class DatabaseRefused(Refused):
    """This database is not worked with before somebody has done something; the message says what would be right."""


class DatabaseTooNew(DatabaseRefused):
    """A newer version of Kugetsu has been at work on it."""


class DatabaseLost(DatabaseRefused):
    """There is none where there was one. In a new one numbers of jobs would be given again, and folders of old jobs
    taken for those of new ones.
    """


def migrate(db: Database, lock_path: Path, *, capacity: int) -> list[str]:
    """Bring the schema up to date, one process at a time, and return the names of the migrations that ran: each whole
    or not at all. `capacity` is how many agents may run, if nobody has said otherwise yet.

    Raises DatabaseRefused, and peewee's errors where the database cannot be used.
    """
    with _only_one(lock_path), _begun(db).connection_context():
        _refuse_newer(db)
        ran: list[str] = migrations.run(db, str(MIGRATIONS))
        first = Intake.insert(id=1, capacity=capacity, configured=capacity)
        first.on_conflict(action="NOTHING", conflict_target=[Intake.id]).execute(db)
    return ran


def pending(db: Database) -> list[str]:
    """The names of the migrations that have not run yet. Raises DatabaseTooNew."""
    _refuse_newer(db)
    applied = set(migrations.Runner(db, str(MIGRATIONS)).applied())
    return sorted({path.stem for path in MIGRATIONS.glob("[0-9]*.py")} - applied)


def _begun(db: Database) -> Database:
    """A new file of SQLite's is to be one that gives its space back; that has to be said before anything is written,
    and once only, since saying it is a write.
    """
    if isinstance(db, SqliteDatabase) and _is_missing(Path(db.database)):
        _refuse_lost(Path(db.database))
        with closing(sqlite3.connect(db.database)) as new:
            new.execute("PRAGMA auto_vacuum = incremental")
            new.execute("PRAGMA journal_mode = wal")
    return db


def _is_missing(path: Path) -> bool:
    """Whether there is no such file, or an empty one: SQLite takes the one for the other."""
    return not path.exists() or path.stat().st_size == 0


def _refuse_lost(path: Path) -> None:
    if (path.parent / RESTORING).is_dir():
        raise DatabaseLost(f"{path.parent} is only half restored; right would be to run the restore again")
    jobs = path.parent / "jobs"
    if jobs.is_dir() and any(folder.name.isdecimal() for folder in jobs.iterdir()):
        raise DatabaseLost(
            f"{path} is gone, but there are jobs of it in {jobs}; right would be to move {path.parent} away, and to "
            "restore a backup or to begin anew"
        )


def _refuse_newer(db: Database) -> None:
    """A migration that has run and that we do not know: columns may mean something else by now."""
    unknown = sorted(
        set(migrations.Runner(db, str(MIGRATIONS)).applied()) - {path.stem for path in MIGRATIONS.glob("[0-9]*.py")}
    )
    if unknown:
        raise DatabaseTooNew(
            f"{db.database} was written by a newer version of Kugetsu ({unknown[-1]}); right would be that version, or "
            "a backup from before it"
        )


def migrate_patiently(db: Database, lock_path: Path, *, capacity: int, stop: threading.Event) -> bool:
    """`migrate`, as soon as the database can be used; False where `stop` was set before. Raises DatabaseRefused."""
    told = 0.0
    while not stop.is_set():
        try:
            for name in migrate(db, lock_path, capacity=capacity):
                log.info("the database was brought up to date: %s", name)
            return True
        except (PeeweeException, OSError) as error:
            if (words := trouble.of_storage(error)) is None:
                raise
            if time.monotonic() >= told:
                told = time.monotonic() + REMIND_SECONDS
                log.warning("%s cannot be used, and is tried again until it can: %s", db.database, words)
        stop.wait(PAUSE_SECONDS)
    return False


def probe(db: Database) -> None:
    """Write a row as it is, to the disk: raises what storing would raise now."""
    with db.connection_context(), db.atomic():
        Intake.update(capacity=Intake.capacity).execute(db)
