"""Keeps agents from filling the disk: while there is little room none is started, and one that takes too much ends.

What a folder takes is added up file by file, which costs time; so it is done seldom for folders where it takes long.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobs import checkout
from jobs.inside import Inside
from jobs.place import Place
from jobs.queue import Lane
from jobs.wiring import Wiring
from models import limits, trouble
from models.disk import Room, folders_of, spoken, unwritable
from models.settings import Settings

LOOK_SECONDS: Final = 5.0
"""How often a place is looked at, at most."""
TOOK: Final = "the folder of this issue took"
"""With this begins why a run was ended here."""
SHARE_OF_TIME: Final = 20
"""One part in so many of the time may go into adding up."""


def watch(wiring: Wiring) -> None:
    """Hold everything that waits while a disk that agents fill is nearly full or cannot be written, and let it go on
    afterwards.
    """
    rooms = [Room.of(folder) for folder in folders_of(wiring.settings)]
    held = limits.of(wiring.db).held == trouble.FULL
    full = any(room.scarce for room in rooms) or (held and not all(room.ample for room in rooms))
    reason = trouble.FULL if full else _why_unwritable(wiring.settings)
    if limits.hold(wiring.db, reason) and reason is None:
        wiring.bells.ring(Lane.AGENTS)


def may_start(settings: Settings) -> bool:
    """Whether something new may start now: as `watch`, for the moment of starting."""
    return not is_scarce(settings) and _why_unwritable(settings) is None


def is_scarce(settings: Settings) -> bool:
    """Whether a disk that agents fill is nearly full."""
    return any(Room.of(folder).scarce for folder in folders_of(settings))


def _why_unwritable(settings: Settings) -> str | None:
    return trouble.UNWRITABLE if unwritable(settings) is not None else None


class Budget:
    """What one run may take of a disk: its place's folders together at most a quarter of it, in bytes and in files, and
    nothing more of what has to stay free for the databases to end in good order.
    """

    def __init__(self, place: Place) -> None:
        beside = [] if place.tmp.is_relative_to(place.root) else [place.tmp]
        self._folders = [place.root, *beside]
        self._due = 0.0

    def broken(self) -> str | None:
        """Why the run has to end, as a sentence about it; None where it may go on. Cheap where asked often."""
        now = time.monotonic()
        if now < self._due:
            return None
        why = next(filter(None, map(_why_too_much, self._by_disk())), None)
        self._due = time.monotonic() + max(LOOK_SECONDS, SHARE_OF_TIME * (time.monotonic() - now))
        return why

    def _by_disk(self) -> list[list[Path]]:
        disks: dict[int, list[Path]] = {}
        for folder in self._folders:
            with suppress(FileNotFoundError):  # an agent without a sandbox may take its temporary folder away
                disks.setdefault(folder.stat().st_dev, []).append(folder)
        return list(disks.values())


def _why_too_much(folders: Sequence[Path]) -> str | None:
    room, taken = Room.of(folders[0]), Taken()
    for folder in folders:
        taken.add(folder)
    if taken.size > room.most_of_a_place:
        return f"{TOOK} {spoken(taken.size)} of the disk; {spoken(room.most_of_a_place)} is the most one may take"
    if (most := room.most_files_of_a_place) is not None and taken.files > most:
        return f"{TOOK} {taken.files} of the files that the disk can hold; {most} is the most one may take"
    if room.free < room.floor // 4 and taken.size > room.floor:
        return f"{TOOK} {spoken(taken.size)} of a disk that is nearly full"
    return None


def clear(inside: Inside) -> None:
    """Take away what fills a place: its temporary files, caches, and whatever in the tree was never committed and is
    new. Work that is committed, or changes a file of the project, stays.
    """
    place = inside.place
    for folder in (place.tmp, place.home / ".cache"):
        if folder.is_dir() and not folder.is_symlink():
            checkout.remove(folder)
    checkout.furnish(place)
    inside.do("git clean -ffdxq")


@dataclass
class Taken:
    """What folders take of a disk: bytes, and files."""

    size: int = 0
    files: int = 0

    def add(self, folder: Path) -> None:
        """What this one takes, following no link. What vanishes meanwhile counts nothing."""
        waiting = [folder]
        while waiting:
            with suppress(OSError), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    with suppress(OSError):
                        kind = entry.stat(follow_symlinks=False)
                        self.size += kind.st_blocks * 512
                        self.files += 1
                        if stat.S_ISDIR(kind.st_mode):
                            waiting.append(Path(entry.path))
