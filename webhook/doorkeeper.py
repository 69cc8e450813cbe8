"""How much is done for senders before they have shown that they know a secret: bounded for each, and for all together.

Who sends again and again what is refused is answered at once, unread. But a source may be a proxy that many share, so
it can still deliver what is signed, as long as that is small: an attacker there costs us little, and shuts nobody out.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from starlette.requests import Request

from webhook import signature
from webhook.body import LIMIT
from webhook.senders import sender_of

REFUSALS: Final = 60
"""Refused deliveries of one source, before it counts as one that only tries."""

REFILL: Final = 1.0
"""Refusals a second that are forgotten."""

SMALL: Final = 512 * 1024
"""Bytes that are still read from such a source; Gitea's usual deliveries have 10 to 60 kB."""

FEW: Final = 4
"""Deliveries read at once from such a source."""

MOST_SOURCES: Final = 10_000
"""Remembered; the one that was quiet for longest is forgotten first."""

MOST_BYTES: Final = 128 * 1024 * 1024
"""Of bodies that are being read, all together, before their signatures are looked at."""

MOST_BYTES_OF_ONE: Final = 48 * 1024 * 1024


class Busy(Exception):
    """This delivery is not read now. `status` is the HTTP answer, the message a sentence for the sender."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _Source:
    """What is known of one sender. `used` refusals are held against it at the time `at`."""

    def __init__(self, at: float) -> None:
        self.used, self.at = 0.0, at
        self.reading, self.bytes = 0, 0

    def refusals(self, now: float) -> float:
        self.used, self.at = max(0.0, self.used - (now - self.at) * REFILL), now
        return self.used


class Doorkeeper:
    """`trusted` are the proxies whose word is taken for whom they speak for."""

    def __init__(
        self, trusted: Sequence[IPv4Network | IPv6Network] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._trusted = trusted
        self._clock = clock
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._bytes = 0

    @contextmanager
    def reading(self, request: Request, headers: Mapping[str, str]) -> Iterator[None]:
        """While the body is read and its signature looked at. Raises Busy."""
        source = self._source(self.source_of(request))
        size = _announced(headers)
        self._check(source, size, headers)
        source.reading, source.bytes, self._bytes = source.reading + 1, source.bytes + size, self._bytes + size
        try:
            yield
        finally:
            source.reading, source.bytes, self._bytes = source.reading - 1, source.bytes - size, self._bytes - size

    def refused(self, request: Request) -> bool:
        """Count a refusal; whether it is worth a line in the log: not those of who only tries."""
        source = self._source(self.source_of(request))
        used = source.refusals(self._clock())
        source.used = min(used + 1, REFUSALS + REFILL)
        return used < REFUSALS

    def source_of(self, request: Request) -> str:
        """The sender's address; those of one IPv6 network are one."""
        return _network(sender_of(request, self._trusted))

    def _check(self, source: _Source, size: int, headers: Mapping[str, str]) -> None:
        only_tries = source.refusals(self._clock()) >= REFUSALS
        if only_tries and (not signature.is_claimed(headers) or size > SMALL or source.reading >= FEW):
            raise Busy(429, "too much of what you have sent was refused; try again in a minute")
        if source.bytes + size > MOST_BYTES_OF_ONE or self._bytes + size > MOST_BYTES:
            raise Busy(503, "too many deliveries are being read now")

    def _source(self, name: str) -> _Source:
        source = self._sources.get(name)
        if source is None:
            source = self._sources[name] = _Source(self._clock())
            idle = (old for old, each in self._sources.items() if not each.reading and old != name)
            if len(self._sources) > MOST_SOURCES and (gone := next(idle, None)) is not None:
                del self._sources[gone]
        self._sources.move_to_end(name)
        return source


def _announced(headers: Mapping[str, str]) -> int:
    """Bytes of the body as announced; a body that does not say may be as long as any."""
    length = headers.get("content-length", "")
    return min(int(length), LIMIT) if length.isascii() and length.isdecimal() and len(length) < 20 else LIMIT  # noqa: PLR2004


def _network(host: str) -> str:
    """The address, of IPv6 the network that one customer gets."""
    try:
        address = ip_address(host)
    except ValueError:
        return "?"
    return host if address.version == 4 else str(IPv6Network((int(address), 64), strict=False))  # noqa: PLR2004
