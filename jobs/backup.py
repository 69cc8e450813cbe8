"""One archive of everything that a service needs to go on elsewhere, made while it runs.

The databases are copied first, each as it is at one moment, and the folders after them: so no row names a commit that
is not in the archive, and what the folders have more is what a worker that died just then would have left. What names
objects of git's comes before the objects: refs before those of their repository, places before the mirrors they borrow
from. A mirror is copied under its lock. Of a file that changes while it is read, another copy is made; a database of
the agent's is taken together with its write-ahead log.

The archive holds what `kugetsu.toml` holds: it is readable by its owner only.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from jobs.mirror import Mirror
from models.refusal import Refused

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
CONFIG: Final = "kugetsu.toml"
DATABASE, BELLS = "kugetsu.db", "queue.db"
DATABASES: Final = (DATABASE, BELLS)

_COPIES: Final = 5
_SPARE: Final = ".kugetsu-backup-"
_IN_MEMORY: Final = 16 * 1024 * 1024
_SIDES: Final = ("-wal", "-shm", "-journal")
_TOP_LEFT_OUT: Final = frozenset({"workers", "+restoring", "gateway.json"})
_HALF: Final = ("+making-", "+gone", "+freeing", "+lock")


class BackupRefused(Refused):
    """The backup is not made; the message says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written: how many files, and bytes of the archive."""

    path: Path
    files: int
    size: int


def back_up(home: Path, target: Path, *, config: Path | None = None, version: str) -> Backup:
    """Write everything below `home` into the new file `target`, packed where its name ends in `gz`. `config` is the
    settings file in force, where it lies elsewhere. Raises BackupRefused, and OSError where the disk refuses.
    """
    home, target = home.resolve(), target.absolute()
    _refuse(home, target)
    with _spare(target.parent) as spare, _written_whole(target, spare / "draft") as file:
        with _opened(file, packed=target.suffix.endswith("gz")) as tar:
            writer = _Writer(tar, home, spare)
            writer.text(MANIFEST, json.dumps({"format": FORMAT, "version": version, "home": str(home)}))
            writer.database(DATABASE)
            with suppress(sqlite3.DatabaseError, BackupRefused):  # a service without it makes another
                writer.database(BELLS)
            if config is not None:
                writer.file(config.resolve(), CONFIG)
            writer.everything(but=() if config is None else (CONFIG,))
        size = file.tell()
    return Backup(target, writer.count, size)


def _opened(file: IO[bytes], *, packed: bool) -> tarfile.TarFile:
    if packed:
        return tarfile.open(fileobj=file, mode="w:gz", compresslevel=6)
    return tarfile.open(fileobj=file, mode="w")


def _refuse(home: Path, target: Path) -> None:
    if not (home / "kugetsu.db").is_file():
        raise BackupRefused(f"there is no kugetsu.db in {home}, so there is nothing to back up; is KUGETSU_HOME right?")
    if os.path.lexists(target):
        raise BackupRefused(f"{target} is there already; right would be a new name")
    if not target.parent.is_dir():
        raise BackupRefused(f"{target.parent} is no folder; right would be one that is there")
    if target.parent.resolve().is_relative_to(home):
        raise BackupRefused(f"{target} lies in KUGETSU_HOME; right would be a place outside, best on another disk")


@contextmanager
def _spare(beside: Path) -> Iterator[Path]:
    """A folder for what is not complete yet. Those that killed backups have left there go, too: they hold secrets."""
    for left in beside.glob(f"{_SPARE}*"):
        with suppress(OSError), _locked(left, "r+b", fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(left)
    made = Path(tempfile.mkdtemp(dir=beside, prefix=_SPARE))
    try:
        with _locked(made, "wb", fcntl.LOCK_EX):
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _locked(spare: Path, mode: str, how: int) -> Iterator[None]:
    """Says of a spare folder that its backup is at work. Raises OSError where that cannot be had."""
    with (spare / "lock").open(mode) as lock:
        fcntl.flock(lock, how)
        yield


@contextmanager
def _written_whole(target: Path, draft: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when it is complete and on the disk, and never takes the place of another."""
    number = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(number, "w+b") as file:  # noqa: PTH123 - a descriptor, no path
        yield file
        file.flush()
        os.fsync(file.fileno())
    try:
        _name(draft, target)
    except FileExistsError:
        raise BackupRefused(f"{target} has come into being meanwhile; right would be a new name") from None
    folder = os.open(target.parent, os.O_RDONLY)
    with suppress(OSError):
        os.fsync(folder)
    os.close(folder)


def _name(draft: Path, target: Path) -> None:
    """Gives what is complete its name, which nobody else may have. A file system without hard links, as of a memory
    stick or some shares, has no way to do both at once: there the name is taken first. Raises FileExistsError.
    """
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:
        target.touch(mode=0o600, exist_ok=False)
        draft.replace(target)


