"""Backups that something comes in the way of, and archives that somebody has forged."""

import errno
import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import backup
from jobs.backup import BackupRefused, back_up
from jobs.git import Run, git
from jobs.restoring import RestoreRefused, restore
from tests.storage.conftest import MIB, SmallDisk
from tests.storage.test_locked import locked
from webhook import cli

PLACE = "worktrees/gitea-acme-app-7"
LIMIT = 30.0


def wait_for(seen: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + LIMIT
    while not seen():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def commit(repo: Path, text: str) -> None:
    """The agent commits."""
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    run = Run(cwd=repo, git_dir=repo, env=identity)
    tree = git(["mktree"], Run(cwd=repo, git_dir=repo, stdin=b"")).strip()
    made = git(["commit-tree", tree, "-m", text], run).strip()
    git(["update-ref", "refs/heads/work", made], run)


def test_what_an_agent_commits_meanwhile_is_there_whole_or_not_at_all(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = home / PLACE / "repo.git"
    git(["init", "--quiet", "--bare", str(repo)], Run(cwd=repo))
    commit(repo, "before")
    copied, during = backup._copied, iter(["meanwhile"])

    def slowly(path: Path, *into: object) -> os.stat_result | None:
        """The agent commits while the first of its objects is copied."""
        found = copied(path, *into)  # type: ignore[arg-type]
        if "objects" in path.parts and len(path.name) > 30 and (text := next(during, None)):
            commit(repo, text)
        return found

    monkeypatch.setattr(backup, "_copied", slowly)
    made = back_up(home, tmp_path / "kugetsu.tar", version="1")
    assert next(during, "all said") == "all said"
    restore(made.path, tmp_path / "new")
    again = tmp_path / "new" / PLACE / "repo.git"
    assert git(["log", "--format=%s", "work"], Run(cwd=again, git_dir=again)) in ("before\n", "meanwhile\n")


def test_places_come_before_the_mirrors_that_they_borrow_from(home: Path, tmp_path: Path) -> None:
    mirror = home / "repos/gitea/acme/app.git"
    git(["init", "--quiet", "--bare", str(mirror)], Run(cwd=tmp_path))
    made = back_up(home, tmp_path / "kugetsu.tar", version="1")
    with tarfile.open(made.path) as tar:
        names = [name.partition("/")[0] for name in tar.getnames()]
    assert max(i for i, name in enumerate(names) if name == "worktrees") < names.index("repos")


def test_what_lies_on_another_disk_by_a_link_is_in_it(home: Path, tmp_path: Path) -> None:
    (home / "worktrees").rename(tmp_path / "large")
    (home / "worktrees").symlink_to(tmp_path / "large")
    (home / "kugetsu.toml").rename(tmp_path / "settings")
    (home / "kugetsu.toml").symlink_to(tmp_path / "settings")
    restore(back_up(home, tmp_path / "kugetsu.tar", version="1").path, tmp_path / "new")
    assert (tmp_path / "new" / PLACE / "tmp/findings.md").read_text() == "found\n"
    assert not (tmp_path / "new/worktrees").is_symlink()
    assert (tmp_path / "new/kugetsu.toml").read_text() == 'webhook_secret = "s"\n'
    assert not (tmp_path / "new/kugetsu.toml").is_symlink()


def test_a_lock_of_the_database_or_a_damaged_doorbell_is_in_nobodys_way(home: Path, tmp_path: Path) -> None:
    (home / "queue.db").write_bytes(b"no database at all" * 500)
    (home / "kugetsu.db").chmod(0o640)
    with locked(home / "kugetsu.db"):
        made = back_up(home, tmp_path / "kugetsu.tar", version="1")
    with tarfile.open(made.path) as tar:
        assert "queue.db" not in tar.getnames()
        assert tar.getmember("kugetsu.db").mode == 0o640
    restore(made.path, tmp_path / "new")
    database = sqlite3.connect(tmp_path / "new/kugetsu.db")
    assert database.execute("SELECT count(*) FROM delivery").fetchone() == (1,)
    database.close()


def test_on_a_full_disk_there_is_no_half_of_it(
    home: Path, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / PLACE / "tree/large").write_bytes(os.urandom(4 * MIB))
    disk.fill(leave=2 * MIB)
    monkeypatch.setattr("webhook.cli.set_up_logging", lambda *_: None)
    monkeypatch.setattr("webhook.archives.exit_at_end", lambda _: None)
    monkeypatch.setenv("KUGETSU_HOME", str(home))
    assert cli.main(["backup", str(disk.path / "kugetsu.tar")]) == 1
    assert "the disk is full" in capsys.readouterr().err
    assert [path.name for path in disk.path.iterdir()] == ["ballast"]


def test_what_is_too_large_for_the_temporary_folder_fits(
    home: Path, tmp_path: Path, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / PLACE / "tree/large").write_bytes(b"x" * 20 * MIB)
    disk.fill()
    monkeypatch.setattr(tempfile, "tempdir", str(disk.path))
    made = back_up(home, tmp_path / "kugetsu.tar", version="1")
    with tarfile.open(made.path) as tar:
        assert tar.getmember(f"{PLACE}/tree/large").size == 20 * MIB


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_one_that_is_ended_half_way_leaves_nothing_or_the_next_clears_up(
    home: Path, tmp_path: Path, number: signal.Signals
) -> None:
    git(["init", "--quiet", "--bare", str(home / "repos/gitea/acme/app.git")], Run(cwd=tmp_path))
    to = tmp_path / "backups"
    to.mkdir()
    argv = [sys.executable, "-P", "-m", "webhook.cli", "backup", str(to / "kugetsu.tar")]
    environ = {"KUGETSU_HOME": str(home), "PATH": os.environ["PATH"]}
    with (home / "repos/gitea/acme/app.git.lock").open("ab") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        process = subprocess.Popen(argv, env=environ, stderr=subprocess.PIPE)
        wait_for(lambda: any(path.stat().st_size for path in to.glob(".kugetsu-backup-*/draft")), "the backup to begin")
        process.send_signal(number)
        said = process.communicate(timeout=LIMIT)[1].decode()
    assert not (to / "kugetsu.tar").exists()
    if number is not signal.SIGKILL:
        assert (process.returncode, said) == (1, "kugetsu: ended before it was complete, so nothing is written\n")
        assert list(to.iterdir()) == []
    back_up(home, to / "kugetsu.tar", version="1")
    assert [path.name for path in to.iterdir()] == ["kugetsu.tar"]


def test_a_file_system_without_hard_links_takes_it_too(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # as vfat says it

    monkeypatch.setattr(os, "link", unknown)
    to = tmp_path / "stick"
    to.mkdir()
    made = back_up(home, to / "kugetsu.tar", version="1")
    assert [path.name for path in to.iterdir()] == ["kugetsu.tar"]
    restore(made.path, tmp_path / "new")
    assert (tmp_path / "new/kugetsu.db").exists()
    name = backup._name
    monkeypatch.setattr(backup, "_name", lambda draft, target: target.touch() or name(draft, target))
    with pytest.raises(BackupRefused, match="come into being meanwhile"):
        back_up(home, to / "other.tar", version="1")
    assert (to / "other.tar").stat().st_size == 0, "another's stays as it is"


def test_another_that_is_at_work_is_left_alone(home: Path, tmp_path: Path) -> None:
    with backup._spare(tmp_path) as spare:
        (spare / "draft").touch()
        back_up(home, tmp_path / "kugetsu.tar", version="1")
        assert (spare / "draft").exists()


FORGED: dict[str, tuple[str, bytes, str]] = {
    "a device": (f"{PLACE}/tree/device", tarfile.CHRTYPE, ""),
    "a pipe": (f"{PLACE}/tree/pipe", tarfile.FIFOTYPE, ""),
    "a hard link": (f"{PLACE}/tree/hard", tarfile.LNKTYPE, "/etc/passwd"),
    "the places elsewhere": ("worktrees", tarfile.SYMTYPE, "/tmp"),
    "a place elsewhere": ("worktrees/gitea-acme-app-8", tarfile.SYMTYPE, "/tmp"),
    "the database elsewhere": ("kugetsu.db", tarfile.SYMTYPE, "/etc/passwd"),
    "jobs elsewhere": ("jobs/1", tarfile.SYMTYPE, "/etc"),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_a_backup_never_holds_is_refused(home: Path, tmp_path: Path, what: str) -> None:
    made = back_up(home, tmp_path / "kugetsu.tar", version="1")
    name, kind, link = FORGED[what]
    with tarfile.open(made.path, "a") as tar:
        forged = tarfile.TarInfo(name)
        forged.type, forged.linkname = kind, link
        tar.addfile(forged)
    with pytest.raises(RestoreRefused, match="was tampered with"):
        restore(made.path, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_home_that_is_half_restored_is_not_started_but_restored_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = back_up(home, tmp_path / "kugetsu.tar", version="1")
    new = tmp_path / "new"
    rename = Path.rename

    def killed_at_the_database(path: Path, to: Path) -> Path:
        if path.name == "kugetsu.db":
            raise KeyboardInterrupt
        return rename(path, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed_at_the_database)
        with pytest.raises(KeyboardInterrupt):
            restore(made.path, new)
    monkeypatch.setenv("KUGETSU_HOME", str(new))
    monkeypatch.setattr("webhook.cli.set_up_logging", lambda *_: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("os.nice", lambda _by: 0)
    assert cli.main(["worker"]) == 2
    assert capsys.readouterr().err == (
        f"kugetsu: {new} is only half restored; right would be to run the restore again\n"
    )
    restore(made.path, new)
    assert (new / "kugetsu.db").is_file()
