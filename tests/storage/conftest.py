"""A small disk that can be filled and made read-only, and a world that lives on one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from models import opening, store
from models.intake import Look
from models.store import Incoming
from models.tables import Thread
from tests.fakes.gitea import Delivery, FakeGitea
from tests.unit.storing import delivery, new_store
from tests.world import World
from webhook import cli

ROOT = Path(__file__).parents[2]
INSIDE = "KUGETSU_TEST_MAY_MOUNT"
"""Set where this process has a mount namespace of its own."""
MIB = 1024 * 1024

MakeWorld = Callable[..., World]


class SmallDisk:
    """A file system of its own (tmpfs), mounted at `path`."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self._ballast, self._many = path, path / "ballast", path / "many"
        path.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)

    def fill(self, *, leave: int = 0) -> None:
        """Write until only so many bytes are free, or none because somebody else has written meanwhile."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while (left := shutil.disk_usage(self.path).free - leave) > 0:
                file.write(b"\0" * min(left, MIB))

    def fill_with_files(self, *, most: int = 1200) -> None:
        """Make empty files until it can hold no more, which is `most` from now on."""
        self.remount(f"rw,nr_inodes={most}")
        self._many.mkdir()
        with suppress(OSError):
            for number in range(most):
                (self._many / str(number)).touch()

    def empty(self) -> None:
        """Take that away again."""
        self._ballast.unlink(missing_ok=True)
        shutil.rmtree(self._many, ignore_errors=True)

    def remount(self, how: str) -> None:
        """With these options: `ro` or `rw`, say."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.path)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)


def refused_with(world: World, fake: FakeGitea, words: str) -> Delivery:
    """The newest delivery, which was refused with these words; so is who asks whether the service is ready."""
    refused = fake.deliveries[-1]
    assert refused.status == 503
    assert words in json.loads(refused.response)["detail"]
    reasons = httpx.get(f"{world.halves.url}/readyz", trust_env=False).json()["reasons"]
    assert any(words in reason for reason in reasons), reasons
    return refused


def start_refused(home: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a half on this home, in this process; it ends at once, since somebody has to do something first."""
    monkeypatch.setenv("KUGETSU_HOME", str(home))
    monkeypatch.setattr("webhook.cli.set_up_logging", lambda *_: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("os.nice", lambda _by: 0)
    assert cli.main([command]) == 2


def may_mount(folder: Path) -> bool:
    """Whether this process may mount a file system."""
    probe = folder / "probe"
    probe.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(probe)], capture_output=True, check=False).returncode:
        return False
    subprocess.run(["umount", str(probe)], check=True)
    return True


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SmallDisk]:
    """64 MiB. Where this process may not mount, the test is run in a user namespace of its own, where it may; where
    there are none either, it fails.
    """
    if not may_mount(tmp_path):
        assert INSIDE not in os.environ, "a user namespace that may not mount: a small disk cannot be had here"
        again = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m", "pytest", "-q"]
        command = [*again, request.node.nodeid, "--basetemp", str(tmp_path / "inside")]
        ended = subprocess.run(command, cwd=ROOT, env={**os.environ, INSIDE: "1"}, capture_output=True, check=False)
        assert ended.returncode == 0, (ended.stdout + ended.stderr).decode()
        pytest.xfail("run in a user namespace instead, and passed there")
    small = SmallDisk(tmp_path / "disk", 64 * MIB)
    try:
        yield small
    finally:
        small.unmount()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service waits for a lock of the database as briefly as it may, so that the tests need not wait longer."""
    defaults = opening.open_database.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "busy_timeout", 0.2)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeGitea]:
    with FakeGitea(tmp_path / "gitea") as gitea:
        yield gitea


@pytest.fixture
def make_world(fake: FakeGitea) -> Iterator[MakeWorld]:
    """Makes a running world in a folder; keyword arguments are settings without their prefix."""
    with ExitStack() as stack:

        def make(root: Path, **settings: str) -> World:
            return stack.enter_context(World(root, fake, **settings))

        yield make


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home with a database, a place and what is worth nothing elsewhere."""
    home = tmp_path / "home"
    home.mkdir()
    database = new_store(home, durable=False)
    with database.connection_context():
        store.accept_many(database, [Incoming(delivery(uuid="one"), Look("acme/app", 7, False))])
        Thread.update(session="ses_1").execute(database)
    (home / "kugetsu.toml").write_text('webhook_secret = "s"\n')
    place = home / "worktrees/gitea-acme-app-7"
    for folder in ("repo.git/objects/info", "repo.git/worktrees/tree", "tree", "home", "tmp/scratch"):
        (place / folder).mkdir(parents=True)
    (place / "repo.git/objects/info/alternates").write_text(f"{home}/repos/gitea/acme/app.git/objects\n")
    (place / "repo.git/worktrees/tree/gitdir").write_text(f"{place}/tree/.git\n")
    (place / "tree/.git").write_text(f"gitdir: {place}/repo.git/worktrees/tree\n")
    (place / "tree/link").symlink_to("/etc/passwd")
    (place / "tmp/findings.md").write_text("found\n")
    (place / "tmp/scratch/large").write_text("x")
    os.mkfifo(place / "tree/pipe")
    (home / "workers").mkdir()
    (home / "workers/one.lock").touch()
    yield home
    database.close()
