"""Who lives, who is gone, and what those leave behind."""

import fcntl
import socket
from pathlib import Path
from typing import TextIO

import pytest
from peewee import SqliteDatabase

from jobs import presence
from jobs.presence import Presence
from models.tables import Worker

ROW = {"pid": 1, "started_at": 0.0, "seen_at": 0.0, "sandbox": "none"}


def die(worker: Presence) -> None:
    """As `kill -9`: the kernel lets go of the lock, and everything else stays."""
    worker._file.close()


def test_one_that_lives_is_not_gone(tmp_path: Path, db: SqliteDatabase) -> None:
    with Presence(tmp_path) as worker:
        assert not presence.is_gone(tmp_path, worker.host, worker.name)
        assert presence.gone(tmp_path, db) == []
    assert list((tmp_path / "workers").iterdir()) == []


def test_one_that_died_is_gone_and_all_of_it_can_be_removed(tmp_path: Path, db: SqliteDatabase) -> None:
    worker = Presence(tmp_path)
    Worker.insert(name=worker.name, host=worker.host, **ROW).execute(db)
    (worker.folder / "half").mkdir()
    die(worker)
    assert presence.gone(tmp_path, db) == [worker.name]
    presence.forget(tmp_path, db, worker.name)
    assert (list((tmp_path / "workers").iterdir()), Worker.select().count(db)) == ([], 0)


def test_one_that_died_before_it_had_a_row_is_found_by_its_lock(tmp_path: Path, db: SqliteDatabase) -> None:
    worker = Presence(tmp_path)
    die(worker)
    assert presence.gone(tmp_path, db) == [worker.name]


def test_a_folder_that_was_left_without_a_lock_is_found(tmp_path: Path, db: SqliteDatabase) -> None:
    with Presence(tmp_path) as worker:
        worker.folder.with_name("dead").mkdir()
        assert presence.gone(tmp_path, db) == ["dead"]


def test_a_container_that_was_made_anew_knows_that_the_old_one_is_gone(
    tmp_path: Path, db: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "old")
    worker = Presence(tmp_path)
    Worker.insert(name=worker.name, host=worker.host, **ROW).execute(db)
    die(worker)
    monkeypatch.setattr(socket, "gethostname", lambda: "new")
    assert presence.gone(tmp_path, db) == [worker.name]


def test_of_another_host_nothing_is_known(tmp_path: Path, db: SqliteDatabase) -> None:
    (tmp_path / "workers").mkdir()
    Worker.insert(name="elsewhere-1-abc", host="elsewhere", **ROW).execute(db)
    assert presence.gone(tmp_path, db) == []


def test_a_lock_that_was_taken_for_a_dead_ones_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock, removed = fcntl.flock, list[Path]()

    def flock_after_removal(file: TextIO, how: int) -> None:
        if not removed:
            removed.extend((tmp_path / "workers").glob("*.lock"))
            removed[0].unlink()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", flock_after_removal)
    with Presence(tmp_path) as worker:
        monkeypatch.undo()
        assert not presence.is_gone(tmp_path, worker.host, worker.name)
