"""Runs of the agent: started under a keeper, read along, stopped, and found again after a crash.

The agent outlives the worker that started it. So nothing here keeps a process object: a run is a folder and a
lock file, and any worker can follow it, also one that was started later.
"""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from jobs import keeper
from jobs.keeper import KeeperResult, KeeperSpec
from jobs.opencode import Program
from jobs.place import Place
from jobs.processes import Identity, carrying, descendants, sharing_lock
from jobs.sandbox import SYSTEM_PATH, Sandbox
from jobs.tail import Tail
from jobs.watch import Limits

_LAUNCH_SECONDS = 30.0
_STRAYS_SECONDS = 30.0
_VERSION_SECONDS = 60.0


class AgentLocked(Exception):
    """Something still runs in this thread's place; the message names the lock file."""


class LaunchFailed(Exception):
    """The keeper did not come up; the message says what it said."""


class RunState(StrEnum):
    """What is known of a run from its folder and its lock."""

    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    """No result, and nobody who could still write one. Strays may hold the lock: see `end_strays`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run: what to start, where, and within which limits. `env` is the whole environment."""

    argv: Sequence[str]
    env: Mapping[str, str]
    prompt: str
    place: Place
    sandbox: Sandbox
    lock: Path
    run_dir: Path
    limits: Limits
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """Written into `run_dir` by these names; the agent may read them."""
    read_only: Sequence[Path] = ()
    hide: Sequence[Path] = ()


