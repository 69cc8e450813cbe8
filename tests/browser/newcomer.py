"""Somebody new: an empty HOME, a terminal in which `kugetsu serve` runs, and a browser."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

SERVE = [sys.executable, "-P", "-m", "webhook.cli", "serve"]
PATIENCE = 600.0
"""Seconds: `make run` installs what is missing first."""


class Terminal:
    """A command in a terminal of its own, with a HOME and no settings but these. `machine`: how programs on this
    machine reach the registries of packages is left to them.
    """

    def __init__(
        self, home: Path, command: Sequence[str], folder: Path, *, machine: bool = False, **settings: str
    ) -> None:
        self.home = home
        environ = _of_this_machine() if machine else {}
        environ |= {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        environ |= {f"KUGETSU_{name}": value for name, value in settings.items()}
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(command, env=environ, stdin=slave, stdout=slave, stderr=slave, cwd=folder)
        os.close(slave)
        self._read = b""
        self._reader = threading.Thread(target=self._read_on, name="terminal")
        self._reader.start()

    @property
    def text(self) -> str:
        """What stands on it."""
        return self._read.decode(errors="replace")

    def wait_for(self, pattern: str) -> str:
        """The first group of `pattern`, as soon as it stands there."""
        until = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.text)) is None:
            assert time.monotonic() < until, f"no {pattern!r} within {PATIENCE:g} s:\n{self.text}"
            assert self.process.poll() is None, self.text
            time.sleep(0.02)
        return found[1]

    def end(self) -> None:
        """End the command, and all that it began."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)  # which make passes on
            self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        os.close(self._master)

    def _read_on(self) -> None:
        while True:
            if not select.select([self._master], [], [], 0.1)[0]:
                if self.process.poll() is not None:
                    return
                continue
            try:
                part = os.read(self._master, 65536)
            except OSError:  # so says the kernel once nobody has the other end open (pty(7))
                return
            self._read += part


def _of_this_machine() -> dict[str, str]:
    """The environment without what belongs to the project or to this Python; npm keeps its configuration in HOME."""
    ours = ("KUGETSU_", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {"NPM_CONFIG_USERCONFIG": str(Path.home() / ".npmrc"), **environ}


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; its own sandbox does not work for root, and its pages are ours."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "there is no Chromium: `make browser` installs it"
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]) as made,
    ):
        yield made


class Steps:
    """What somebody does, and when, in seconds since they began."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._done: list[tuple[float, str]] = []

    def done(self, what: str) -> None:
        self._done.append((time.monotonic() - self._began, what))

    def told(self) -> str:
        """One line for each."""
        return "".join(f"\n  {at:6.1f} s  {what}" for at, what in self._done)
