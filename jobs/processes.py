"""Processes below this one: waited for, counted, and ended for good, also those that left their session.

Linux only, standard library only: the keeper runs this without any site package.
"""

import ctypes
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Self, TypeVar

_Why = TypeVar("_Why")

_TICK_SECONDS = 0.05
_GRACE_SECONDS = 1.0
_DEATH_SECONDS = 30.0  # a process in uninterruptible sleep ignores even SIGKILL
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclass(slots=True)
class Children:
    """The processes below this one, orphans included, and how the ones waited for ended."""

    stop_signal: bool = False
    statuses: dict[int, int] = field(default_factory=dict)
    max_rss: int = 0
    _wake: int = -1

    def take_charge(self) -> None:
        """Become the one to whom orphans fall, and take SIGTERM as a wish instead of an end."""
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.signal(signal.SIGTERM, self._on_term)

    def _on_term(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_signal = True

    def _rest(self, seconds: float) -> None:
        """Sleep, but not beyond the next signal."""
        if select.select([self._wake], [], [], seconds)[0]:
            os.read(self._wake, 4096)

    def reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.wait4(-1, os.WNOHANG))[0]:
                self.statuses[ended[0]] = ended[1]
                self.max_rss = max(self.max_rss, ended[2].ru_maxrss * 1024)

    def wait(self, pid: int, broken: Callable[[], _Why | None]) -> _Why | None:
        """Wait until `pid` has ended (None) or `broken`, asked every 50 ms, names a limit that was passed."""
        while True:
            self.reap()
            if pid in self.statuses:
                return None
            if (why := broken()) is not None:
                return why
            self._rest(_TICK_SECONDS)

    def told_to_end(self, seconds: float) -> bool:
        """Whether SIGTERM has come, or comes within so many seconds."""
        until = time.monotonic() + seconds
        while not self.stop_signal and (left := until - time.monotonic()) > 0:
            self._rest(left)
        return self.stop_signal

    def end_all(self) -> None:
        """SIGTERM, a second of grace, then SIGKILL until nothing is left below this process."""
        self._signal_until_gone(signal.SIGTERM, _GRACE_SECONDS, once=True)
        self._signal_until_gone(signal.SIGKILL, _DEATH_SECONDS, once=False)

    def _signal_until_gone(self, number: signal.Signals, seconds: float, *, once: bool) -> None:
        until = time.monotonic() + seconds
        signalled: set[int] = set()
        self.reap()
        while (alive := set(descendants(os.getpid()))) and time.monotonic() < until:
            for pid in alive - signalled:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
                    os.setpriority(os.PRIO_PROCESS, pid, 0)  # only root may: what is to tidy up must get to run
            signalled |= alive if once else set()
            self._rest(0.01)
            self.reap()


def descendants(root: int) -> Iterator[int]:
    """Every living process below `root`; zombies are not living."""
    return (pid for pid, stat in family(root) if stat[0] not in "ZX")


def family(root: int) -> Iterator[tuple[int, list[str]]]:
    """Every process below `root`, zombies too, with its fields of proc(5) stat from the third on."""
    below: dict[int, list[tuple[int, list[str]]]] = {}
    for pid in _processes():
        if (stat := _stat(pid)) is not None:
            below.setdefault(int(stat[1]), []).append((pid, stat))
    waiting = [root]
    while waiting:
        for pid, stat in below.get(waiting.pop(), []):
            waiting.append(pid)
            yield pid, stat


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a process from every other one, also after a restart or from another container."""

    pid: int
    start: int
    """Clock ticks since boot, field 22 of proc(5) stat."""
    boot: str
    namespace: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The identity of this living process, None when there is none."""
        stat = _stat(pid)
        if stat is None or stat[0] in "ZX":
            return None
        return cls(pid, int(stat[19]), *_whereabouts())

    def here(self) -> bool:
        """Whether its process, if it lives, can be seen from this one."""
        return (self.boot, self.namespace) == _whereabouts()


def _whereabouts() -> tuple[str, str]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return boot, str(Path("/proc/self/ns/pid").readlink())


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on: the second, the name, may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def die_with_parent(number: signal.Signals, parent: int | None = None) -> None:
    """Have the kernel send `number` to this process when the thread that started it ends; it is sent at once where that
    was a thread of `parent`, and this has ended already.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    if parent not in {None, os.getppid()}:
        os.kill(os.getpid(), number)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def sharing_lock(path: Path) -> tuple[int, set[int]]:
    """Who took the exclusive flock on this file (0: nobody), and every living process that shares it."""
    try:
        wanted = path.stat()
    except FileNotFoundError:
        return 0, set()
    owner, sharing = 0, set()
    for pid in _processes():
        for number in _locks_held(pid, wanted):
            owner = number
            sharing.add(pid)
    return owner, sharing


def _locks_held(pid: int, wanted: os.stat_result) -> Iterator[int]:
    """The takers of exclusive flocks that `pid` has on the wanted file, as the kernel lists them (proc(5))."""
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if os.path.samestat(entry.stat(), wanted):
                    yield from _takers(Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text())


def _takers(fdinfo: str) -> Iterator[int]:
    for line in fdinfo.splitlines():
        words = line.split()
        if words[:1] == ["lock:"] and words[2:5] == ["FLOCK", "ADVISORY", "WRITE"]:
            yield int(words[5])


def first_in_namespace(name: str) -> Iterator[int]:
    """Each process of this name that is the first of a process namespace, and whose parent has another name: it was
    started by one of its name, which has ended.
    """
    for pid in _processes():
        stat = _stat(pid) if _name(pid) == name else None
        if stat is not None and _is_first(pid) and _name(int(stat[1])) != name:
            yield pid


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").rstrip("\n")
    return ""


def _is_first(pid: int) -> bool:
    """Whether it is the first process of a namespace below ours (proc(5), NSpid of status: its numbers, ours first)."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith("NSpid:"):
                _, *numbers = line.split()
                return len(numbers) > 1 and numbers[-1] == "1"
    return False


def carrying(assignment: str) -> set[int]:
    """The living processes that were started with this `NAME=value` in their environment."""
    wanted, found = assignment.encode(), set()
    for pid in _processes():
        with suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.add(pid)
    return found


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit())
