"""Connections that are broken off at a given moment, however a server drips what it says.

A time-out of httpx is one for the next byte: an answer whose head comes a byte at a time never runs into it.
"""

from __future__ import annotations

import math
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx


class _Limit(threading.local):
    """Until when this thread's exchange may take, by the monotonic clock."""

    until = float("inf")


_limit = _Limit()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What this thread sends and receives over a `PunctualTransport` in the block has to be over by then: else
    httpx.TimeoutException.
    """
    _limit.until = until = time.monotonic() + seconds
    try:
        yield
    except httpx.TimeoutException as late:
        if time.monotonic() < until:
            raise
        raise type(late)(f"it took longer than {seconds:g} s") from late
    finally:
        _limit.until = float("inf")


class PunctualTransport(httpx.HTTPTransport):
    """HTTP over connections that keep to `within`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=_Backend())


class _Backend(httpcore.NetworkBackend):
    def connect_tcp(self, *args: Any, **more: Any) -> httpcore.NetworkStream:
        return _Stream(httpcore.SyncBackend().connect_tcp(*args, **more))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def start_tls(self, *args: Any, **more: Any) -> httpcore.NetworkStream:
        """Python's own time-out is one for the whole of the handshake."""
        return _Stream(self._stream.start_tls(*args, **more))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
    """The time-out for what is to be done now."""
    left = _limit.until - time.monotonic()
    if left <= 0:
        raise late
    return timeout if timeout is not None and timeout < left else left if math.isfinite(left) else None
