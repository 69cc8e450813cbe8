"""Databases that were left in the middle of something, by an older version, or by a newer one."""

import itertools
import multiprocessing
import os
import shutil
import signal
import sqlite3
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from peewee import SQL, Table
from playhouse import migrations

from models import limits, opening, store
from models.intake import Look
from models.store import Incoming
from models.tables import Delivery
from tests.storage.conftest import start_refused
from tests.unit.storing import delivery, new_store, queue

SPAWN = multiprocessing.get_context("spawn")
LIMIT = 30.0
FRAME_HEADER = 24

SLOW = """
import os, time
from pathlib import Path

def up(migrator, db):
    db.execute_sql("ALTER TABLE delivery ADD COLUMN extra TEXT")
    db.execute_sql("UPDATE delivery SET extra = 'half-way'")
    Path(os.environ["HALF_WAY"]).touch()
    while os.environ.get("HURRY") is None:
        time.sleep(0.01)
"""


def store_for_ever(home: str, told: Connection) -> None:
    """Store deliveries one by one, saying of each that it is stored."""
    database = opening.open_database(Path(home) / "kugetsu.db")
    number = 0
    while True:
        number += 1
        store.accept_many(database, [Incoming(delivery(uuid=str(number), body="x" * 5000), Look("a/b", number, False))])
        told.send(number)


def test_after_kill_9_and_with_a_torn_wal_everything_acknowledged_is_there(tmp_path: Path) -> None:
    new_store(tmp_path).close()
    hears, told = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=store_for_ever, args=(str(tmp_path), told))
    process.start()
    acknowledged = 0
    while acknowledged < 20:
        assert hears.poll(LIMIT), "nothing was stored"
        acknowledged = hears.recv()
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    while hears.poll():
        try:
            acknowledged = hears.recv()
        except EOFError:
            break
    tear(tmp_path / "kugetsu.db-wal")
    database = new_store(tmp_path)
    with database.connection_context():
        assert database.pragma("integrity_check") == "ok"
        kept = {row.uuid for row in Delivery.select(Delivery.uuid).execute(database)}
    assert kept >= {str(number) for number in range(1, acknowledged + 1)}


def tear(wal: Path) -> None:
    """As when the power goes while a commit is written: the header of its first page, half of that, and no more."""
    whole = wal.read_bytes()
    with wal.open("ab") as file:
        file.write(whole[32 : 32 + FRAME_HEADER + 2048])


def migrate_there(home: str, folder: str) -> list[str]:
    opening.MIGRATIONS = Path(folder)
    return opening.migrate(opening.open_database(Path(home) / "kugetsu.db"), Path(home) / "migrate.lock", capacity=3)


def first_tables() -> Any:
    """The tables as the first version had them: the models frozen in its migration."""
    return migrations.Migration.load_directory(str(opening.MIGRATIONS))[0].load()


def rows_of(home: Path) -> dict[str, list[Any]]:
    """Every row of the first version's tables, without what later versions have added."""
    database = opening.open_database(home / "kugetsu.db")
    tables = first_tables().TABLES
    with database.connection_context(), database.bind_ctx(tables):
        return {table.__name__: list(table.select().order_by(SQL("1")).tuples()) for table in tables}


@pytest.fixture
def first_version(tmp_path: Path) -> Path:
    """The home of a service of the first version, with something in its tables."""
    home, old = tmp_path / "home", tmp_path / "old"
    home.mkdir()
    old.mkdir()
    shutil.copy(opening.MIGRATIONS / "0001_initial.py", old)
    database = opening.open_database(home / "kugetsu.db")
    first = first_tables()
    with database.connection_context(), database.bind_ctx(first.TABLES):
        migrations.run(database, str(old))
    with database.connection_context(), database.bind_ctx(first.TABLES), database.atomic():
        first.Intake.create(id=1, capacity=5, configured=3, paused=True, reason="tea")
        repo = first.Repo.create(server="gitea", name="acme/app", turn=4)
        for number in range(1, 51):
            thread = first.Thread.create(
                server="gitea", repo=repo, issue=number, updated_at=1.0, session=f"ses_{number}"
            )
            job = first.Job.create(thread=thread, repo=repo, recipe="code", asked_by="ann", asked_at=1.0)
            came = first.Delivery.create(**delivered(number))
            person = {"author": "ann", "author_id": 1, "said_at": 1.0, "said_on": number}
            first.Ask.create(
                key=f"gitea:comment:{number}:0", thread=thread, job=job, delivery=came, verb="code", **person
            )
            first.Move.create(job=job, at=1.0, target="asked")
    database.close()
    return home


