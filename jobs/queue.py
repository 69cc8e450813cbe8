"""The doorbell: Huey on SQLite in a file of its own, and the only module that knows Huey.

Huey deletes a message when it hands it out, so a killed worker loses it. Ours therefore mean only "there may be work
in this lane": lost, doubled or late, they do no harm, for the truth is in the job table and a sweep looks there too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec
from huey import SqliteHuey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05
"""How often an idle lane looks for a message. Huey's own default grows to 10 s (consumer.py, `max_delay`)."""


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


class _Embedded(Consumer):  # type: ignore[misc]  # huey ships no types
    """Huey's consumer inside our process: the signals are ours to handle."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self.started = threading.Event()

    def _set_signal_handlers(self) -> None:
        return

    def start(self) -> None:
        """Start the workers; only then can they be waited for (Huey joins threads that may not have begun)."""
        super().start()
        self.started.set()


class Bells:
    """One bell for each lane. `path` is the file they are in; it holds nothing that must survive."""

    def __init__(self, path: Path) -> None:
        # A lost ring is found by the sweep, so the file need not wait for the disk.
        self._hueys = {lane: self._huey(lane, path) for lane in Lane}
        self._answers: dict[Lane, Callable[[], None]] = {}
        self._looks = {lane: huey.task(name="look")(self._answer_of(lane)) for lane, huey in self._hueys.items()}
        self._consumers: list[tuple[_Embedded, threading.Thread]] = []

    @staticmethod
    def _huey(lane: Lane, path: Path) -> SqliteHuey:
        return SqliteHuey(str(lane), filename=str(path), results=False, fsync=False, serializer=_PlainRings())

    def _answer_of(self, lane: Lane) -> Callable[[], None]:
        def look() -> None:
            self._answers[lane]()

        return look

    def ring(self, lane: Lane) -> None:
        """Say that there may be work in `lane`. One that is not answered yet speaks for this one, too. Never raises."""
        try:
            if self._hueys[lane].pending_count() == 0:
                self._looks[lane]()
        except Exception:
            log.exception("could not ring for lane %s; the sweep will find the work", lane)

    def answer(self, lanes: Mapping[Lane, tuple[int, Callable[[], None]]]) -> None:
        """Start the workers of each lane: how many, and what they do at a ring."""
        for lane, (workers, act) in lanes.items():
            self._answers[lane] = act
            consumer = _Embedded(
                self._hueys[lane],
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
        """Let every lane finish what it does, for at most `timeout` seconds."""
        for consumer, _ in self._consumers:
            consumer.stop(graceful=True)
        for _, thread in self._consumers:
            thread.join(timeout)
        self._consumers.clear()

    def close(self) -> None:
        """Close the file."""
        for huey in self._hueys.values():
            huey.storage.close()
