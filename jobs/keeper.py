"""The keeper: a small process of its own that runs one agent and outlives the worker that asked for it.

    python -I -S keeper.py SPEC.json        keep one run, as written by `jobs.agent.launch`
    python -I -S keeper.py short COMMAND…   run a short command; whatever it began ends with it

Only the standard library: it is started by its path, isolated from every site package. It holds the run's
lock for as long as anything of the run lives, and tells how it ended in result.json, by rename.
"""

import errno
import fcntl
import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

if __name__ == "__main__":  # isolated: nothing but the standard library and, after it, this project
    sys.path.append(str(Path(__file__).resolve().parent.parent))

from jobs import confine, watch
from jobs.processes import Children, Identity, die_with_parent
from jobs.watch import Ended, Limits

KEEPER, RESULT, STOP, SPEC = "keeper.json", "result.json", "stop", "spec.json"
PROMPT, EVENTS, STDERR = "prompt.txt", "events.jsonl", "stderr.txt"
READY, LOCKED = "ready", "locked"
SHUTDOWN = "shutdown"
"""The reason of a stop that came as SIGTERM: the machine or the service manager ends everything."""

# Agents and what they build give way to the service, and to the keeper that ends them: a webhook must be answered
# within five seconds, a cancel within two.
_NICENESS = 10
_LOCK_PATIENCE_SECONDS = 2.0  # an ended keeper's last moments, and probes of `state_of`
_STDERR_TAIL_BYTES = 4096
_LAST_WORD_SECONDS = 0.25
"""Who ends everything tells one after the other: an agent that was told first may be gone before we are told."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_ROOM_SECONDS = 0.5
_FAR = 4


@dataclass(frozen=True, slots=True)
class KeeperSpec:
    """What to run, and within which limits."""

    argv: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    run_dir: str
    lock: str
    share_lock: bool
    """The agent inherits the lock: without a sandbox it may outlive a killed keeper, and the lock says so."""
    sandboxed: bool
    limits: Limits

    @classmethod
    def read(cls, text: str) -> Self:
        read = json.loads(text)
        return cls(**{**read, "limits": Limits(**read["limits"])})


@dataclass(frozen=True, slots=True)
class KeeperResult:
    """How a run ended. Times are Unix seconds, `max_rss` is bytes, `stderr` the last few KiB of it."""

    ended: Ended
    code: int | None
    signal: int | None
    reason: str
    started_at: float
    ended_at: float
    max_rss: int
    stderr: str = ""
    without_room: bool = False
    """The disk was full when this was to be written, so what the agent wrote before may not have fitted either."""


class Watch:
    """When a run has to end: somebody asks for it, or a limit was passed."""

    def __init__(self, spec: KeeperSpec, children: Children) -> None:
        folder = Path(spec.run_dir)
        self._children, self._stop = children, folder / STOP
        self._limits = watch.Watch(spec.limits, folder / EVENTS, folder / STDERR)

    def broken(self) -> tuple[Ended, str] | None:
        """How the run has to end now and why, or None."""
        passed = self._limits.broken()
        if (reason := self._asked_to_stop()) is not None:
            return "stopped", reason
        return passed

    def _asked_to_stop(self) -> str | None:
        if self._children.stop_signal:
            return SHUTDOWN
        try:
            return self._stop.read_text(errors="replace").strip()
        except FileNotFoundError:
            return None


def keep(spec: KeeperSpec, lock: int) -> KeeperResult:
    """Run the agent to its end, whichever it is; nothing of it lives afterwards."""
    children, began, pid = Children(), time.time(), 0
    children.take_charge()
    try:
        pid = _start(spec, lock)
        ended, reason = children.wait(pid, Watch(spec, children).broken) or ("exited", "")
    except (OSError, subprocess.SubprocessError) as error:
        ended, reason = "failed_to_start", str(error)
    finally:
        children.end_all()
    status = children.statuses.get(pid)
    if ended == "exited" and _was_shut_down(children, status):
        ended, reason = "stopped", SHUTDOWN
    number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
    code = None if status is None or number is not None else os.waitstatus_to_exitcode(status)
    tail = _tail(Path(spec.run_dir) / STDERR)
    return KeeperResult(ended, code, number, reason, began, time.time(), children.max_rss, tail)


def _was_shut_down(children: Children, status: int | None) -> bool:
    """Whether the agent, which ended by itself, did so since somebody ends everything."""
    if not status:
        return False
    code = os.waitstatus_to_exitcode(status)
    return children.told_to_end(_LAST_WORD_SECONDS if code in (-signal.SIGTERM, 128 + signal.SIGTERM) else 0.0)


def _start(spec: KeeperSpec, lock: int) -> int:
    folder, keeper = Path(spec.run_dir), os.getpid()
    with (
        (folder / PROMPT).open("rb") as prompt,
        (folder / EVENTS).open("ab") as events,
        (folder / STDERR).open("ab") as stderr,
    ):
        process = subprocess.Popen(
            spec.argv,
            cwd=spec.cwd,
            env=spec.env,
            stdin=prompt,
            stdout=events,
            stderr=stderr,
            pass_fds=(lock,) if spec.share_lock else (),
            start_new_session=True,
            umask=0o022,
            preexec_fn=lambda: _before_exec(spec, keeper),  # noqa: PLW1509 - this process has one thread
        )
    process.returncode = 0  # Children waits for it, never this object
    return process.pid


def _before_exec(spec: KeeperSpec, keeper: int) -> None:
    """In the agent's process: give way, die with the keeper, keep to the limits, go first without memory."""
    os.nice(_NICENESS)
    die_with_parent(signal.SIGKILL, keeper)
    for limit, most in _kernels_limits(spec.limits):
        hard = resource.getrlimit(limit)[1]
        kept = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (kept, kept))
    Path("/proc/self/oom_score_adj").write_text("500")
    if spec.sandboxed:
        confine.leave_abstract_sockets()


