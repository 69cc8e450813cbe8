"""An HTTP server on loopback that answers what a test tells it to: for answers that no Gitea should give."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """What to answer: a body may be given in parts, each sent when the one before was."""

    status: int = 200
    body: bytes | Iterator[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)


Answering = Callable[[str, str], Reply]


class Server(ThreadingHTTPServer):
    """Answers every request with `answering(method, path)` and keeps what it was sent."""

    daemon_threads = True
    answering: Answering = staticmethod(lambda _method, _path: Reply())

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str, str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def says(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        self.answering = lambda _method, _path: Reply(status, body, headers)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def handle_any(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.seen.append((self.command, self.path, self.headers.get("Authorization", ""), sent))
        reply = self.server.answering(self.command, self.path)
        parts = iter([reply.body]) if isinstance(reply.body, bytes) else reply.body
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for part in parts:
                self.wfile.write(part)
        except ConnectionError:
            return

    do_GET = do_POST = do_DELETE = do_PATCH = handle_any  # noqa: N815 - names that http.server calls

    def log_message(self, *_: object) -> None:
        """Silence: the tests say what they got."""


@contextmanager
def answering() -> Iterator[Server]:
    """A running server; it is gone at the end."""
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()
