"""A job's log, read in pieces from either end of its files, however long they are.

A place in it is a run, one of that run's parts, and an offset in bytes: `2.events.4711`. An offset of -1 is before the
part's heading. Nothing is kept in memory between two readings, and a reading takes no longer for a longer log.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from webhook.steps import Clean, Entry, entry_of, heading, output_entry

PARTS = ("setup", "setup-2", "setup-3", "events", "stderr", "verify", "verify-2", "verify-3")
"""What a run leaves, in the order in which it happens; a command of the repository's that was lost is repeated."""

EVENTS, STDERR = PARTS.index("events"), PARTS.index("stderr")
MOST_ENTRIES = 200
MOST_BYTES = 1 << 20
"""Bytes of the files that one reading takes in, and somewhat more where a line is longer."""

_BLOCK = 64 << 10
_CHUNK = 16 << 10
"""Bytes of a command's output in one entry."""
_LONGEST = 32 << 20
"""Bytes. A line over this is passed over."""


class Spot(NamedTuple):
    """A place in the log; they sort as things happened."""

    run: int
    part: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The place that `text` names; None where it names none."""
        pieces = text.split(".")
        if len(pieces) != 3 or pieces[1] not in PARTS:  # noqa: PLR2004 - run, part, offset
            return None
        run, offset = pieces[0], pieces[2].removeprefix("-")
        if not (run + offset).isascii() or not run.isdecimal() or not offset.isdecimal() or len(run + offset) > 24:  # noqa: PLR2004
            return None
        return cls(int(run), PARTS.index(pieces[1]), max(-1, int(pieces[2])))

    def __str__(self) -> str:
        return f"{self.run}.{PARTS[self.part]}.{self.offset}"


class Window(NamedTuple):
    """A piece of the log. `first` is where it begins, None where nothing is before it; `last` is where it ends."""

    entries: list[Entry]
    first: Spot | None
    last: Spot


class JobLog:
    """The log of the job whose runs lie in `folder`; `clean` takes the secrets out."""

    def __init__(self, folder: Path, clean: Clean) -> None:
        self._folder = folder
        self._clean = clean

    def after(self, spot: Spot | None, *, most: int = MOST_ENTRIES, ended: bool = False) -> tuple[list[Entry], Spot]:
        """The next entries behind `spot` (None: from the beginning), and the place behind them. `ended`: nobody writes
        any more, so a last line without its end is one, too.
        """
        parts = self._parts()
        here = spot or (Spot(*parts[0], -1) if parts else Spot(1, 0, -1))
        entries: list[Entry] = []
        for run, part in parts:
            if (run, part) < here[:2]:
                continue
            here = here if (run, part) == here[:2] else Spot(run, part, -1)
            whole = ended or (run, part) != parts[-1]
            found, here, done = self._forward(here, most - len(entries), whole=whole)
            entries += found
            if not done:
                break
        return entries, here

    def before(self, spot: Spot | None, *, most: int = MOST_ENTRIES, ended: bool = False) -> Window:
        """The entries before `spot` (None: the last ones there are), oldest first."""
        parts = self._parts()
        end = spot or self._end(parts, ended=ended)
        entries: list[Entry] = []
        left, first = MOST_BYTES, end
        for run, part in reversed(parts):
            if (run, part) > end[:2]:
                continue
            here = end if (run, part) == end[:2] else Spot(run, part, self._size(run, part))
            for entry, start in self._backward(here):
                if entry is not None:
                    entries.append(entry)
                left -= here.offset - start
                here = first = Spot(run, part, start)
                if len(entries) >= most or left <= 0:
                    return Window(entries[::-1], first if first > Spot(*parts[0], -1) else None, end)
        return Window(entries[::-1], None, end)

    def one(self, spot: Spot) -> Entry | None:
        """The entry at `spot`, the whole of it; None where there is none."""
        path = self._path(spot.run, spot.part)
        if spot.part != EVENTS or spot.offset < 0 or not path.is_file():
            return None
        with path.open("rb") as file:
            file.seek(spot.offset)
            return entry_of(file.readline(_LONGEST), str(spot), self._clean, most=None)

    def all(self) -> Iterator[Entry]:
        """Every entry, oldest first."""
        spot: Spot | None = None
        while True:
            entries, found = self.after(spot, ended=True)
            yield from entries
            if not entries and found == spot:
                return
            spot = found

    def _parts(self) -> list[tuple[int, int]]:
        """The parts there are, oldest first."""
        names = (run.name.removeprefix("run-") for run in self._folder.glob("run-*"))
        runs = sorted(int(name) for name in names if name.isascii() and name.isdecimal())
        return [(run, part) for run in runs for part in range(len(PARTS)) if self._is_there(run, part)]

    def _is_there(self, run: int, part: int) -> bool:
        """What the agent says on standard error is told when it has ended, else it would stand before what it did."""
        folder = self._folder / f"run-{run}"
        if part == STDERR:
            return (folder / "result.json").exists() and self._size(run, part) > 0
        return self._path(run, part).is_file()

    def _path(self, run: int, part: int) -> Path:
        folder = self._folder / f"run-{run}"
        if part == EVENTS:
            return folder / "events.jsonl"
        return folder / "stderr.txt" if part == STDERR else folder / PARTS[part] / "events.jsonl"

    def _size(self, run: int, part: int) -> int:
        try:
            return self._path(run, part).stat().st_size
        except OSError:
            return 0

    def _end(self, parts: list[tuple[int, int]], *, ended: bool) -> Spot:
        """The end of the log: of its last whole line, while somebody writes."""
        if not parts:
            return Spot(1, 0, -1)
        run, part = parts[-1]
        size = self._size(run, part)
        if ended or not size:
            return Spot(run, part, size)
        with self._path(run, part).open("rb") as file:
            for start, line in _lines_back(file, size):
                return Spot(run, part, size if line.endswith(b"\n") else start)
        return Spot(run, part, 0)

    def _forward(self, spot: Spot, most: int, *, whole: bool) -> tuple[list[Entry], Spot, bool]:
        """Entries of one part from `spot` on, the place behind them, and whether all of it has been read."""
        entries: list[Entry] = []
        if spot.offset < 0:
            entries.append(self._heading(spot))
            spot = spot._replace(offset=0)
        limit, longest = spot.offset + MOST_BYTES, _LONGEST if spot.part == EVENTS else _CHUNK
        try:
            file = self._path(spot.run, spot.part).open("rb")
        except OSError:
            return entries, spot, True
        with file:
            file.seek(spot.offset)
            while len(entries) < most and spot.offset < limit:
                piece = file.readline(_LONGEST) if spot.part == EVENTS else _chunk(file)
                begun = not piece.endswith(b"\n") and len(piece) < longest
                if not piece or (begun and not whole):
                    return entries, spot, True
                entry = self._entry(spot, piece)
                entries += [entry] if entry is not None else []
                spot = spot._replace(offset=spot.offset + len(piece))
        return entries, spot, False

    def _backward(self, spot: Spot) -> Iterator[tuple[Entry | None, int]]:
        """Entries of one part before `spot`, the last first, each with where it begins."""
        if spot.offset > 0:
            with self._path(spot.run, spot.part).open("rb") as file:
                back = _lines_back(file, spot.offset) if spot.part == EVENTS else _chunks_back(file, spot.offset)
                for start, piece in back:
                    yield self._entry(spot._replace(offset=start), piece), start
        if spot.offset >= 0:
            yield self._heading(spot._replace(offset=-1)), -1

    def _entry(self, spot: Spot, piece: bytes) -> Entry | None:
        if spot.part == EVENTS:
            return entry_of(piece, str(spot), self._clean)
        return output_entry(piece.decode(errors="replace"), str(spot), self._clean)

    def _heading(self, spot: Spot) -> Entry:
        if spot.part == EVENTS:
            return heading(str(spot), f"run-{spot.run}", "", self._clean)
        if spot.part == STDERR:
            return heading(str(spot), "what it said on standard error", "", self._clean)
        script = self._folder / f"run-{spot.run}" / PARTS[spot.part] / "command.sh"
        command = script.read_text(errors="replace")[:_CHUNK] if script.is_file() else ""
        return heading(str(spot), PARTS[spot.part], command, self._clean)


def _chunk(file: BinaryIO) -> bytes:
    """Whole lines, about `_CHUNK` bytes of them; a longer line is cut."""
    read = file.read(_CHUNK)
    if b"\n" in read and not read.endswith(b"\n"):
        kept: bytes = read[: read.rindex(b"\n") + 1]
        file.seek(len(kept) - len(read), 1)
        return kept
    return bytes(read)


def _lines_back(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """The lines before `end` with where they begin, the last first; what stands before `end` may lack its newline."""
    begun, at, step = b"", end, _BLOCK
    while at > 0:
        step = min(_BLOCK if b"\n" in begun or not begun else 2 * step, at)
        at -= step
        file.seek(at)
        begun = file.read(step) + begun
        while (cut := begun.rfind(b"\n", 0, len(begun) - 1)) >= 0:
            yield at + cut + 1, begun[cut + 1 :]
            begun = begun[: cut + 1]
        if len(begun) > _LONGEST:
            yield at, b""
            begun = b""
    if begun:
        yield 0, begun


def _chunks_back(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """As `_lines_back`, in pieces of whole lines of about `_CHUNK` bytes."""
    while end > 0:
        start = max(0, end - _CHUNK)
        file.seek(start)
        read: bytes = file.read(end - start)
        cut = read.find(b"\n", 0, len(read) - 1) if start else -1
        start, read = start + cut + 1, read[cut + 1 :]
        yield start, read
        end = start
