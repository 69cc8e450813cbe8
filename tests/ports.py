"""Ports of loopback for those who cannot be given any free one: they are told before they listen, or come back."""

import os
import random
import socket
from contextlib import suppress

_given: set[int] = set()


def free_port() -> int:
    """A port that nobody takes before its owner listens, or while it is dead: the kernel gives none from below 32768 to
    those who ask for any (proc(5), ip_local_port_range), each process that runs tests has a thousand of its own, and
    none is given twice.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
    while True:
        port = random.randrange(20000 + 1000 * number, 21000 + 1000 * number)  # noqa: S311 - no secret
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in _given:
                _given.add(port)
                return port
