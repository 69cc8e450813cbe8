"""The doorbell: Huey on SQLite in a file of its own, and the only module that knows Huey.

Huey deletes a message when it hands it out, so a killed worker loses it. Ours therefore mean only "there may be work
in this lane": lost, doubled or late, they do no harm, for the truth is in the job table and a sweep looks there too.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec
from huey import Huey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import SqliteStorage

from models import trouble

log = logging.getLogger(__name__)

REPEAT_SECONDS = 60.0
"""How often the same complaint of Huey's is told: it looks for messages twenty times a second, whatever happens."""

POLL_SECONDS = 0.05
"""How often an idle lane looks for a message. Huey's own default grows to 10 s (consumer.py, `max_delay`)."""

BUSY_SECONDS = 1.0
"""How long a ring waits for another program's lock of the file: a webhook has to be answered meanwhile."""

SPOILT = (trouble.DAMAGED, trouble.BROKEN)
"""What SQLite says of a file that was written over: an I/O error, where its log is shorter than is known of it."""


class Lane(StrEnum):
    """A kind of work with workers of its own, so that short work never waits behind an hour of agent."""

    AGENTS = "agents"
    DESK = "desk"


class _Ring(msgspec.Struct):
    id: str
    name: str


class _PlainRings(Serializer):  # type: ignore[misc]  # huey ships no types
    """A ring as two words of JSON. Huey's default is pickle: whoever can write the file could run code."""

    def serialize(self, message: Message) -> bytes:
        return msgspec.json.encode(_Ring(message.id, message.name))

    def deserialize(self, data: bytes) -> Message:
        ring = msgspec.json.decode(bytes(data), type=_Ring)
        return Message(ring.id, ring.name)


class _SaidOnce(logging.Filter):
    """Lets a kind of message through once in a while, in one line. Of the numbers in it each is another."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.msg
        if record.exc_info and record.exc_info[1] is not None:
            kind = f"{record.msg}: {record.exc_info[1]}"
            record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]}", ()
            record.exc_info = record.exc_text = None
        due = self._said.get(kind, 0.0) <= record.created
        if due:
            self._said[kind] = record.created + REPEAT_SECONDS
        return due


class _File(SqliteStorage):  # type: ignore[misc]  # huey ships no types
    """The file of the bells. It is opened when it is needed, and where it is damaged or gone it is begun anew, also by
    several processes that have it open: a ring that is lost by that is found by the sweep.
    """

    _conn: sqlite3.Connection | None
    _inode: int | None = None

    @contextmanager
    def db(self, commit: bool = False, close: bool = False) -> Iterator[sqlite3.Cursor]:
        if _inode_of(self.filename) != self._inode:
            self._let_go()  # another process has begun it anew
        try:
            with super().db(commit=commit, close=close) as cursor:
                yield cursor
        except sqlite3.DatabaseError as error:
            if trouble.of_storage(error) in SPOILT:
                self._let_go()
                _begin_anew(Path(self.filename))
            raise

    def _let_go(self) -> None:
        """As `close`, for several threads that find the same at once."""
        with self.lock:
            if self._conn is not None:
                self._conn.close()
            self._conn = None

    def _create_connection(self) -> sqlite3.Connection:
        made: sqlite3.Connection = super()._create_connection()
        for statement in self.ddl:
            made.execute(statement)
        self._inode = _inode_of(self.filename)
        return made


def _inode_of(path: str) -> int | None:
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - asked twenty times a second
    except OSError:
        return None


def _begin_anew(path: Path) -> None:
    """Take a damaged file away, unless another process has done so already."""
    with path.with_name(f"{path.name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_sound(path):
            return
        log.warning("%s is damaged and begun anew; it holds nothing that must survive", path)
        for side in ("", "-wal", "-shm"):
            path.with_name(f"{path.name}{side}").unlink(missing_ok=True)


def _is_sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as again:
            return bool(again.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        return trouble.of_storage(error) not in SPOILT


class _Embedded(Consumer):  # type: ignore[misc]  # huey ships no types
    """Huey's consumer inside our process: the signals are ours to handle."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self.started = threading.Event()
        for name in ("huey.consumer.Worker", "huey.consumer.Scheduler"):
            logger = logging.getLogger(name)
            if not any(isinstance(known, _SaidOnce) for known in logger.filters):
                logger.addFilter(_SaidOnce())

    def _set_signal_handlers(self) -> None:
        return

    def start(self) -> None:
        """Start the workers; only then can they be waited for (Huey joins threads that may not have begun)."""
        super().start()
        self.started.set()


class Bells:
    """One bell for each lane. `path` is the file they are in; it holds nothing that must survive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opening = threading.Lock()
        self._hueys: dict[Lane, Huey] = {}
        self._looks: dict[Lane, Callable[[], object]] = {}
        self._answers: dict[Lane, Callable[[], None]] = {}
        self._consumers: list[tuple[_Embedded, threading.Thread]] = []

    def _open(self, lane: Lane) -> Huey:
        """The lane's queue; its file is opened when it is first needed, for it may be that it cannot be, now."""
        with self._opening:
            if lane not in self._hueys:
                huey = Huey(
                    str(lane),
                    storage_class=_File,
                    filename=str(self._path),
                    create_tables=False,
                    timeout=BUSY_SECONDS,
                    fsync=False,  # a lost ring is found by the sweep, so the file need not wait for the disk
                    results=False,
                    serializer=_PlainRings(),
                )
                self._looks[lane] = huey.task(name="look")(self._answer_of(lane))
                self._hueys[lane] = huey
            return self._hueys[lane]

    def _answer_of(self, lane: Lane) -> Callable[[], None]:
        def look() -> None:
            self._answers[lane]()

        return look

    def ring(self, lane: Lane) -> None:
        """Say that there may be work in `lane`. One that is not answered yet speaks for this one, too. Never raises."""
        try:
            try:
                self._ring(lane)
            except sqlite3.DatabaseError as error:
                if trouble.of_storage(error) not in SPOILT:
                    raise
                self._ring(lane)  # in the file that was begun anew
        except Exception as error:  # noqa: BLE001 - a bell that cannot be rung fails nothing
            log.warning("could not ring for lane %s, the sweep will find the work: %s", lane, error)

    def _ring(self, lane: Lane) -> None:
        if self._open(lane).pending_count() == 0:
            self._looks[lane]()

    def answer(self, lanes: Mapping[Lane, tuple[int, Callable[[], None]]]) -> None:
        """Start the workers of each lane: how many, and what they do at a ring."""
        for lane, (workers, act) in lanes.items():
            self._answers[lane] = act
            consumer = _Embedded(
                self._open(lane),
                workers=workers,
                periodic=False,
                initial_delay=POLL_SECONDS,
                max_delay=POLL_SECONDS,
                backoff=1.01,
                shutdown_timeout=2,
            )
            thread = threading.Thread(target=consumer.run, name=f"lane-{lane}", daemon=True)
            self._consumers.append((consumer, thread))
            thread.start()
            consumer.started.wait()

    def stop(self, timeout: float) -> None:
        """Let all lanes finish what they do, for at most `timeout` seconds."""
        until = time.monotonic() + timeout
        for consumer, _ in self._consumers:
            consumer.stop_flag.set()
        for consumer, thread in self._consumers:
            consumer.shutdown_timeout = max(0.0, until - time.monotonic())
            consumer.stop(graceful=True)
            thread.join(max(0.0, until - time.monotonic()))
        self._consumers.clear()

    def close(self) -> None:
        """Close the file."""
        for huey in self._hueys.values():
            huey.storage.close()
