"""Kugetsu as the processes it is made of, each of which can be killed: web, worker, keepers, agents."""

import os
import random
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from jobs import keeper, processes
from tests.crash import forkserver
from tests.crash.forkserver import ForkServer
from tests.fakes import stub
from tests.fakes.gitea import FakeGitea

HALVES: Final = ("web", "worker")
AGENTS: Final = ("keeper", "agent")
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
        self._port = _free_port()
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
        """Start `web` or `worker` where it does not run; a web half listens when this returns."""
        if half in self._pids:
            return
        self._pids[half] = self._forks.start(half, self._environ, self.root / f"{half}.log", tricks)
        if half == "web":
            self.wait_for(self._listens, "the HTTP side to listen")

    def kill(self, *victims: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill these parts at one stroke, and wait until none of them lives. The others go on."""
        agents = [pid for victim in victims if victim in AGENTS for pid in self.agents(victim)]
        halves = [self._pids.pop(victim) for victim in victims if victim in self._pids]
        for pid in [*halves, *agents]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        for pid in halves:
            forkserver.end(pid, number)
        self.wait_for(lambda: not any(map(processes.Identity.of, agents)), "the agents to have ended")

    def stop(self) -> None:
        """Kill everything that still runs."""
        self.kill(*HALVES)
        self.wait_for(lambda: not self._kill_strays(), "every process to be gone")
        if self._database is not None:
            self._database.close()

    def _kill_strays(self) -> list[int]:
        found = self.others()
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return found

    def agents(self, what: str) -> list[int]:
        """The keepers, or the processes of agents, that live now."""
        return [pid for pid in self.others() if _is_keeper(pid) == (what == "keeper")]

    def others(self) -> list[int]:
        """All processes of this installation but its halves and what is below these: keepers, agents, strays."""
        below = {pid for half in self._pids.values() for pid in (half, *processes.descendants(half))}
        return [pid for pid in _all_processes() if pid not in below and _mentions(pid, str(self.home))]

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
        """The end of what the halves said."""
        texts = [(half, self.root / f"{half}.log") for half in HALVES]
        return "\n".join(f"{half}: {path.read_text()[-3000:]}" for half, path in texts if path.exists())

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1):
            return True
        return False


def _free_port() -> int:
    """A port that nobody takes while its owner is dead: the kernel gives none from below 32768 to those who ask for any
    (proc(5), ip_local_port_range).
    """
    while True:
        port = random.randint(20000, 32000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _all_processes() -> list[int]:
    return sorted(int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())


def _mentions(pid: int, text: str) -> bool:
    """Whether the process has `text` in its command line or its environment. The dead have neither."""
    return any(text in _proc(pid, name) for name in ("cmdline", "environ"))


def _is_keeper(pid: int) -> bool:
    return keeper.__file__ in _proc(pid, "cmdline").split("\0")


def _proc(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""
