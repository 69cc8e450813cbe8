"""The pace of a provider: when it says that it is asked too much, every job waits, not only the one that heard it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_SECONDS = 2.0
LONGEST_SECONDS = 120.0


class Pace:
    """One provider's. Only for use within one event loop."""

    def __init__(self) -> None:
        self._until = 0.0
        self._refusals = 0

    @property
    def pause(self) -> float:
        """Seconds until it may be asked again."""
        return max(0.0, self._until - time.monotonic())

    async def keep(self, until: float) -> None:
        """Wait for as long as the provider wants to be left alone, but not beyond `until` (of the monotonic clock).
        Those that wait do not all go on at once.
        """
        while (pause := self.pause) > 0 and time.monotonic() < until:
            spread = random.uniform(0.0, min(1.0, pause / 4))  # noqa: S311 - no secrecy needed
            await asyncio.sleep(min(pause + spread, until - time.monotonic()))

    def refused(self, wanted: float | None) -> float:
        """It was asked too much, and wants to be left alone for so many seconds (None: it did not say); how many it is
        left alone for.
        """
        self._refusals += 1
        usual = FIRST_SECONDS * 2.0 ** min(self._refusals - 1, 10)
        seconds = min(wanted if wanted is not None else usual, LONGEST_SECONDS)
        self._until = max(self._until, time.monotonic() + seconds)
        return seconds

    def went_well(self) -> None:
        """It has answered."""
        self._refusals = 0


def wanted(headers: Mapping[str, str]) -> float | None:
    """The seconds of `Retry-After`, which may also be a date (RFC 9110, 10.2.3); None where it is not there."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "").strip()
        try:
            return max(0.0, float(text) * unit)
        except ValueError:
            pass
    try:
        at = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds()) if at.tzinfo else None
