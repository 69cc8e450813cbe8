"""What the parts of a worker share, put together once in `jobs.worker`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from peewee import Database

from jobs.queue import Bells
from jobs.redact import Redactor
from jobs.servers import Forges
from models.settings import Settings


@dataclass(frozen=True)
class Wiring:
    """`worker` is this worker's name in the tables, `clock` gives seconds since the epoch; `stopping` is set once this
    worker is to end.
    """

    settings: Settings
    db: Database
    bells: Bells
    forges: Forges
    redactor: Redactor
    worker: str
    clock: Callable[[], float]
    stopping: threading.Event = field(default_factory=threading.Event)
