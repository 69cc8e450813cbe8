"""`kugetsu web` and `kugetsu worker` as processes that start at once, for tests that kill them by hundreds.

A start costs a second of processor time, nearly all of it imports. So one process imports everything and forks: what it
forks is a process like any other, with an environment, a session and a log of its own, and runs the command line.

    with ForkServer() as forks:
        pid = forks.start("worker", environ, log)

    python -P -m tests.crash.forkserver     the server: a line of JSON in is a start, a line out its process id
"""

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn, Self

import uvicorn.lifespan.on
import uvicorn.loops.uvloop
import uvicorn.protocols.http.httptools_impl  # noqa: F401 - likewise

import webhook.receiving
import webhook.working  # noqa: F401 - imported here so that no fork has to
from jobs import processes
from tests.crash import probes
from webhook.cli import main

DEATH_SECONDS = 20.0


class ForkServer:
    """Starts halves of Kugetsu. On leaving, whatever it started is killed. Safe from several threads."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-P", "-m", "tests.crash.forkserver"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lock = threading.Lock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(DEATH_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(self, half: str, environ: Mapping[str, str], log: Path, tricks: Mapping[str, Any] | None = None) -> int:
        """Start `web` or `worker` with exactly this environment; its process id. `tricks` are what `probes.arm`
        understands.
        """
        order = {"half": half, "environ": dict(environ), "log": str(log), "tricks": dict(tricks or {})}
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())


def end(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process that a ForkServer started, and wait until it has ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    until = time.monotonic() + DEATH_SECONDS
    while processes.Identity.of(pid) is not None:
        assert time.monotonic() < until, f"process {pid} does not end"
        time.sleep(0.002)


def serve(orders: IO[str]) -> None:
    """Fork for each order, until there are no more; then kill what was forked."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    probes.one_context()
    gc.freeze()
    for line in orders:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(order)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    for pid in processes.descendants(os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _become(order: Mapping[str, Any]) -> NoReturn:
    """In the fork: a process as a shell would have started it, then the command."""
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _redirect(Path(order["log"]))
        os.environ.clear()
        os.environ.update(order["environ"])
        tempfile.tempdir = order["environ"][
            "TMPDIR"
        ]  # else Python makes a file there to try it out: no leaving of ours
        probes.arm(order["tricks"])
        code = main([order["half"]])
    except BaseException:  # noqa: BLE001 - the log is all there is to tell it
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _redirect(log: Path) -> None:
    with Path(os.devnull).open("rb") as nothing, log.open("ab") as output:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)


if __name__ == "__main__":
    serve(sys.stdin)
