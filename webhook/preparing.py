"""Brings the database up to date before, or where it cannot be used then, while the service runs."""

from __future__ import annotations

import logging
import os
import signal
import threading

from peewee import Database, PeeweeException

from models import opening, trouble
from models.opening import DatabaseRefused
from models.settings import Settings

log = logging.getLogger(__name__)


def prepared(settings: Settings, stop: threading.Event) -> bool:
    """Wait until the database is up to date; False where `stop` was set before. Raises DatabaseRefused."""
    database = opening.open_database(settings.home / "kugetsu.db")
    lock, capacity = settings.home / "migrate.lock", settings.max_concurrent_agents
    return opening.migrate_patiently(database, lock, capacity=capacity, stop=stop)


class Preparing:
    """Brings the database up to date: at once, or else, where it cannot be used now, beside the serving, so that
    whoever sends or asks is told so. The first try is made here. Raises DatabaseRefused.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._refused: DatabaseRefused | None = None
        self._thread: threading.Thread | None = None
        try:
            opening.migrate(database, settings.home / "migrate.lock", capacity=settings.max_concurrent_agents)
        except (PeeweeException, OSError) as error:
            if (words := trouble.of_storage(error)) is None:
                raise
            log.warning("the database cannot be used, and is tried again until it can: %s", words)
            self._thread = threading.Thread(target=self._go_on, name="preparing")

    def __enter__(self) -> None:
        if self._thread is not None:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise DatabaseRefused where that was found beside the serving, which it has ended."""
        if self._refused is not None:
            raise self._refused

    def _go_on(self) -> None:
        try:
            prepared(self._settings, self._stop)
        except DatabaseRefused as error:
            self._refused = error
            os.kill(os.getpid(), signal.SIGTERM)