class _Writer:
    """Adds to the archive, by names below `home`. What has to be copied first is copied into the folder `spare`."""

    def __init__(self, tar: tarfile.TarFile, home: Path, spare: Path) -> None:
        self._tar, self._home, self._spare = tar, home, spare
        self.count = 0

    def text(self, name: str, text: str) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(text.encode()), 0o600
        self._tar.addfile(info, io.BytesIO(text.encode()))

    def database(self, name: str) -> None:
        """A database of ours as it is now, through SQLite's own online backup."""
        source, spare = self._home / name, self._spare / name
        if not source.is_file():
            return
        with closing(sqlite3.connect(source, timeout=30.0)) as live, closing(sqlite3.connect(spare)) as copy:
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = delete")
            found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise BackupRefused(f"{source} is damaged ({found}); right would be to restore an older backup")
        self.file(spare, name, like=source.stat())

    def everything(self, *, but: Collection[str] = ()) -> None:
        """All folders and files but those of the names `but` and what is worth nothing elsewhere; what is a link in the
        home itself, as what it leads to.
        """
        ours = {f"{name}{side}" for name in DATABASES for side in ("", *_SIDES)}
        for path in sorted(self._home.iterdir(), key=lambda path: (path.name == "repos", path)):
            if path.name in ours | _TOP_LEFT_OUT | set(but) or path.suffix == ".lock":
                continue
            if path.name == "repos":
                self._mirrors(path)
            elif path.is_symlink() and path.is_dir():
                self._inside(path)
            elif path.is_symlink() and path.is_file():
                self.file(path.resolve(), path.name)
            else:
                self._tree(path)

    def _mirrors(self, repos: Path) -> None:
        for mirror in sorted(repos.glob("*/*/*.git")):
            with Mirror(mirror).held():
                self._tree(mirror)

    def _tree(self, path: Path) -> None:
        name = path.relative_to(self._home)
        if any(half in path.name for half in _HALF) or path.name.endswith(_SIDES):
            return
        try:
            kind = path.lstat()
        except OSError:
            return
        if stat.S_ISDIR(kind.st_mode) and _is_scratch(name):
            return
        if stat.S_ISREG(kind.st_mode):
            self.file(path, str(name))
        elif stat.S_ISLNK(kind.st_mode) or stat.S_ISDIR(kind.st_mode):
            with suppress(OSError):
                self._tar.addfile(_plain(self._tar.gettarinfo(path, str(name))))
            if stat.S_ISDIR(kind.st_mode):
                self._inside(path)

    def _inside(self, folder: Path) -> None:
        for inner in _entries(folder):
            self._tree(inner)

    def file(self, path: Path, name: str, *, like: os.stat_result | None = None) -> None:
        """A plain file, and its write-ahead log if it is a database with one; one that has gone is left out. `like`:
        with this one's owner and rights.
        """
        with self._copy() as main, self._copy() as beside:
            copied = _copied(path, main, beside)
            if copied is None:
                return
            self._add(name, like or copied, main)
            if beside.tell():
                self._add(f"{name}-wal", copied, beside)

    def _copy(self) -> tempfile.SpooledTemporaryFile[bytes]:
        """Not where temporary files are else: a mirror's packs may be larger than what fits there."""
        return tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self._spare))

    def _add(self, name: str, kind: os.stat_result, content: IO[bytes]) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = content.tell(), stat.S_IMODE(kind.st_mode), int(kind.st_mtime)
        info.uid, info.gid = kind.st_uid, kind.st_gid
        content.seek(0)
        self._tar.addfile(info, content)
        self.count += 1


def _copied(path: Path, main: IO[bytes], beside: IO[bytes]) -> os.stat_result | None:
    """Copy a file, and what stands in `-wal` beside it, so that they belong together: until nothing has changed
    meanwhile, or so often. None where there is no plain file (any more).

    SQLite writes into the file itself only when it takes in the log, so a file that stayed as it was goes with any
    later state of its log (https://sqlite.org/wal.html).
    """
    kind = None
    for _ in range(_COPIES):
        before = _copy(path, main)
        if before is None:
            return None
        kind = before
        _copy(path.with_name(f"{path.name}-wal"), beside)
        with suppress(OSError):
            after = path.lstat()
            if (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino):
                break
    return kind


def _copy(path: Path, into: IO[bytes]) -> os.stat_result | None:
    """Follows no link and waits for no pipe: the agent may have put anything there."""
    into.seek(0)
    into.truncate()
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(number, "rb") as file:
        kind = os.fstat(number)
        if not stat.S_ISREG(kind.st_mode):
            return None
        left = kind.st_size
        while left and (part := file.read(min(left, 1 << 20))):
            into.write(part)
            left -= len(part)
    return kind


def _entries(folder: Path) -> list[Path]:
    """What is in a folder; git's objects last, after whatever names them."""
    try:
        return sorted(folder.iterdir(), key=lambda path: (path.name == "objects", path))
    except OSError:
        return []


def _is_scratch(name: Path) -> bool:
    """Whether a folder lies in a place's temporary folder: what agents hand over are files, directly in it."""
    parts = name.parts
    return len(parts) > 3 and parts[0] == "worktrees" and parts[2] == "tmp"  # noqa: PLR2004


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Owners by number: the agent's has no name elsewhere."""
    info.uname = info.gname = ""
    return info
