"""How much room a file system has, and how much of it is not for agents."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
SHARE: Final = 50
"""One part in so many of a file system stays free: what databases, logs and reports need to end in good order."""
LEAST, MOST = 512 * MIB, 2 * GIB
"""Bounds of that part; on a small file system it is a quarter at most."""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of a file system: in all, free, and those below which nothing new is started."""

    total: int
    free: int
    floor: int

    @classmethod
    def of(cls, folder: Path) -> Room:
        """That of the file system which holds `folder`. Raises OSError."""
        usage = shutil.disk_usage(folder)
        return cls(usage.total, usage.free, floor_of(usage.total))

    @property
    def scarce(self) -> bool:
        """Whether nothing new may start."""
        return self.free < self.floor

    @property
    def ample(self) -> bool:
        """Whether it may start again: a little more than the floor, so that it does not go back and forth."""
        return self.free >= self.floor + self.floor // 10

    @property
    def most_of_a_place(self) -> int:
        """What the folders of one issue may take: a quarter of the file system."""
        return self.total // 4

    def words(self) -> str:
        """What is wrong, for people."""
        return f"the disk is full: {spoken(self.free)} are free, and {spoken(self.floor)} have to stay so"


def floor_of(total: int) -> int:
    """How many of `total` bytes have to stay free."""
    return min(max(total // SHARE, LEAST), MOST, total // 4)


def spoken(size: int) -> str:
    """A number of bytes as people say it."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size // MIB} MiB"
