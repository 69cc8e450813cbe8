"""Deliveries that were turned away, as the table keeps them: the last of each kind, for whoever looks for the cause."""

import logging
import time
from collections.abc import Callable

from peewee import Database, PeeweeException
from starlette.concurrency import run_in_threadpool

from models import hooks, trouble

SECONDS_BETWEEN = 2.0
"""Anybody can send what is turned away, so it is not written down more often than this."""

UNAVAILABLE = 503

_log = logging.getLogger(__name__)


class Refusals:
    """Writes them down. `clock` gives seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._noted: dict[tuple[str, int], float] = {}

    async def note(self, server: str, status: int, sentence: str) -> None:
        """One of the server of this name was turned away. Never raises: the sender is answered all the same. One that
        could not be stored is not written down either: that would have to wait for the same database, and the sender
        for that.
        """
        if status == UNAVAILABLE:
            return
        now = time.monotonic()
        if now - self._noted.get((server, status), -SECONDS_BETWEEN) < SECONDS_BETWEEN:
            return
        self._noted[server, status] = now
        try:
            await run_in_threadpool(self._write, server, status, sentence)
        except PeeweeException as error:
            _log.warning("a refused delivery could not be written down: %s", trouble.in_words(error))

    def _write(self, server: str, status: int, sentence: str) -> None:
        with self._database.connection_context():
            hooks.note_refusal(self._database, server, status, sentence, now=self._clock())
