"""`kugetsu serve`: both halves as processes below one parent, which holds the socket that they listen on."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Final

from models import settings as configured
from models.settings import Settings
from webhook.listening import listen
from webhook.signals import at_end

log = logging.getLogger("kugetsu")

WELL: Final = 0
WRONG: Final = 2
"""The exit code of a half whose settings are wrong."""

AGAIN: Final = 3
"""The exit code of the HTTP side when it has written settings: both halves are to start with them."""

HALVES: Final = ("worker", "web")
STOP_SECONDS: Final = 5.0
"""A half that has not ended by then is killed; nothing it does is lost by that."""

STEADY_SECONDS: Final = 30.0
"""A half that has run this long is started again at once when it ends."""


class Supervisor:
    """Keeps one process for each half running until a signal says stop. The socket outlives them: who calls while the
    HTTP side starts again waits, and is not turned away.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Listens at once. Raises CannotListen."""
        self._settings = settings
        self._environ = dict(environ)
        self._listening = listen(settings.host, settings.port)
        self._halves: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
        self._stop = threading.Event()

    def run(self) -> int:
        """Until a signal says stop; then end both halves. A half whose settings are wrong ends the other, too."""
        at_end(self._stop.set)
        code = AGAIN
        try:
            while not self._stop.is_set() and code in (WELL, AGAIN):
                if code == AGAIN:
                    self._begin()
                self._stop.wait(0.1)
                code = self._look_after()
        finally:
            self._end()
            self._listening.close()
        return WELL if code == AGAIN else code

    def _begin(self) -> None:
        """Start both halves with the settings of now. Raises SettingsError and CannotListen."""
        self._end()
        before, self._settings = self._settings, configured.load(self._environ)
        if (before.host, before.port) != (self._settings.host, self._settings.port):
            self._listening.close()
            self._listening = listen(self._settings.host, self._settings.port)
        for name in HALVES:
            self._start(name)

    def _start(self, name: str) -> None:
        command = [sys.executable, "-P", "-m", "webhook.cli", name, "--with-parent", str(os.getpid())]
        sockets: tuple[int, ...] = ()
        if name == "web":
            sockets = (self._listening.fileno(),)
            command += ["--listening", str(self._listening.fileno())]
            command += [] if configured.usable(self._settings.servers) else ["--set-up"]
        # In a session of its own a half is not hit by Ctrl-C in the terminal: we tell it, once.
        process = subprocess.Popen(
            command, env=self._environ, stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=sockets
        )
        self._halves[name] = (process, time.monotonic())

    def _look_after(self) -> int:
        for name, (process, since) in list(self._halves.items()):
            code = process.poll()
            if code in (WRONG, AGAIN):
                return code
            if code is not None:
                log.error("the %s half ended with %s and is started again", name, code)
                self._stop.wait(0.0 if time.monotonic() - since > STEADY_SECONDS else 1.0)
                self._start(name)
        return WELL

    def _end(self) -> None:
        for process, _ in self._halves.values():
            process.terminate()
        until = time.monotonic() + STOP_SECONDS
        for process, _ in self._halves.values():
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._halves.clear()
