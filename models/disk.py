"""How much room a file system has, and how much of it is not for agents."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.settings import Settings

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
SHARE: Final = 50
"""One part in so many of a file system stays free: what databases, logs and reports need to end in good order."""
LEAST, MOST = 512 * MIB, 2 * GIB
"""Bounds of that part; on a small file system it is a quarter at most."""
LEAST_FILES, MOST_FILES = 10_000, 100_000
"""The same for the files that a file system can hold."""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of a file system: in all, free, and those below which nothing new is started. Likewise how many files it
    can hold, and how many more; 0 of 0 where it sets no bound (https://man7.org/linux/man-pages/man3/statvfs.3.html).
    """

    total: int
    free: int
    floor: int
    files: int = 0
    free_files: int = 0

    @classmethod
    def of(cls, folder: Path) -> Room:
        """That of the file system which holds `folder`. Raises OSError."""
        usage, counted = shutil.disk_usage(folder), os.statvfs(folder)
        return cls(usage.total, usage.free, floor_of(usage.total), counted.f_files, counted.f_favail)

    @property
    def files_floor(self) -> int:
        """How many more files it must be able to hold."""
        return min(max(self.files // SHARE, LEAST_FILES), MOST_FILES, self.files // 4)

    @property
    def scarce(self) -> bool:
        """Whether nothing new may start."""
        return self.free < self.floor or self.free_files < self.files_floor

    @property
    def ample(self) -> bool:
        """Whether it may start again: a little more than the floor, so that it does not go back and forth."""
        enough = self.free >= self.floor + self.floor // 10
        return enough and self.free_files >= self.files_floor + self.files_floor // 10

    @property
    def most_of_a_place(self) -> int:
        """What the folders of one issue may take: a quarter of the file system."""
        return self.total // 4

    @property
    def most_files_of_a_place(self) -> int | None:
        """How many files those may hold; None where there is no bound."""
        return self.files // 4 or None

    def words(self) -> str:
        """What is wrong, for people."""
        if self.free >= self.floor:
            return f"the disk is full: it can hold {self.free_files} more files, and {self.files_floor} have to stay so"
        return f"the disk is full: {spoken(self.free)} are free, and {spoken(self.floor)} have to stay so"


def floor_of(total: int) -> int:
    """How many of `total` bytes have to stay free."""
    return min(max(total // SHARE, LEAST), MOST, total // 4)


def folders_of(settings: Settings) -> list[Path]:
    """A folder on each disk that agents fill: what lies in the home may be mounted there, or a link to elsewhere."""
    return list({folder.stat().st_dev: folder for folder in reversed(_filled(settings))}.values())[::-1]


def unwritable(settings: Settings) -> Path | None:
    """A folder in which nothing can be made, by its rights or because its disk is read-only; None where all is well."""
    return next((folder for folder in _filled(settings) if not os.access(folder, os.W_OK | os.X_OK)), None)


def _filled(settings: Settings) -> list[Path]:
    inside = (settings.home, *(settings.home / name for name in ("worktrees", "repos", "jobs")))
    return [folder for folder in (*inside, settings.temp_dir) if folder is not None and folder.is_dir()]


def spoken(size: int) -> str:
    """A number of bytes as people say it."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size // MIB} MiB"
