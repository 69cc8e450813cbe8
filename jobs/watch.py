"""The limits of one run, and whether it has passed one. Standard library only: the keeper runs this isolated."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jobs.processes import family

Ended = Literal[
    "exited", "timeout", "stalled", "no_start", "stopped", "output_limit", "over_limit", "failed_to_start"
]  # fmt: skip

_LOOK_SECONDS = 0.5
"""How often what a run uses is added up, at most: a look takes about 3 ms among 200 processes."""
_SHARE_OF_TIME = 50
"""One part in so many of a processor may go into that."""

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use. Times in seconds, sizes in bytes; 0 is no limit, except for times.

    `memory` counts what lies in memory for this run alone, `threads` all of its processes with their threads, `cpu` the
    processor time of all of them together, `file` the longest file; `output` is events and stderr together.
    """

    wall: float
    start: float
    stall: float
    output: int = 256 << 20
    memory: int = 0
    threads: int = 0
    cpu: float = 0.0
    file: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes below one use: bytes, how many threads, seconds."""

    memory: int = 0
    threads: int = 0
    cpu: float = 0.0


def usage_below(root: int) -> Usage:
    """Add up what every process below `root` uses. Files mapped into memory do not count: others share them."""
    memory, threads, ticks = 0, 0, 0
    for pid, stat in family(root):
        memory += _own_memory(pid)
        threads += int(stat[17])
        ticks += sum(map(int, stat[11:15]))  # its own time, and that of the children it has waited for
    return Usage(memory, threads, ticks / _TICKS)


def _own_memory(pid: int) -> int:
    return sum(_KIB * int(line.split()[1]) for line in _status(pid) if line.startswith(("RssAnon:", "RssShmem:")))


def _status(pid: int) -> Iterator[str]:
    try:
        yield from Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return


class UsageWatch:
    """What a run uses, looked at now and then."""

    def __init__(self, limits: Limits, root: int) -> None:
        self._limits, self._root = limits, root
        self._due = 0.0
        self._cpu = 0.0

    def broken(self, now: float) -> str | None:
        """Which limit was passed, as words behind "the agent"; None while none was."""
        if now < self._due:
            return None
        began = time.process_time()
        limits, used = self._limits, usage_below(self._root)
        self._due = now + max(_LOOK_SECONDS, _SHARE_OF_TIME * (time.process_time() - began))
        self._cpu = max(self._cpu, used.cpu)
        if limits.memory and used.memory > limits.memory:
            return f"used more than {spoken_size(limits.memory)} of memory"
        if limits.threads and used.threads > limits.threads:
            return f"ran more than {limits.threads} processes and threads at once"
        if limits.cpu and self._cpu > limits.cpu:
            return f"used more than {spoken(limits.cpu)} of processor time"
        return None


class Watch:
    """The limits of one run, asked again and again whether one was passed."""

    def __init__(self, limits: Limits, events: Path, stderr: Path) -> None:
        self._limits, self._events, self._stderr = limits, events, stderr
        self._usage = UsageWatch(limits, os.getpid())
        self._began = self._last_event = time.monotonic()
        self._seen = 0

    def broken(self) -> tuple[Ended, str] | None:
        """How the run has to end now and why, or None."""
        now, limits = time.monotonic(), self._limits
        events, stderr = size(self._events), size(self._stderr)
        if events != self._seen:
            self._seen, self._last_event = events, now
        if events + stderr > limits.output:
            return "output_limit", f"wrote more than {limits.output} bytes of output"
        if now - self._began > limits.wall:
            return "timeout", f"was still working after {spoken(limits.wall)}"
        if not self._seen and now - self._began > limits.start:
            return "no_start", f"gave no sign of life within {spoken(limits.start)}"
        if self._seen and now - self._last_event > limits.stall:
            return "stalled", f"gave no sign of life for {spoken(limits.stall)}"
        if (used := self._usage.broken(now)) is not None:
            return "over_limit", used
        return None


def spoken(seconds: float) -> str:
    """A duration as a person says it: `1 hour`, `90 seconds`."""
    for unit, name in ((3600, "hour"), (60, "minute")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {name}{'' if seconds == unit else 's'}"
    return f"{seconds:g} second{'' if seconds == 1 else 's'}"


def spoken_size(count: int) -> str:
    """A number of bytes as a person says it: `4 GiB`, `512 MiB`."""
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"


def size(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
