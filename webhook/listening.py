"""The socket on which the HTTP side listens."""

import socket

from models.refusal import Refused

BACKLOG = 2048
"""Connections that may wait to be accepted: a burst of deliveries comes as one connection each."""


class CannotListen(Refused):
    """The address is taken, or is not one of this machine; the message names it."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; `port` 0 takes a free one. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host} port {port}: {error.strerror or error}") from None


def address_of(listening: socket.socket) -> str:
    """The address to type into a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
