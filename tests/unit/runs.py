"""Runs of small shell scripts under the real keeper, for the tests of keeper, agent and sandbox."""

import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import msgspec

from jobs import agent, sandbox
from jobs.agent import RunSpec
from jobs.keeper import KEEPER, KeeperResult
from jobs.place import Place
from jobs.processes import Identity
from jobs.watch import Limits

PLAIN_USER = 65534
PATIENT = Limits(wall=60, start=60, stall=60)
_numbers = count(1)


def wait_until(what: str, true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition; fails with `what` when it does not come true."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def as_plain_user(act: Callable[[], str]) -> str:
    """What `act` gives when an unprivileged user calls it: in a process of its own where the tests run as root."""
    if os.geteuid() != 0:
        return act()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(PLAIN_USER)
            os.setuid(PLAIN_USER)
            said = act()
        except BaseException:  # noqa: BLE001 - the child has nobody else to tell
            said = traceback.format_exc()
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def running(text: str) -> list[str]:
    """The command lines of living processes that hold `text`, also those inside a sandbox."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in command:
                found.append(f"{folder.name}: {command}")
    return found


@dataclass
class World:
    """A place, a lock, and a sandbox of one kind."""

    root: Path
    box: sandbox.Sandbox
    marker: str = field(default_factory=lambda: f"{10_000 + next(_numbers)}.{time.time_ns() % 10**9:09}")
    """A number of seconds nobody else sleeps: `sleep MARKER` can be told from every other process."""

    def __post_init__(self) -> None:
        self.place = Place.at(self.root / "place")
        self.place.tree.mkdir(parents=True)
        self.place.home.mkdir()
        self.place.tmp.mkdir()
        self.lock = self.root / "locks/issue.lock"

    def spec(self, script: str, *, limits: Limits = PATIENT) -> RunSpec:
        """A run of this shell script in a folder of its own."""
        return RunSpec(
            argv=["/bin/sh", "-c", script.replace("MARKER", self.marker)],
            env=sandbox.plain_environment(self.place),
            prompt="the prompt",
            place=self.place,
            sandbox=self.box,
            lock=self.lock,
            run_dir=self.root / f"run-{next(_numbers)}",
            limits=limits,
        )

    def start(self, script: str, *, limits: Limits = PATIENT) -> RunSpec:
        spec = self.spec(script, limits=limits)
        agent.launch(spec)
        return spec

    def run(self, script: str, *, limits: Limits = PATIENT) -> KeeperResult:
        return self.end_of(self.start(script, limits=limits))

    def end_of(self, spec: RunSpec) -> KeeperResult:
        """Wait for the end of the run and say how it was; nothing of it may live on."""
        wait_until(f"the end of {spec.run_dir}", lambda: agent.state_of(spec.run_dir, self.lock) != "running")
        result = agent.result_of(spec.run_dir)
        assert result is not None, (spec.run_dir / "keeper.log").read_text()
        assert running(self.marker) == []
        return result

    def keeper_of(self, spec: RunSpec) -> int:
        return msgspec.json.decode((spec.run_dir / KEEPER).read_bytes(), type=Identity).pid

    def wait_for_sleeper(self) -> None:
        """Wait until a `sleep MARKER` runs."""
        wait_until("the sleeper", lambda: any("sleep" in line for line in self.sleepers()))

    def sleepers(self) -> list[str]:
        return [line for line in running(f"sleep {self.marker}") if "sh -c" not in line]

    def clean_up(self) -> None:
        """End whatever the test left running."""
        for run_dir in self.root.glob("run-*"):
            agent.request_stop(run_dir, "the test is over")
        wait_until("the end of all that the test began", self._all_ended)

    def _all_ended(self) -> bool:
        agent.end_strays(self.lock, self.place)
        return not agent.is_held(self.lock) and running(self.marker) == []


def world(root: Path, kind: str) -> Iterator[World]:
    box = sandbox.choose("bwrap" if kind == "bwrap" else "none", root)
    made = World(root, box)
    yield made
    made.clean_up()
