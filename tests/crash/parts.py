"""Kugetsu as the processes it is made of, each of which can be killed: web, worker, keepers, agents."""

import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from jobs import keeper, processes
from tests import alive
from tests.crash import forkserver
from tests.crash.forkserver import ForkServer
from tests.fakes import stub
from tests.fakes.gitea import FakeGitea
from tests.ports import free_port

HALVES: Final = ("web", "worker")
EVERYTHING: Final = ("keeper", "agent", "child")
"""What lives beside the halves."""
SECRET: Final = "a-secret-of-the-webhook"
BOT, WRITER = "kugetsu", "ada"
PATIENCE: Final = 60.0
POLL: Final = 0.02


class Parts:
    """One installation on one machine, in `root`, that serves one Gitea."""

    def __init__(self, root: Path, gitea: FakeGitea, forks: ForkServer, **settings: str) -> None:
        self.root, self.gitea = root, gitea
        self.home, self.tmp = root / "kugetsu", root / "tmp"
        self._forks = forks
        self._pids: dict[str, int] = {}
        self._port = free_port()
        self._database: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        for folder in (self.home, self.tmp):
            folder.mkdir(parents=True)
        gitea.user(BOT)
        given = {
            "HOME": str(self.home),
            "PORT": str(self._port),
            "GITEA_URL": gitea.url,
            "GITEA_TOKEN": gitea.token_for(BOT),
            "WEBHOOK_SECRET": SECRET,
            "AGENT_COMMAND": stub.COMMAND,
            **settings,
        }
        environ = {f"KUGETSU_{name}": value for name, value in given.items()}
        self._environ = {"PATH": os.environ["PATH"], "TMPDIR": str(self.tmp), **environ}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self, half: str, **tricks: Any) -> None:
        """Start `web`, `worker`, one of several such as `worker2`, or `serve`, where it does not run; what serves HTTP
        listens when this returns, `serve` answers.
        """
        if half in self._pids:
            return
        command = half.rstrip("0123456789")
        self._pids[half] = self._forks.start(command, self._environ, self.root / f"{half}.log", tricks)
        if half in {"web", "serve"}:
            self.wait_for(self._answers if half == "serve" else self._listens, "the HTTP side to listen")

    def end(self, half: str, number: signal.Signals = signal.SIGTERM) -> float:
        """Ask a half to end, and wait until it has; the seconds that took."""
        began = time.monotonic()
        forkserver.end(self._pids.pop(half), number)
        return time.monotonic() - began

    def tell(self, half: str, number: signal.Signals) -> None:
        """Send a half a signal, and wait for nothing."""
        with suppress(ProcessLookupError):
            os.kill(self._pids[half], number)

    def pause(self, half: str) -> None:
        """Stop a half, and wait until each of its threads stands: one that runs elsewhere goes on for a while after the
        signal is sent, be it to begin a write.
        """
        self.tell(half, signal.SIGSTOP)
        self.wait_for(lambda: alive.stands(self._pids[half]), "all its threads to stand")

    def kill(self, *victims: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Kill these parts at one stroke, and wait until none of them lives; how many processes that were. The others
        go on.
        """
        halves = [self._pids[victim] for victim in victims if victim in self._pids]
        beside = [victim for victim in victims if victim in EVERYTHING]
        others = self.others(*beside) if beside else []
        # First they stop: a half whose parent was killed a moment before it would begin to end in good order.
        for each in (signal.SIGSTOP, number) if number == signal.SIGKILL else (number,):
            for pid in [*halves, *others]:
                with suppress(ProcessLookupError):
                    os.kill(pid, each)
        self._pids = {half: pid for half, pid in self._pids.items() if pid not in halves}
        for pid in halves:
            forkserver.end(pid, number)
        self.wait_for(lambda: not any(map(processes.Identity.of, others)), "the victims to have ended")
        return len(halves) + len(others)

    def stop(self) -> None:
        """Kill everything that still runs."""
        self.wait_for(lambda: not self.kill(*self._pids, *EVERYTHING), "every process to be gone")
        if self._database is not None:
            self._database.close()

    def others(self, *what: str) -> list[int]:
        """The processes of this installation that live now and are no halves of it: `keeper`, `agent`, or `child`, a
        half's own; without a word keepers, agents and strays.
        """
        found = sorted(alive.below(self._pids.values())) if "child" in what else []
        if not what or {"keeper", "agent"} & set(what):
            outside = alive.beside(self.home, self._pids.values())
            found += [pid for pid in outside if not what or ("keeper" if _is_keeper(pid) else "agent") in what]
        return found

    def ask(self, question: str, *values: str | int) -> int:
        """The one number that a query of the service's database gives."""
        with self._lock:
            if self._database is None:
                path = self.home / "kugetsu.db"
                self._database = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
            return int(self._database.execute(question, values).fetchone()[0])

    def wait_for(self, seen: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
        until = time.monotonic() + timeout
        while not seen():
            assert time.monotonic() < until, f"waited {timeout:g} s for {what}\n{self.logs()}"
            time.sleep(POLL)

    def logs(self) -> str:
        """The end of what each half said."""
        texts = {path.stem: path.read_text() for path in sorted(self.root.glob("*.log"))}
        return "\n".join(f"{half}: {text[-3000:]}" for half, text in texts.items())

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
            return True
        return False

    def _answers(self) -> bool:
        """Whether the HTTP side has begun: the parent of both halves listens before that."""
        with (
            suppress(OSError, HTTPException),
            closing(HTTPConnection("127.0.0.1", self._port, timeout=5)) as connection,
        ):
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        return False


def _is_keeper(pid: int) -> bool:
    with suppress(OSError):
        return keeper.__file__ in Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    return False
