"""The one thread that stores deliveries: what arrives while a commit runs is stored together by the next one.

A commit that reaches the disk costs milliseconds whatever it holds, so one transaction per batch carries several
times the load of one per delivery, and the web's other threads never wait for each other's write lock.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from peewee import Database

from models import opening, store, trouble
from models.store import Accepted, Incoming

LIMIT = 1000
"""Deliveries that may wait to be stored."""

LIMIT_BYTES = 64 * 1024 * 1024
"""Bytes of text that may wait to be stored."""

BATCH = 64
"""Deliveries in one transaction: enough to carry a flood, few enough that none waits long for its neighbours."""

PATIENCE = 4.0
"""Seconds until an answer is due: Gitea hangs up after five."""

SALVAGE = 1.0
"""Seconds to go on storing one by one when a batch has failed whole."""

PROBE = 1.0
"""Seconds between looks whether storing is possible again, while it is not."""

CLOSING = 1.0
"""Seconds to store what waits when the service stops."""

_log = logging.getLogger(__name__)


class CannotStore(Exception):
    """The delivery is not known to be stored; the message is a sentence for the sender."""


class WriterFull(CannotStore):
    """More deliveries wait to be stored than fit."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A delivery and the future of the request that waits for it."""

    incoming: Incoming
    answer: asyncio.Future[Accepted | Exception]
    loop: asyncio.AbstractEventLoop


class Writer:
    """Stores deliveries on a thread and a connection of its own, and rings after each commit that brought work."""

    def __init__(
        self, database: Database, ring: Callable[[], None], *, limit: int = LIMIT, patience: float = PATIENCE
    ) -> None:
        self._database = database
        self._ring = ring
        self._limit = limit
        self._patience = patience
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._closing = False
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="delivery-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def problem(self) -> str:
        """Why deliveries cannot be stored; "" where, as far as is known, they can."""
        return self._problem if self.alive else "the thread that does it has ended"

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many deliveries wait to be stored."""
        return len(self._queue)

    async def submit(self, incoming: Incoming) -> Accepted:
        """Store `incoming` and say what became of it. Raises CannotStore.

        When the wait ends first, the delivery may still be stored afterwards: no harm, since an ask is known by its
        content.
        """
        answer = self._enqueue(incoming)
        try:
            async with asyncio.timeout(self._patience):
                outcome = await answer
        except TimeoutError:
            raise CannotStore("the database is busy; what was sent may be stored later") from None
        if isinstance(outcome, Exception):
            raise CannotStore(
                f"this cannot be stored now: {trouble.of_storage(outcome) or 'the log says why'}"
            ) from outcome
        return outcome

    def close(self) -> bool:
        """Store what waits and end the thread; False where that took too long. Blocks."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSING)
        return not self.alive

    def _enqueue(self, incoming: Incoming) -> asyncio.Future[Accepted | Exception]:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(incoming, loop.create_future(), loop)
        with self._changed:
            if self._closing:
                raise CannotStore("the service is stopping")
            if len(self._queue) >= self._limit or self._queued_bytes >= LIMIT_BYTES:
                raise WriterFull("too many deliveries wait to be stored")
            self._queue.append(waiting)
            self._queued_bytes += len(incoming.delivery.body)
            self._changed.notify()
        return waiting.answer

    def _run(self) -> None:
        try:
            while not self._closing or self._queue:
                if batch := self._next_batch():
                    self._handle(batch)
                elif self._problem:
                    self._probe()
        finally:
            self._database.close()

    def _next_batch(self) -> list[_Waiting]:
        """The oldest that wait, as soon as there is one; empty when there will be no more, or to look after trouble."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing, PROBE if self._problem else None)
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            self._queued_bytes -= sum(len(waiting.incoming.delivery.body) for waiting in batch)
            return batch

    def _handle(self, batch: Sequence[_Waiting]) -> None:
        outcomes = self._store([waiting.incoming for waiting in batch])
        if any(isinstance(outcome, Accepted) and outcome.verdict == "accepted" for outcome in outcomes):
            self._ring_once()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            batch[0].loop.call_soon_threadsafe(_answer, batch, outcomes)

    def _store(self, items: Sequence[Incoming]) -> list[Accepted | Exception]:
        try:
            stored = [*store.accept_many(self._database, items)]
        except Exception as error:  # noqa: BLE001 - whatever it is, these deliveries fail and the thread lives
            self._tell(error, len(items))
            self._reconnect()
            return self._store_singly(items, error) if len(items) > 1 else [error]
        self._note_well()
        return [*stored]

    def _probe(self) -> None:
        """Nobody may come for hours whose delivery would show that all is well again."""
        try:
            opening.probe(self._database)
        except Exception as error:  # noqa: BLE001 - it is looked at again
            self._problem = trouble.in_words(error)
            self._reconnect()
        else:
            self._note_well()

    def _note_well(self) -> None:
        if self._problem:
            _log.warning("deliveries can be stored again")
        self._problem = ""

    def _tell(self, error: Exception, number: int) -> None:
        """Log what is wrong with the storage in one line, and all there is to know of a bug."""
        if (words := trouble.of_storage(error)) is None:
            _log.exception("a batch of %d deliveries could not be stored", number)
            return
        self._problem = words
        _log.error("%d deliveries could not be stored, and their senders are told so: %s", number, words)

    def _store_singly(self, items: Sequence[Incoming], error: Exception) -> list[Accepted | Exception]:
        """One bad row must not fail its neighbours; a locked database must not be waited for once per row."""
        until = time.monotonic() + SALVAGE
        outcomes: list[Accepted | Exception] = []
        for item in items:
            if time.monotonic() > until:
                outcomes.append(error)
            else:
                outcomes.extend(self._store([item]))
        return outcomes

    def _reconnect(self) -> None:
        """A connection that the server has dropped stays broken; the next query opens another."""
        try:
            self._database.close()
        except Exception:  # noqa: BLE001 - it was broken before
            _log.exception("the connection could not be closed")

    def _ring_once(self) -> None:
        """The table is the truth: a bell that fails is rung by the sweep, and fails no delivery."""
        try:
            self._ring()
        except Exception:  # noqa: BLE001 - see above
            _log.exception("the bell could not be rung; the sweep will find what was stored")


def _answer(batch: Sequence[_Waiting], outcomes: Sequence[Accepted | Exception]) -> None:
    for waiting, outcome in zip(batch, outcomes, strict=True):
        if not waiting.answer.done():
            waiting.answer.set_result(outcome)
