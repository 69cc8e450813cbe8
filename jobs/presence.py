"""Which workers live: each holds a lock file open, so the kernel itself says so, at once and without a clock."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from peewee import Database

from jobs import checkout
from models.tables import Worker


class Presence:
    """This worker's name, its lock, and a folder for what it needs only itself; held until `leave` or the end of the
    process, however it comes.
    """

    def __init__(self, home: Path) -> None:
        self.host = socket.gethostname()
        self.pid = os.getpid()
        self.name = f"{self.host}-{self.pid}-{secrets.token_hex(3)}"
        self._path = _lock_path(home, self.name)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _locked(self._path)
        self.folder = folder_of(home, self.name)
        self.folder.mkdir(mode=0o700)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Say that this worker is gone."""
        _remove(self.folder)
        self._path.unlink(missing_ok=True)
        self._file.close()


def _locked(path: Path) -> IO[str]:
    """A new file, locked; made again where somebody took it for a dead worker's before it was."""
    while True:
        file = path.open("w")
        fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def is_gone(home: Path, host: str, name: str) -> bool:
    """Whether the worker `name` of `host` is known to have ended. A lock file that is here says so of any host, since
    a container that was made anew has another name. Without one nothing is known of another host: the lease decides.
    """
    try:
        with _lock_path(home, name).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        return host == socket.gethostname()
    except BlockingIOError:
        return False


def gone(home: Path, db: Database) -> list[str]:
    """The workers that are gone and have left something of themselves: a row, or a file where they had none yet."""
    known = {worker.name: worker.host for worker in Worker.select().execute(db)}
    left = (path.name.removesuffix(".lock") for path in (home / "workers").iterdir())
    here = dict.fromkeys(left, socket.gethostname())
    return [name for name, host in (here | known).items() if is_gone(home, host, name)]


def forget(home: Path, db: Database, name: str) -> None:
    """Remove what a worker that is gone left of itself."""
    _remove(folder_of(home, name))
    Worker.delete().where(Worker.name == name).execute(db)
    _lock_path(home, name).unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    """What cannot be removed now, since somebody still writes there, is removed by the next sweep."""
    with suppress(OSError):
        checkout.remove(folder)


def folder_of(home: Path, name: str) -> Path:
    """Where a worker keeps what need not outlive it."""
    return home / "workers" / name


def _lock_path(home: Path, name: str) -> Path:
    return home / "workers" / f"{name}.lock"
