"""The two halves of the service, in this process or as processes of their own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

from jobs.queue import Bells, Lane
from jobs.worker import WorkerProcess
from models import opening
from models.settings import Settings
from webhook.app import create_app
from webhook.listening import address_of, listen
from webhook.server import server_of
from webhook.wiring import Wiring

PATIENCE = 30.0


class Halves:
    """The HTTP side and the work side in this process, each of which can be stopped and started by itself."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self._environ = environ
        self._worker: WorkerProcess | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._web: tuple[Callable[[], None], threading.Thread] | None = None
        self._port = 0
        self.url = ""

    def listen_on(self, port: int) -> None:
        """Take this port rather than any free one."""
        self._port = port

    def start_web(self) -> None:
        """Listen, always on the same port."""
        home = self.settings.home
        home.mkdir(parents=True, exist_ok=True)
        database = opening.open_database(home / "kugetsu.db")
        opening.migrate(database, home / "migrate.lock", capacity=self.settings.max_concurrent_agents)
        bells = Bells(home / "queue.db")
        ring = partial(bells.ring, Lane.DESK)
        ring_agents = partial(bells.ring, Lane.AGENTS)
        app = create_app(Wiring(settings=self.settings, database=database, ring=ring, ring_agents=ring_agents))
        listening = listen("127.0.0.1", self._port)
        self.url = address_of(listening)
        self._port = int(self.url.rpartition(":")[2])
        server = server_of(app)

        def run() -> None:
            server.run(sockets=[listening])
            listening.close()
            bells.close()

        thread = threading.Thread(target=run, name="web-half")
        thread.start()
        self._web = (partial(setattr, server, "should_exit", True), thread)

    def stop_web(self) -> None:
        if self._web is not None:
            stop, thread = self._web
            stop()
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the HTTP side did not stop"
            self._web = None

    def start_worker(self) -> None:
        self._worker = WorkerProcess(self.settings, self._environ)
        self._worker.start()

    def stop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
        if self._process is not None:
            self.signal_worker(signal.SIGTERM)

    def start_worker_process(self) -> None:
        """`kugetsu worker` as a process of its own, which can be killed. Its log is appended to `worker.log`."""
        command = [sys.executable, "-P", "-m", "webhook.cli", "worker"]
        with (self.settings.home / "worker.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=dict(self._environ), stdout=log, stderr=log)

    def start_both_as_processes(self) -> None:
        """`kugetsu serve`: both halves as processes of their own, on a free port."""
        self._environ = {**self._environ, "KUGETSU_PORT": "0", "KUGETSU_PUBLIC_URL": self.settings.public_url}
        with (self.settings.home / "serve.log").open("ab") as log:
            command = [sys.executable, "-P", "-m", "webhook.cli", "serve"]
            self._process = subprocess.Popen(command, env=dict(self._environ), stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE
        pattern = re.compile(r"listening on (http://\S+),")
        while (found := pattern.search((self.settings.home / "serve.log").read_text())) is None:
            assert time.monotonic() < until, (self.settings.home / "serve.log").read_text()
            time.sleep(0.05)
        self.url = found[1]

    def stop_both_processes(self) -> None:
        self.signal_worker(signal.SIGTERM)

    @property
    def worker_pid(self) -> int | None:
        """Of the worker process, where there is one."""
        return self._process.pid if self._process else None

    def signal_worker(self, number: signal.Signals) -> float:
        """Send a signal to the worker process and wait for its end; gives the seconds that took."""
        process, self._process = self._process, None
        assert process is not None, "no worker process runs"
        began = time.monotonic()
        process.send_signal(number)
        process.wait(PATIENCE)
        return time.monotonic() - began
