"""Serving the application over HTTP, until a signal says stop."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from models.settings import Settings
from webhook.listening import BACKLOG, address_of, listen
from webhook.signals import ends

GRACE = 2
"""Seconds that requests under way may take when the service stops; storing what waits may take one more."""


class Server(uvicorn.Server):
    """Ends on a signal and returns. uvicorn would send the signal to the process again, before its caller can end
    its own work.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in ends()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def server_of(app: Starlette) -> Server:
    """A server for `app`: `run(sockets=[...])` serves until a signal, or until its `should_exit` is set.

    The peer's address is taken as it is, whatever a forwarding header says: the admin pages rely on it.
    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE,
    )
    server = Server(config)
    app.state.stopping = lambda: server.should_exit
    return server


def serve(
    app: Starlette,
    settings: Settings,
    *,
    announce: Callable[[str], None] | None = None,
    listening: socket.socket | None = None,
) -> None:
    """Serve `app` until SIGINT or SIGTERM, on `listening`, else on the address in `settings`. Raises CannotListen.

    `announce` is called with the address once connections to it succeed.
    """
    with listening or listen(settings.host, settings.port) as listens:
        if announce is not None:
            announce(address_of(listens))
        server_of(app).run(sockets=[listens])
