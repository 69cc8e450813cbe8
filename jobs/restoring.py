"""A backup becomes a home again, in which a service can start and go on where the other was."""

from __future__ import annotations

import stat
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from jobs import checkout, keeper
from jobs.backup import DATABASE, FORMAT, MANIFEST
from models import ledger, numbering, opening
from models.ledger import Claimed
from models.moves import State
from models.refusal import Refused
from models.tables import Job, Thread, Worker

STAGING: Final = opening.RESTORING

_MODE: Final = 0o755
"""The most that anything restored may allow: nothing runs as its owner, and only that one writes to it."""


class RestoreRefused(Refused):
    """Nothing is restored; the message says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored. `moved`: the home was another one, so the agents' sessions begin anew."""

    version: str
    jobs_running: int
    moved: bool


class _Manifest(msgspec.Struct):
    format: int
    version: str
    home: str


def restore(archive: Path, home: Path) -> Restored:
    """Unpack `archive` into `home`, which must be empty. Cut short, it can be called again. Raises RestoreRefused."""
    home = home.resolve()
    left = sorted(path.name for path in home.iterdir()) if home.is_dir() else []
    if left and (STAGING not in left or DATABASE in left):  # the database comes last: with it, the restore was done
        raise RestoreRefused(f"{home} is not empty ({left[0]} is in it); right would be an empty KUGETSU_HOME")
    for name in left:
        checkout.remove(home / name)
    staging = home / STAGING
    staging.mkdir(parents=True, mode=0o700)
    try:
        manifest = _unpack(archive, staging)
        moved = manifest.home != str(home)
        if moved:
            _repoint(staging, manifest.home, str(home))
        running = _take_over(staging, moved=moved)
    except BaseException:
        checkout.remove(staging)
        raise
    (staging / MANIFEST).unlink()
    # The database last: without it there is nothing that could be started half restored.
    for path in sorted(staging.iterdir(), key=lambda path: path.name == DATABASE):
        path.rename(home / path.name)
    staging.rmdir()
    return Restored(manifest.version, running, moved)


def _unpack(archive: Path, staging: Path) -> _Manifest:
    try:
        with tarfile.open(archive) as tar:
            # Links last, so that nothing is written through one.
            members = sorted(tar.getmembers(), key=lambda member: member.issym())
            if not members or members[0].name != MANIFEST:
                raise RestoreRefused(f"{archive} is no backup of Kugetsu's")
            if (name := _leading_out(members)) is not None:
                raise RestoreRefused(f"{archive} was tampered with: it would write to {name}")
            if (name := _not_ours(members)) is not None:
                raise RestoreRefused(f"{archive} was tampered with: {name} is nothing that a backup holds")
            for member in members:
                member.mode &= _MODE
            # Python 3.11.2, which Debian 12 has, knows no filters; newer ones ask for one, and their own would refuse
            # links to other folders.
            more: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
            tar.extractall(staging, members=members, numeric_owner=True, **more)  # noqa: S202
        manifest = msgspec.json.decode((staging / MANIFEST).read_bytes(), type=_Manifest)
    except (tarfile.TarError, msgspec.DecodeError, EOFError) as error:
        raise RestoreRefused(f"{archive} cannot be read as a backup: {error}") from error
    if manifest.format != FORMAT:
        raise RestoreRefused(f"{archive} was made by Kugetsu {manifest.version}; right would be that version")
    return manifest


def _leading_out(members: Sequence[tarfile.TarInfo]) -> str | None:
    """The name of a member that would be written outside the folder: by its own path, or through a link."""
    links = {PurePosixPath(member.name) for member in members if member.issym()}
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not links.isdisjoint(path.parents):
            return member.name
    return None


def _not_ours(members: Sequence[tarfile.TarInfo]) -> str | None:
    """The name of a member that `jobs.backup` never writes: it knows files, folders, and links in agents' places only,
    so no link leads the service from its own folders to elsewhere.
    """
    for member in members:
        parts = PurePosixPath(member.name).parts
        is_in_place = len(parts) > 2 and parts[0] == "worktrees"  # noqa: PLR2004
        if not (member.isreg() or member.isdir() or (member.issym() and is_in_place)):
            return member.name
    return None


def _repoint(staging: Path, old: str, new: str) -> None:
    """Git names three things in a place by their whole path: the mirror it borrows from, and the tree's two links."""
    for place in (staging / "worktrees").glob("*"):
        for name in ("repo.git/objects/info/alternates", "repo.git/worktrees/tree/gitdir", "tree/.git"):
            _replace(place, name, old, new)


def _replace(place: Path, name: str, old: str, new: str) -> None:
    path = place / name
    try:
        if path.resolve() != place.resolve() / name or not stat.S_ISREG(path.lstat().st_mode):
            return
        text = path.read_text()
    except OSError:
        return
    path.write_text(text.replace(f"{old}/", f"{new}/"))


def _take_over(staging: Path, *, moved: bool) -> int:
    """Whoever worked on it works no more: jobs that ran wait again, to go on in their sessions; how many."""
    for spec in _unfinished(staging):
        (spec / keeper.KEEPER).unlink(missing_ok=True)
    db = opening.open_database(staging / DATABASE)
    opening.migrate(db, staging / "migrate.lock", capacity=1)
    now = time.time()
    with db.connection_context(), db.atomic():
        running = list(Job.select().where(Job.state == State.RUNNING).execute(db))
        for job in running:
            ledger.requeue(db, Claimed(job.id, job.epoch), now=now, reason="restored from a backup")
        Thread.update(desk_worker=None, desk_lease_until=None).execute(db)
        Worker.delete().execute(db)
        numbering.leave_out(db)
        if moved:
            # opencode hangs where a session is continued in another folder than the one it was begun in.
            Thread.update(session=None, pull_session=None).execute(db)
    db.close()
    return len(running)


def _unfinished(staging: Path) -> Iterator[Path]:
    """The folders of runs that had not ended."""
    for run in (staging / "jobs").glob("*/run-*"):
        if not (run / keeper.RESULT).exists():
            yield run
