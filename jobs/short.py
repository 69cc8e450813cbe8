"""A short command, run to its end while the caller waits; nothing of it lives on."""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from jobs import confine, keeper, processes

Ended = subprocess.CompletedProcess[str]

TWO_DIGITS = 10
"""From here on descriptors are ours: a shell names only those before, and opens the filter of system calls by one."""

_DYING_SECONDS = 10.0


def in_bwrap(command: Callable[[int], Sequence[str]], env: Mapping[str, str], seconds: float) -> Ended:
    """Run bwrap; `command` gives its command line for the descriptor of its `--info-fd`.

    It runs in a thread that has given up what the agent must not have: that cannot be taken back. Raises OSError, and
    `subprocess.TimeoutExpired` when it had to be ended.
    """

    def run() -> Ended:
        confine.leave_abstract_sockets()
        told, info = _pipe()
        with open(told, "rb") as reader:  # noqa: PTH123 - a descriptor, no path
            try:
                process = _start(command(info), env, Path("/"), info)
            finally:
                os.close(info)
            with process, _gone_after(reader.read()), _killed_after(process):
                return _complete(process, seconds)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def end_orphans(home: Path) -> set[int]:
    """Kill what is left of each bwrap on this home that was killed while it began; which processes that was.

    The first process of its namespace waits for a word from it before it asks to die with it, so then it waits for ever
    (https://github.com/containers/bubblewrap/issues/633). Only a worker's own short commands are left so: what a keeper
    leaves is ended with its run.
    """
    orphans = {pid for pid in processes.first_in_namespace("bwrap") if _names(pid, home.resolve())}
    for pid in orphans:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return orphans


def _names(pid: int, home: Path) -> bool:
    """Whether the command line has a path below this folder."""
    with suppress(OSError):
        return f"{home}/".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def supervised(command: Sequence[str], env: Mapping[str, str], cwd: Path, seconds: float) -> Ended:
    """Run a command below a process that ends whatever it leaves behind. Raises `subprocess.TimeoutExpired`."""
    below = (sys.executable, "-I", "-S", keeper.__file__, "short", *command)
    with _start(below, env, cwd) as process, _killed_after(process):
        return _complete(process, seconds)


def _complete(process: subprocess.Popen[str], seconds: float) -> Ended:
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.communicate(timeout=_DYING_SECONDS)
        raise
    return Ended(process.args, process.returncode, stdout, stderr)


def _start(command: Sequence[str], env: Mapping[str, str], cwd: Path, info: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        tuple(command),
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        pass_fds=() if info is None else (info,),
    )


def _pipe() -> tuple[int, int]:
    """To read from, and to hand over to the command."""
    told, info = os.pipe()
    try:
        return told, fcntl.fcntl(info, fcntl.F_DUPFD_CLOEXEC, TWO_DIGITS)
    finally:
        os.close(info)


@contextmanager
def _killed_after(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()


@contextmanager
def _gone_after(told: bytes) -> Iterator[None]:
    """Waits, at the end, for the end of all in the namespace: bwrap itself ends when the command has.

    The kernel ends the first process of a namespace only after all others (pid_namespaces(7)).
    """
    try:
        first = os.pidfd_open(json.loads(told)["child-pid"])
    except (ValueError, KeyError, OSError):  # bwrap failed, or is done already
        yield
        return
    try:
        yield
    finally:
        select.select([first], [], [], _DYING_SECONDS)
        os.close(first)
