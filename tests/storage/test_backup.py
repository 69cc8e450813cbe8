"""A backup of a service at work, and a service that goes on from it in a new home."""

import io
import os
import shutil
import signal
import sqlite3
import stat
import tarfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jobs.backup import BackupRefused, back_up
from jobs.restoring import RestoreRefused, restore
from models import opening, store
from models.intake import Look
from models.store import Incoming
from models.tables import Delivery, Thread
from tests.storage.conftest import MakeWorld
from tests.unit.storing import delivery, new_store
from webhook import cli


def names_in(archive: Path) -> set[str]:
    with tarfile.open(archive) as tar:
        return set(tar.getnames())


def kill_agents(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_from_a_backup_of_a_service_at_work_the_running_conversation_goes_on(
    tmp_path: Path, make_world: MakeWorld
) -> None:
    world = make_world(tmp_path / "world")
    ended = world.issue("Another one", "stub: write other.py fixed")
    world.label(ended, "kugetsu/code")
    world.wait_for_result(ended)
    running = world.issue(
        "Crash on empty input", "stub: append trace.txt began\\n\nstub: wait go\nstub: write app.py fixed"
    )
    world.label(running, "kugetsu/code")
    world.wait_for_agents(2)
    world.wait_for(lambda: world.session_known(running), "the session to be known")

    made = back_up(world.home, tmp_path / "kugetsu.tar.gz", version="1")
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600

    world.halves.stop_worker()
    world.halves.stop_web()
    kill_agents(world.agent_processes())
    world.wait_for(lambda: not world.agent_processes(), "the agents to be gone")
    world.home.rename(tmp_path / "lost")
    done = restore(made.path, world.home)
    assert (done.jobs_running, done.moved) == (1, False)
    shutil.rmtree(tmp_path / "lost")
    world.halves.start_web()
    world.halves.start_worker()
    world.let_go(running, "go")

    world.wait_for_result(running)
    first, second = world.agent_runs()[-2:]
    assert first.session == second.session
    branch = f"kugetsu/issue-{running}"
    assert world.gitea.file_at(world.repo, branch, "trace.txt") == "began\n", "work of before the backup was lost"
    assert world.gitea.file_at(world.repo, branch, "app.py") == "fixed"
    assert [job.outcome for job in world.jobs()] == ["completed", "completed"]
    assert [job.crashes for job in world.jobs()] == [0, 0]
    world.comment(ended, "/kugetsu stub: write other.py again")
    world.wait_for_result(ended, 2)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{ended}", "other.py") == "again"
    assert len(world.gitea.pulls_of(world.repo)) == 2


TRUSTED: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
"""Takes an archive as it is; Python 3.11.2 does without being told."""


def test_what_is_in_it_and_what_is_not(home: Path, tmp_path: Path) -> None:
    made = back_up(home, tmp_path / "kugetsu.tar", version="1")
    names = names_in(made.path)
    place = "worktrees/gitea-acme-app-7"
    assert {"manifest.json", "kugetsu.db", "kugetsu.toml", f"{place}/tmp/findings.md", f"{place}/tree/link"} <= names
    assert not [name for name in names if "scratch" in name or "pipe" in name or "workers" in name or "-wal" in name]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    with tarfile.open(made.path) as tar:
        assert tar.getmember(f"{place}/tree/link").linkname == "/etc/passwd"


def test_deliveries_that_come_meanwhile_are_in_it_whole_or_not_at_all(home: Path, tmp_path: Path) -> None:
    stop, stored = threading.Event(), []

    def receive() -> None:
        database = opening.open_database(home / "kugetsu.db")
        while not stop.is_set():
            accepted = store.accept_many(database, [Incoming(delivery(body="x" * 9000), Look("acme/app", 7, False))])
            stored.append(accepted[0].delivery_id)
        database.close()

    receiving = threading.Thread(target=receive)
    receiving.start()
    try:
        for number in range(5):
            before = len(stored)
            made = back_up(home, tmp_path / f"{number}.tar", version="1")
            with tarfile.open(made.path) as tar:
                tar.extract("kugetsu.db", tmp_path / str(number), **TRUSTED)
            database = sqlite3.connect(tmp_path / str(number) / "kugetsu.db")
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert database.execute("SELECT count(*) FROM delivery").fetchone()[0] >= before
            database.close()
    finally:
        stop.set()
        receiving.join()


def test_it_never_takes_the_place_of_another_file_and_leaves_no_half_of_one(home: Path, tmp_path: Path) -> None:
    there = tmp_path / "kugetsu.tar"
    there.write_text("precious")
    with pytest.raises(BackupRefused, match="is there already; right would be a new name"):
        back_up(home, there, version="1")
    assert there.read_text() == "precious"
    with pytest.raises(BackupRefused, match="lies in KUGETSU_HOME; right would be a place outside"):
        back_up(home, home / "kugetsu.tar", version="1")
    with pytest.raises(BackupRefused, match="there is nothing to back up; is KUGETSU_HOME right"):
        back_up(tmp_path / "elsewhere", tmp_path / "new.tar", version="1")
    (home / "kugetsu.db").write_bytes(b"SQLite format 3\0" + b"\1" * 5000)
    with pytest.raises((BackupRefused, sqlite3.DatabaseError)):
        back_up(home, tmp_path / "new.tar", version="1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "kugetsu.tar"]


def test_in_another_home_places_point_to_it_and_sessions_begin_anew(home: Path, tmp_path: Path) -> None:
    made = back_up(home, tmp_path / "kugetsu.tar.gz", version="1")
    new = tmp_path / "new"
    done = restore(made.path, new)
    assert done.moved
    place = new / "worktrees/gitea-acme-app-7"
    assert (place / "repo.git/objects/info/alternates").read_text() == f"{new}/repos/gitea/acme/app.git/objects\n"
    assert (place / "tree/.git").read_text() == f"gitdir: {place}/repo.git/worktrees/tree\n"
    database = new_store(new, durable=False)
    with database.connection_context():
        assert [row.uuid for row in Delivery.select().execute(database)] == ["one"]
        assert [row.session for row in Thread.select().execute(database)] == [None]
    assert not (new / "+restoring").exists()


def test_what_is_restored_into_must_be_empty_and_what_is_restored_a_backup(home: Path, tmp_path: Path) -> None:
    made = back_up(home, tmp_path / "kugetsu.tar", version="1")
    with pytest.raises(RestoreRefused, match=r"is not empty .* right would be an empty KUGETSU_HOME"):
        restore(made.path, home)
    (tmp_path / "torn.tar").write_bytes(made.path.read_bytes()[:3000])
    (tmp_path / "text.tar").write_text("no archive")
    for name in ("torn.tar", "text.tar"):
        with pytest.raises(RestoreRefused, match=name):
            restore(tmp_path / name, tmp_path / "new")
        assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "new/+restoring").mkdir()
    (tmp_path / "new/repos").mkdir()
    restore(made.path, tmp_path / "new")
    assert (tmp_path / "new/kugetsu.db").is_file()


@pytest.mark.parametrize("attack", ["../outside", "/outside", "through/outside"])
def test_an_archive_that_somebody_has_forged_writes_nothing_outside(home: Path, tmp_path: Path, attack: str) -> None:
    made = back_up(home, tmp_path / "kugetsu.tar", version="1")
    outside = tmp_path / "outside"
    with tarfile.open(made.path, "a") as tar:
        link = tarfile.TarInfo("through")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        forged = tarfile.TarInfo(str(outside) if attack == "/outside" else attack)
        forged.size = 4
        tar.addfile(forged, io.BytesIO(b"evil"))
    with suppress(RestoreRefused, OSError):
        restore(made.path, tmp_path / "new")
    assert not outside.exists()
    with tarfile.open(made.path) as tar:
        tar.extractall(tmp_path / "control", **TRUSTED)  # noqa: S202 - that is the point of it
    assert outside.exists(), "without the defence it does: else this test would show nothing"


def test_the_commands(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("webhook.cli.set_up_logging", lambda *_: None)
    monkeypatch.setenv("KUGETSU_HOME", str(home))
    file = tmp_path / "kugetsu.tar"
    assert cli.main(["backup", str(file)]) == 0
    assert "It holds secrets." in capsys.readouterr().out
    assert cli.main(["backup", str(file)]) == 2
    assert capsys.readouterr().err == f"kugetsu: {file} is there already; right would be a new name\n"
    monkeypatch.setenv("KUGETSU_HOME", str(tmp_path / "new"))
    assert cli.main(["restore", str(file)]) == 0
    assert "0 jobs go on when it" in capsys.readouterr().out
    assert cli.main(["restore", str(file)]) == 2
