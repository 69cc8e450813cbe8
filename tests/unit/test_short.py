"""What is left of bwrap where it was killed while it began."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jobs import processes, short
from tests.fakes.gitea import FakeGitea
from tests.unit.runs import wait_until
from tests.world import World

Started = subprocess.Popen[bytes]
A_WHILE, TRIES = 0.2, 50


class Commands:
    """Commands in bwrap, each on the home of an installation."""

    def __init__(self) -> None:
        self.started: list[tuple[Started, int]] = []

    def begin(self, home: Path) -> tuple[Started, int]:
        """bwrap, and the first process of its namespace, as soon as that is there."""
        home.mkdir(parents=True, exist_ok=True)
        command = ["bwrap", "--unshare-pid", "--die-with-parent", "--new-session", "--ro-bind", "/", "/"]
        bwrap = subprocess.Popen([*command, "--chdir", f"{home}/", "--", "sleep", "60"])
        while not (first := Path(f"/proc/{bwrap.pid}/task/{bwrap.pid}/children").read_text().split()):
            assert bwrap.poll() is None
        self.started.append((bwrap, int(first[0])))
        return self.started[-1]

    def orphan(self, home: Path) -> int:
        """What is left of a bwrap that is killed right then; of one that is killed a moment later nothing is."""
        for _ in range(TRIES):
            bwrap, first = self.begin(home)
            bwrap.kill()
            bwrap.wait()
            time.sleep(A_WHILE)
            if lives(first):
                return first
        raise AssertionError(f"{TRIES} bwraps were killed, and nothing is left of any")

    def end(self) -> None:
        for bwrap, first in self.started:
            for pid in (bwrap.pid, first):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            bwrap.wait()


def lives(pid: int) -> bool:
    """Whether there is such a process."""
    return processes.Identity.of(pid) is not None


@pytest.fixture
def commands() -> Iterator[Commands]:
    made = Commands()
    yield made
    made.end()


def test_only_what_nobody_waits_for_any_more_is_ended_and_only_on_this_home(tmp_path: Path, commands: Commands) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    _, at_work = commands.begin(ours)
    orphan, elsewhere = commands.orphan(ours), commands.orphan(theirs)
    assert [lives(pid) for pid in (at_work, orphan, elsewhere)] == [True, True, True]
    assert short.end_orphans(ours) == {orphan}
    wait_until("its end", lambda: not lives(orphan))
    assert [lives(pid) for pid in (at_work, elsewhere)] == [True, True]


def test_a_worker_ends_what_is_left_of_the_commands_of_one_that_was_killed(tmp_path: Path, commands: Commands) -> None:
    with FakeGitea(tmp_path / "gitea") as fake:
        world = World(tmp_path / "world", fake)
        orphan = commands.orphan(world.home)
        dead = world.home / "workers" / f"{socket.gethostname()}-1-dead.lock"
        dead.parent.mkdir()
        dead.touch()
        with world:
            wait_until("its end", lambda: not lives(orphan))
