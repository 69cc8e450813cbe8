"""The gateway's process: `python -m jobs.gateway`, told by standard input what to serve, ended when nobody needs it.

It outlives the worker that started it. One that is to serve something else (another key, another version) gets the
listening socket from the one before, which answers what it has begun: the port stays, no call is refused, and there is
no moment in which another process could take the port and pose as the gateway.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from logging.handlers import RotatingFileHandler
from pathlib import Path

import msgspec
import uvicorn
import uvloop
from peewee import Database

from jobs import agent, presence
from jobs.agent import RunState
from jobs.gateway.app import Gate, new_client
from jobs.gateway.books import Books
from jobs.gateway.files import CONTROL, LOG, Running, Spec, forget, prices_in, remember, start_lock
from jobs.processes import Identity
from models import opening
from models.moves import State
from models.tables import Job

log = logging.getLogger("kugetsu.gateway")

LOOK_SECONDS = 0.5
DRAIN_SECONDS = 3600
"""For how long one that has handed over may finish what it has begun."""
END_SECONDS = 2
"""Likewise when the machine ends everything."""
_MOST_LOG = 4 << 20


def main() -> None:
    """Read the spec, start, say `ready PORT` on standard output, and serve."""
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=Spec)
    if os.fork():
        os._exit(0)  # so that it is nobody's child, and no zombie when it ends
    os.setsid()
    home = Path(spec.home)
    _log_to(home / LOG)
    with closing(_listening(home, spec.port)) as listening, _control(home) as control:
        port = listening.getsockname()[1]
        me = Identity.of(os.getpid())
        assert me is not None  # noqa: S101 - it is this process
        remember(home, Running(asdict(me), port, spec.digest))
        _say(f"ready {port}\n")
        log.info("listening on port %d for %s", port, ", ".join(spec.providers) or "nobody")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(spec, home, listening, control))
    log.info("ended")


def _say(word: str) -> None:
    """The one word, after which nobody listens: standard output and error go nowhere from now on."""
    os.write(1, word.encode())
    with Path(os.devnull).open("r+b") as nothing:
        for number in (0, 1, 2):
            os.dup2(nothing.fileno(), number)


def _log_to(path: Path) -> None:
    path.touch(mode=0o600)
    handler = RotatingFileHandler(path, maxBytes=_MOST_LOG, backupCount=1)
    logging.basicConfig(level=logging.INFO, handlers=[handler], format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _listening(home: Path, port: int) -> socket.socket:
    """The socket of the one before, if there is one, else a new one: on `port` where that is free."""
    with suppress(OSError):
        return _taken_over(home)
    for wanted in (port, 0):
        try:
            return socket.create_server(("127.0.0.1", wanted), backlog=512)
        except OSError as error:
            log.error("port %d cannot be had again (%s): agents that run now will not find the gateway", wanted, error)  # noqa: TRY400 - a line is enough
    raise SystemExit("no port is free")


def _taken_over(home: Path) -> socket.socket:
    """The listening socket of the gateway that runs now. Raises OSError where none does."""
    with socket.socket(socket.AF_UNIX) as asking, _short_path(home) as path:
        asking.settimeout(5.0)
        asking.connect(path)
        _, files, _, _ = socket.recv_fds(asking, 16, 1)
        if not files:
            raise OSError("nothing was handed over")
        with suppress(OSError):
            asking.recv(1)  # nothing comes but its end, once the one before takes no more calls
        return socket.socket(fileno=files[0])


@contextmanager
def _control(home: Path) -> Iterator[socket.socket]:
    """Where a later gateway asks for the listening socket. Only in our own folder, which no agent sees."""
    with socket.socket(socket.AF_UNIX) as control, _short_path(home) as path:
        Path(path).unlink(missing_ok=True)
        control.bind(path)
        Path(path).chmod(0o600)
        control.listen(1)
        yield control


@contextmanager
def _short_path(home: Path) -> Iterator[str]:
    """The control socket's path, however long that of the folder is: a socket's may have 107 bytes."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{CONTROL}"
    finally:
        os.close(folder)


async def _serve(spec: Spec, home: Path, listening: socket.socket, control: socket.socket) -> None:
    db = opening.open_database(home / "kugetsu.db")
    limits = {(limit.scope, limit.unit): limit.amount for limit in spec.limits}
    async with new_client() as client:
        gate = Gate(spec.providers, Books(db, limits, prices_in(home), time.time), client)
        server = _Server(_config(gate))
        for act in (lambda: _hand_over(control, listening, server), lambda: _watch(home, server)):
            threading.Thread(target=act, daemon=True).start()
        await server.serve(sockets=[listening])
        gate.close()


def _config(gate: Gate) -> uvicorn.Config:
    return uvicorn.Config(
        gate.app(),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=END_SECONDS,
        timeout_keep_alive=75,
    )


class _Server(uvicorn.Server):
    """Ends on a signal and returns, rather than sending itself the signal again. `deaf` is set once it takes no more
    connections: a call that came later would be made with a key that somebody has replaced.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.deaf = threading.Event()

    async def main_loop(self) -> None:
        await super().main_loop()
        for server in self.servers:
            server.close()
        self.deaf.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


def _hand_over(control: socket.socket, listening: socket.socket, server: _Server) -> None:
    """Give the listening socket to the next gateway, finish what has begun, and end."""
    with suppress(OSError):
        asking, _ = control.accept()
        with asking:
            socket.send_fds(asking, [b"take"], [listening.fileno()])
            server.config.timeout_graceful_shutdown = DRAIN_SECONDS
            server.should_exit = True
            server.deaf.wait(END_SECONDS)
        log.info("handed over")


def _watch(home: Path, server: uvicorn.Server) -> None:
    """End when no worker lives, and no agent."""
    db = opening.open_database(home / "kugetsu.db")
    while not server.should_exit:
        time.sleep(LOOK_SECONDS)
        with start_lock(home) as nobody_starts:
            if nobody_starts and not _is_needed(home, lambda: _runs(db)):
                forget(home)
                server.should_exit = True
    db.close()


def _is_needed(home: Path, runs: Callable[[], list[tuple[int, int]]]) -> bool:
    if not (home / "kugetsu.db").exists():
        return False
    host = socket.gethostname()
    if any(not presence.is_gone(home, host, lock.stem) for lock in (home / "workers").glob(f"{host}-*.lock")):
        return True
    folders = (home / "jobs" / str(job) / f"run-{run}" for job, run in runs())
    return any(agent.state_of(folder, folder / "lock") is RunState.RUNNING for folder in folders)


def _runs(db: Database) -> list[tuple[int, int]]:
    rows = Job.select(Job.id, Job.run).where(Job.state == State.RUNNING).tuples()
    return list(rows.execute(db))
