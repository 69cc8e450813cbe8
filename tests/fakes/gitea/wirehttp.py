"""A small threaded HTTP/1.1 server on loopback that can be taken down, and brought back on the same port."""

import contextlib
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from io import BufferedReader
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tests.fakes.gitea.api import Answer, Request

Serve = Callable[[Request], Answer | None]
JOIN = 10.0


class Listener:
    """Accepts connections, one thread each. `serve` gives the answer, None breaks the connection."""

    def __init__(self, serve: Serve, port: int = 0) -> None:
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        self._lock = threading.Lock()
        self._open = True
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._thread = threading.Thread(target=self._accept, name="fake-gitea", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Refuses new connections and breaks those there are; what is being served goes on, unheard."""
        with self._lock:
            self._open = False
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            pass  # wakes the thread that waits in accept()
        self._thread.join(JOIN)
        self._socket.close()
        with self._lock:
            connections = list(self._connections.values())
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """Waits until nothing is being served any more."""
        with self._lock:
            threads = list(self._connections)
        for thread in threads:
            thread.join(JOIN)

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with self._lock:
                if not self._open:
                    connection.close()
                    return
                thread = threading.Thread(target=self._talk, args=(connection,), daemon=True)
                self._connections[thread] = connection
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection.makefile("rb") as reader:
                while (request := read_request(reader, connection)) is not None:
                    answer = self._serve(request)
                    if answer is None:
                        return
                    text = written(answer, request.method)
                    connection.sendall(text[: len(text) // 2] if answer.cut else text)
                    if answer.cut:
                        return
                    if request.headers.get("connection", "").lower() == "close":
                        return
        except (OSError, ValueError):
            pass  # whoever called has gone, or speaks no HTTP
        finally:
            connection.close()
            with self._lock:
                self._connections.pop(threading.current_thread(), None)


def read_request(reader: BufferedReader, connection: socket.socket) -> Request | None:
    """The next request of a connection, None at its end; ValueError when it is no HTTP."""
    line = reader.readline(1 << 16)
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split()
    headers = _read_headers(reader)
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    parts = urlsplit(target)
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(name, value)
    return Request(method, parts.path, query, headers, _read_body(reader, headers))


def _read_headers(reader: BufferedReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while (line := reader.readline(1 << 16)) not in {b"\r\n", b"\n", b""}:
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def _read_body(reader: BufferedReader, headers: dict[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", "").lower():
        return reader.read(int(headers.get("content-length", "0")))
    chunks: list[bytes] = []
    while size := int(reader.readline().split(b";")[0], 16):
        chunks.append(reader.read(size))
        reader.readline()
    _read_headers(reader)  # trailers
    return b"".join(chunks)


def written(answer: Answer, method: str) -> bytes:
    """An answer as bytes on the wire."""
    body = b"" if answer.empty else answer.body if isinstance(answer.body, bytes) else _json(answer.body)
    headers = {"Content-Type": "application/json;charset=utf-8"} if body and not isinstance(answer.body, bytes) else {}
    headers |= {"Cache-Control": "max-age=0, private, must-revalidate, no-transform"} | answer.headers
    if answer.status != HTTPStatus.NO_CONTENT:
        headers["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    phrase = HTTPStatus(answer.status).phrase
    start = f"HTTP/1.1 {answer.status} {phrase}\r\n{head}\r\n".encode("latin-1")
    return start if method == "HEAD" else start + body


def _json(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"