def _kernels_limits(limits: Limits) -> Iterator[tuple[int, int]]:
    """What the kernel itself holds each process to. It is faster than any watch, and knows no sum over processes: the
    number of processes is that of the user, so of all agents together, and memory is what a process has asked for and
    need not have got. Both are therefore far off; the watch holds the run to the limits themselves.
    """
    yield resource.RLIMIT_CORE, 0
    if limits.file:
        yield resource.RLIMIT_FSIZE, limits.file
    if limits.cpu:
        yield resource.RLIMIT_CPU, math.ceil(limits.cpu)
    if limits.threads:
        yield resource.RLIMIT_NPROC, _FAR * limits.threads
    if limits.memory:
        yield resource.RLIMIT_DATA, _FAR * limits.memory


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, watch.size(path) - _STDERR_TAIL_BYTES))
            return file.read(_STDERR_TAIL_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return ""


def take_lock(path: Path) -> int | None:
    """The open, locked file, or None when somebody else keeps it locked."""
    until = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), path.stat()):  # else it was replaced in between
                return lock
        os.close(lock)
        if time.monotonic() > until:
            return None
        time.sleep(0.02)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write so that whoever looks sees all of it or nothing, also after a power cut."""
    draft = path.with_name(path.name + ".draft")
    with draft.open("w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def run(spec_path: Path) -> None:
    """Keep the run of this spec; says `ready` or `locked` on standard output, then closes it."""
    spec = KeeperSpec.read(spec_path.read_text())
    folder, lock, me = Path(spec.run_dir), take_lock(Path(spec.lock)), Identity.of(os.getpid())
    if lock is not None and me is not None:
        write_json(folder / KEEPER, asdict(me))
    # It holds the agent's API keys. Where it is gone, the launch was taken back meanwhile: this raises.
    spec_path.unlink()
    os.write(1, (LOCKED if lock is None else READY).encode())
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 1)
    if lock is not None:
        _write_down(folder / RESULT, keep(spec, lock))


def _write_down(path: Path, result: KeeperResult) -> None:
    """Write how the run ended, however long a full disk makes that wait: nobody else knows it."""
    while True:
        try:
            write_json(path, asdict(result))
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            result = replace(result, without_room=True)
            time.sleep(_ROOM_SECONDS)
        else:
            return


def short(argv: Sequence[str]) -> int:
    """Run a command in the foreground; everything below is ended with it, or with this process's parent."""
    children = Children()
    children.take_charge()
    die_with_parent(signal.SIGTERM)
    try:
        process = subprocess.Popen(argv)
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
        return 127
    process.returncode = 0
    children.wait(process.pid, lambda: children.stop_signal or None)
    children.end_all()
    code = os.waitstatus_to_exitcode(children.statuses[process.pid])
    return code if code >= 0 else 128 - code


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["short"]:
        return short(argv[1:])
    if os.fork():
        os._exit(0)  # so that the keeper is nobody's child, and no zombie when it ends
    os.setsid()
    run(Path(argv[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
