"""What the parts of a worker share, put together once in `jobs.worker`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from peewee import Database

from jobs.queue import Bells
from jobs.redact import Redactor
from jobs.servers import Forges
from models.settings import Settings


@dataclass(frozen=True)
class Wiring:
    """`worker` is this worker's name in the tables, `clock` gives seconds since the epoch."""

    settings: Settings
    db: Database
    bells: Bells
    forges: Forges
    redactor: Redactor
    worker: str
    clock: Callable[[], float]