def launch(spec: RunSpec) -> None:
    """Start the keeper of this run; returns once it holds the lock, when the agent is about to start.

    `spec.run_dir` must be new. Raises AgentLocked or LaunchFailed; after either nothing of this run lives.
    """
    if (spec.run_dir / keeper.KEEPER).exists():
        raise LaunchFailed(f"{spec.run_dir} already holds a run")
    for folder in (spec.run_dir, spec.lock.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in {**spec.files, keeper.PROMPT: spec.prompt}.items():
        (spec.run_dir / name).parent.mkdir(exist_ok=True, parents=True)
        _write_private(spec.run_dir / name, text)
    for name in spec.files:
        (spec.run_dir / name).chmod(0o644)  # the agent may be somebody else; nobody but us gets into the folder
    spec.sandbox.hand_over(spec.place)
    _write_private(spec.run_dir / keeper.SPEC, msgspec.json.encode(_keeper_spec(spec)).decode())
    said = _start_keeper(spec.run_dir)
    if said != keeper.READY:
        tidy(spec.run_dir)
    if said == keeper.LOCKED:
        raise AgentLocked(str(spec.lock))
    if said != keeper.READY:
        raise LaunchFailed(said)


def _keeper_spec(spec: RunSpec) -> KeeperSpec:
    seen = [*spec.read_only, *(spec.run_dir / name for name in spec.files)]
    tree, sandbox = spec.place.tree, spec.sandbox
    return KeeperSpec(
        argv=sandbox.wrap(spec.argv, place=spec.place, cwd=tree, read_only=seen, hide=spec.hide),
        cwd="/" if sandbox.kind == "bwrap" else str(tree),
        env=spec.env,
        run_dir=str(spec.run_dir),
        lock=str(spec.lock),
        share_lock=sandbox.kind == "none",
        sandboxed=sandbox.kind == "bwrap",
        limits=spec.limits,
    )


def _start_keeper(run_dir: Path) -> str:
    """What the keeper said: one of its two words, or what went wrong."""
    argv = [sys.executable, "-I", "-S", keeper.__file__, str(run_dir / keeper.SPEC)]
    log = run_dir / "keeper.log"
    with log.open("ab") as complaints:
        process = subprocess.Popen(
            argv,
            cwd="/",
            env={"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            start_new_session=True,
        )
    with process:
        try:
            said, _ = process.communicate(timeout=_LAUNCH_SECONDS)
        except subprocess.TimeoutExpired:
            request_stop(run_dir, keeper.SHUTDOWN)  # should it come up after all
            process.kill()
            said = f"the keeper did not come up within {_LAUNCH_SECONDS:g} seconds"
    return said or log.read_text(errors="replace").strip() or "the keeper ended without a word"


def state_of(run_dir: Path, lock: Path) -> RunState:
    """Whether the run goes on, has ended, or was lost. True at the moment of asking, for any worker."""
    if result_of(run_dir) is not None:
        return RunState.ENDED
    if _keeper_lives(run_dir, lock):
        return RunState.RUNNING
    return RunState.LOST if result_of(run_dir) is None else RunState.ENDED


def _keeper_lives(run_dir: Path, lock: Path) -> bool:
    try:
        written = msgspec.json.decode((run_dir / keeper.KEEPER).read_bytes(), type=Identity)
    except FileNotFoundError:
        return False
    if written.here():
        return Identity.of(written.pid) == written
    return is_held(lock)  # its process is out of our sight: another container, or another host's disk


def is_held(lock: Path) -> bool:
    """Whether somebody, on any host, holds this lock file."""
    try:
        file = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def result_of(run_dir: Path) -> KeeperResult | None:
    """How the run ended, or None as long as that is not written."""
    try:
        return msgspec.json.decode((run_dir / keeper.RESULT).read_bytes(), type=KeeperResult)
    except FileNotFoundError:
        return None


def request_stop(run_dir: Path, reason: str) -> None:
    """Ask the keeper to end everything; it does within a second or two. The first reason given stays."""
    if not (run_dir / keeper.STOP).exists():
        _write_private(run_dir / "stop.draft", reason)
        (run_dir / "stop.draft").replace(run_dir / keeper.STOP)


def withdraw(run_dir: Path) -> None:
    """Keep the keeper of this run from starting its agent, where it was launched by a worker that is gone and has not
    come so far. One that has is left alone.
    """
    (run_dir / keeper.SPEC).unlink(missing_ok=True)


def tidy(run_dir: Path) -> None:
    """Remove what was half written in the folder of a run that was lost."""
    withdraw(run_dir)
    for draft in run_dir.glob("*.draft"):
        with suppress(OSError):
            draft.unlink()


def end_strays(lock: Path, place: Place) -> tuple[int, ...]:
    """Kill what a dead keeper left behind, and say which processes it was. Does nothing while a keeper lives.

    Strays are those who share the keeper's lock, those with the place's HOME, and everything below either.
    """
    ended: set[int] = set()
    until = time.monotonic() + _STRAYS_SECONDS
    while (found := _strays(lock, place)) and time.monotonic() < until:
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended |= found
        time.sleep(0.02)
    return tuple(sorted(ended))


def _strays(lock: Path, place: Place) -> set[int]:
    owner, sharing = sharing_lock(lock)
    if owner in sharing:
        return set()
    found = {*sharing, *carrying(f"HOME={place.home}")}
    return found.union(*(set(descendants(pid)) for pid in found)) - {os.getpid()}


def follow(
    run_dir: Path,
    lock: Path,
    *,
    on_lines: Callable[[list[bytes]], None],
    should_stop: Callable[[], str | None],
    leave: threading.Event | None = None,
    poll: float = 0.1,
) -> RunState:
    """Read a run along from its first line to its end, or until `leave` is set (then it is left RUNNING).

    `on_lines` gets whole lines without their newline, in order, each once. `should_stop` is asked every
    `poll` seconds; the first reason it gives is passed on to the keeper, and reading goes on to the end.
    """
    lines, leaving, asked = Tail(run_dir / keeper.EVENTS), leave or threading.Event(), False
    while True:
        state = state_of(run_dir, lock)  # before reading: what an ended run wrote is all there
        while found := lines.read():
            on_lines(found)
        if state is not RunState.RUNNING and (rest := lines.rest()):
            on_lines(rest)
        if state is not RunState.RUNNING or leaving.is_set():
            return state
        if not asked and (reason := should_stop()) is not None:
            request_stop(run_dir, reason)
            asked = True
        leaving.wait(poll)


def version(program: Program, sandbox: Sandbox, scratch: Path | None = None) -> str:
    """What the agent program calls itself, such as `opencode 1.18.33`; empty when it does not say, and when `scratch`
    is gone: a worker that stops takes its folder away.

    Starts it, in a sandbox and a place of its own below `scratch` (None: where the system has its temporary files),
    which takes about a second.
    """
    try:
        made = tempfile.TemporaryDirectory(dir=scratch)
    except FileNotFoundError:
        return ""
    with made as folder:
        place, argv = Place.at(Path(folder).resolve()), [*program.argv, "--version"]
        try:
            ended = sandbox.run_inside(place, None, argv, _VERSION_SECONDS, read_only=program.needs)
        except subprocess.TimeoutExpired:
            return ""
    said = ended.stdout.strip().splitlines()[:1]
    return f"{program.name} {said[0]}" if said and ended.returncode == 0 else ""


class StartGate:
    """At most so many agents start at once: their start is what costs processor time, not their running.

    Eight started together on two cores each wait 22 s for their first request, one alone under 4 s (measured
    with opencode 1.18.33).
    """

    def __init__(self, slots: int | None = None) -> None:
        self._free = threading.BoundedSemaphore(slots or os.cpu_count() or 1)

    @contextmanager
    def pass_through(self, check: Callable[[], None], *, poll: float = 0.1) -> Iterator[Callable[[], None]]:
        """Wait for a slot and hold it within the block; gives what frees it early (at the first event).

        `check` is called while waiting; what it raises ends the wait.
        """
        while not self._free.acquire(timeout=poll):
            check()
        with ExitStack() as slot:
            slot.callback(self._free.release)
            yield slot.close


def _write_private(path: Path, content: str | bytes) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(number, "wb") as file:  # noqa: PTH123 - a descriptor, no path
        file.write(content.encode() if isinstance(content, str) else content)