def delivered(number: int) -> dict[str, Any]:
    about = {"repo": "acme/app", "verdict": "accepted", "detail": "", "headers": "{}", "body": "{}", "received_at": 1.0}
    return {"server": "gitea", "source": "webhook", "uuid": str(number), "event_type": "issue_comment", **about}


def test_a_filled_database_of_the_first_version_is_brought_up_to_date(first_version: Path) -> None:
    before = rows_of(first_version)
    assert len(before["Job"]) == 50
    database = new_store(first_version)
    assert rows_of(first_version) == before
    with database.connection_context():
        assert database.pragma("integrity_check") == "ok"
        assert database.pragma("foreign_key_check") is None
        assert (limits.of(database).capacity, limits.of(database).held) == (5, None)
        assert queue(database, issue=500).state == "queued"


def test_a_migration_killed_half_way_leaves_the_database_as_it_was_and_is_done_by_the_next(
    first_version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(opening.MIGRATIONS, folder)
    (folder / "9999_slow.py").write_text(SLOW)
    monkeypatch.setenv("HALF_WAY", str(tmp_path / "half-way"))
    before = rows_of(first_version)
    process = SPAWN.Process(target=migrate_there, args=(str(first_version), str(folder)))
    process.start()
    until = time.monotonic() + LIMIT
    while not (tmp_path / "half-way").exists():
        assert time.monotonic() < until, "the migration did not begin"
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    new_store(first_version).close()
    assert rows_of(first_version) == before
    assert "extra" not in columns(first_version, "delivery")
    monkeypatch.setenv("HURRY", "1")
    monkeypatch.setattr(opening, "MIGRATIONS", folder)
    assert migrate_there(str(first_version), str(folder)) == ["9999_slow"]
    assert "extra" in columns(first_version, "delivery")


def migrate_killed_at(home: Path, last: int) -> int:
    """Migrate in a process of its own, killed before its statement number `last`; the exit code, -9 if it was."""
    if (pid := os.fork()) == 0:
        connect, count = opening._Kept._connect, itertools.count(1)

        def one_more(statement: str) -> None:
            if not statement.startswith(("SELECT", "PRAGMA")) and next(count) == last:
                os.kill(os.getpid(), signal.SIGKILL)

        def connected(database: Any) -> Any:
            made = connect(database)
            made.set_trace_callback(one_more)
            return made

        opening._Kept._connect = connected  # type: ignore[method-assign, assignment]
        new_store(home).close()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_at_every_step(home: str, told: Connection) -> None:
    """In a process with one thread, which may fork. Tells how many steps there were, and what was wrong after one."""
    first, again = Path(home), Path(home).with_name("again")
    before, steps = rows_of(first), 0
    while True:
        shutil.copytree(first, again)
        steps += 1
        ended = migrate_killed_at(again, steps)
        after_kill = rows_of(again)
        database = new_store(again)
        sound = database.pragma("integrity_check") == "ok" and opening.pending(database) == []
        database.close()
        if ended == 0 or not sound or after_kill != before or rows_of(again) != before:
            told.send((steps, ended))
            return
        shutil.rmtree(again)


def test_killed_at_any_statement_of_any_migration_nothing_is_lost_and_the_next_start_ends_it(
    first_version: Path,
) -> None:
    hears, told = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=kill_at_every_step, args=(str(first_version), told))
    process.start()
    process.join()
    steps, ended = hears.recv()
    assert ended == 0, f"killed before statement {steps}, it was not as it should be"
    assert steps > 3 * len(list(opening.MIGRATIONS.glob("[0-9]*.py"))), "each migration has several statements"


def test_of_two_that_migrate_at_once_each_migration_is_done_by_one(first_version: Path) -> None:
    before = rows_of(first_version)
    with SPAWN.Pool(2) as pool:
        homes = [(str(first_version), str(opening.MIGRATIONS))] * 2
        ran = sorted(name for names in pool.starmap(migrate_there, homes) for name in names)
    assert ran == sorted(path.stem for path in opening.MIGRATIONS.glob("[0-9]*.py"))[1:]
    assert rows_of(first_version) == before


def columns(home: Path, table: str) -> list[str]:
    database = sqlite3.connect(home / "kugetsu.db")
    names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    database.close()
    return names


@pytest.mark.parametrize("command", ["web", "worker"])
def test_a_database_of_a_newer_version_is_refused_in_one_line(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database = new_store(tmp_path)
    with database.connection_context():
        Table("schema_migration").insert(name="9999_later", applied="2030-01-01").execute(database)
    database.close()
    start_refused(tmp_path, command, monkeypatch)
    assert capsys.readouterr().err == (
        f"kugetsu: {tmp_path}/kugetsu.db was written by a newer version of Kugetsu (9999_later); "
        "right would be that version, or a backup from before it\n"
    )
