"""Which processes of an installation live: they have its home in their command line or their environment."""

import os
from collections.abc import Collection
from pathlib import Path

from jobs import processes


def of_home(home: Path) -> list[int]:
    """All of them, but for this one."""
    found = sorted(int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
    return [pid for pid in found if pid != os.getpid() and _mentions(pid, home)]


def beside(home: Path, halves: Collection[int]) -> list[int]:
    """Those that are no halves of the service, and below none. They are listed before what is below a half, so that
    what a half starts meanwhile does not seem to stand by itself; what has ended since is none.
    """
    found = of_home(home)
    known = below(halves) | set(halves)
    return [pid for pid in found if pid not in known and _mentions(pid, home)]


def below(halves: Collection[int]) -> set[int]:
    """The processes that these have begun, and those have."""
    return {pid for half in halves for pid in processes.descendants(half)}


def stands(pid: int) -> bool:
    """Whether each of its threads is stopped by a signal: state T of proc(5) stat, the word after its name."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)


def _mentions(pid: int, home: Path) -> bool:
    """The dead have neither."""
    try:
        return any(str(home).encode() in Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
    except OSError:
        return False
