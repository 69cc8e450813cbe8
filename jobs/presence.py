"""Which workers live: each holds a lock file open, so the kernel itself says so, at once and without a clock."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from pathlib import Path
from typing import Self

from peewee import Database

from models.tables import Worker


class Presence:
    """This worker's name and its lock, held until `leave` or the end of the process, however it comes."""

    def __init__(self, home: Path) -> None:
        self.host = socket.gethostname()
        self.pid = os.getpid()
        self.name = f"{self.host}-{self.pid}-{secrets.token_hex(3)}"
        self._path = _lock_path(home, self.name)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Say that this worker is gone."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def is_gone(home: Path, host: str, name: str) -> bool:
    """Whether the worker `name` of `host` is known to have ended. Of another host's nothing is known from here: there
    the lease decides.
    """
    if host != socket.gethostname():
        return False
    try:
        with _lock_path(home, name).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False


def forget(home: Path, db: Database, name: str) -> None:
    """Remove what a worker that is gone left of itself."""
    _lock_path(home, name).unlink(missing_ok=True)
    Worker.delete().where(Worker.name == name).execute(db)


def _lock_path(home: Path, name: str) -> Path:
    return home / "workers" / f"{name}.lock"
