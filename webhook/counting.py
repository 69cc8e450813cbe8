"""How many deliveries there are of each verdict, counted anew only now and then: of a million that takes too long."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from peewee import Database, fn

from models.tables import Delivery

VERDICTS: Final = ("accepted", "duplicate", "ignored")
GOOD_FOR: Final = 60.0
"""Seconds after which all are counted again, since old ones are removed; new ones are counted at once."""


class DeliveryCounts:
    """Counts for one process. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0
        self._newest = 0
        self._counts: Counter[str] = Counter()

    def read(self, db: Database) -> Mapping[str, int]:
        """How many there are of each verdict; of those that were removed within the last minute some may be in it."""
        if self._clock() >= self._until:
            self._newest = 0
        newest = int(Delivery.select(fn.MAX(Delivery.id)).scalar(db) or 0)
        if self._newest == 0:
            counted = Delivery.select(Delivery.verdict, fn.COUNT(Delivery.id)).where(Delivery.id <= newest)
            self._counts = Counter(dict(counted.group_by(Delivery.verdict).tuples().execute(db)))
            self._until = self._clock() + GOOD_FOR
        else:
            self._counts.update({name: _between(db, name, self._newest, newest) for name in VERDICTS})
        self._newest = newest
        return {name: self._counts[name] for name in VERDICTS}


def _between(db: Database, verdict: str, above: int, until: int) -> int:
    mine = (Delivery.verdict == verdict) & (Delivery.id > above) & (Delivery.id <= until)
    return int(Delivery.select().where(mine).count(db))
