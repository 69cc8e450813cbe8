"""How often somebody may try to sign in."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

MOST, WITHIN = 10, 300.0
"""So many failures within so many seconds; then nobody from there may try until the first of them is that old."""

_MOST_PLACES = 10_000


class TooMany(Exception):
    """Nobody from this address may try now. `seconds` is how long that lasts."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed tries to sign in from this address; try again in {seconds} seconds")
        self.seconds = seconds


class Attempts:
    """Counts failures by address, in memory: a restart forgets them, and takes longer than a try."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def check(self, address: str) -> None:
        """Raise TooMany where this address has failed too often. To be asked before a try, right or wrong."""
        failures = self._recent(_place(address))
        if len(failures) >= MOST:
            raise TooMany(int(failures[0] + WITHIN - self._clock()) + 1)

    def failed(self, address: str) -> None:
        """A try from this address was wrong."""
        place = _place(address)
        recent = self._recent(place)
        recent.append(self._clock())
        self._failures.pop(place, None)
        self._failures[place] = recent  # the newest last, so that the oldest go first
        while len(self._failures) > _MOST_PLACES:
            self._failures.pop(next(iter(self._failures)))

    def _recent(self, place: str) -> deque[float]:
        failures = self._failures.get(place, deque(maxlen=MOST))
        while failures and failures[0] <= self._clock() - WITHIN:
            failures.popleft()
        return failures


def _place(address: str) -> str:
    """The address; of IPv6 its network, since whoever has one address there has all of them."""
    try:
        read = ip_address(address)
    except ValueError:
        return address
    if not isinstance(read, IPv6Address):
        return str(read)
    return str(read.ipv4_mapped or ip_network((read, 64), strict=False))
