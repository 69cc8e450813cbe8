"""A database that somebody takes away or spoils, under a running service or before its start."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes.gitea import FakeGitea
from tests.storage.conftest import MakeWorld, refused_with, start_refused
from tests.unit.storing import new_store


def test_what_comes_while_the_database_is_gone_is_refused_and_taken_once_it_is_back(
    tmp_path: Path, make_world: MakeWorld, fake: FakeGitea, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(tmp_path / "world")
    running = world.issue("Crash on empty input", "stub: wait go\nstub: write app.py fixed")
    world.label(running, "kugetsu/code")
    world.wait_for_agents(1)
    world.wait_for(lambda: world.session_known(running), "the session to be known")
    other = world.issue("Another one", "stub: write other.py fixed")
    fake.settle()
    away = tmp_path / "away"
    away.mkdir()
    for file in world.home.glob("kugetsu.db*"):
        file.rename(away / file.name)
    world.label(other, "kugetsu/code")
    fake.settle()
    refused = refused_with(world, fake, "the database file is gone")
    assert not (world.home / "kugetsu.db").exists(), "another one was made in its place"
    world.let_go(running, "go")
    for file in away.iterdir():
        file.rename(world.home / file.name)
    world.wait_for_result(running)
    fake.redeliver(refused)
    world.wait_for_result(other)
    assert [(job.outcome, job.run, job.crashes) for job in world.jobs()] == [("completed", 1, 0)] * 2
    assert "Traceback" not in caplog.text


def test_what_comes_while_the_database_is_damaged_is_refused_with_words(
    tmp_path: Path, make_world: MakeWorld, fake: FakeGitea
) -> None:
    world = make_world(tmp_path / "world")
    issue = world.issue("Crash on empty input", "stub: write app.py fixed")
    fake.settle()
    world.halves.stop_worker()
    file = world.home / "kugetsu.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    good = file.read_bytes()
    file.write_bytes(b"this is no database " * 1000)
    world.label(issue, "kugetsu/code")
    fake.settle()
    refused_with(world, fake, "the database file is damaged")
    file.write_bytes(good)
    world.halves.start_worker()
    world.wait_for_result(issue)


@pytest.mark.parametrize("command", ["web", "worker"])
@pytest.mark.parametrize("left", [None, b""])
def test_a_service_that_has_lost_its_database_does_not_begin_anew_among_old_jobs(
    tmp_path: Path,
    command: str,
    left: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    new_store(tmp_path).close()
    (tmp_path / "jobs/1/run-1").mkdir(parents=True)
    for file in tmp_path.glob("kugetsu.db*"):
        file.unlink()
    if left is not None:
        (tmp_path / "kugetsu.db").write_bytes(left)
    start_refused(tmp_path, command, monkeypatch)
    assert capsys.readouterr().err == (
        f"kugetsu: {tmp_path}/kugetsu.db is gone, but there are jobs of it in {tmp_path}/jobs; right would be to move "
        f"{tmp_path} away, and to restore a backup or to begin anew\n"
    )
