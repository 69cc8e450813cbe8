"""Servers that never come to the end of what they say: an exchange with one takes only so long."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat

import pytest

from jobs import gitea_http
from jobs.gitea import Gitea, GiteaDown

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"


@contextmanager
def saying(parts: Callable[[], Iterator[bytes]]) -> Iterator[str]:
    """A server that answers every connection with these parts, one every 20 ms; its address."""
    over, threads = threading.Event(), []

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(4096)
            for part in parts():
                if over.wait(0.02):
                    return
                connection.sendall(part)
            over.wait()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threads.append(threading.Thread(target=answer, args=(listening.accept()[0],)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
    for thread in (accepting, *threads):
        thread.join()


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "parts",
    [
        lambda: repeat(b"x"),
        lambda: chain([HEAD, b"X-Long: "], repeat(b"x")),
        lambda: repeat(b"HTTP/1.1 102 Processing\r\n\r\n"),
        lambda: chain([HEAD, b"\r\n"], repeat(b"")),
    ],
    ids=["no status", "a head without end", "wait, wait", "no body"],
)
def test_an_answer_that_does_not_come_is_given_up(
    monkeypatch: pytest.MonkeyPatch, parts: Callable[[], Iterator[bytes]]
) -> None:
    monkeypatch.setattr(gitea_http, "EXCHANGE_SECONDS", 0.3)
    with saying(parts) as url, Gitea(url, "", timeout=20.0) as gitea, pytest.raises(GiteaDown):
        gitea.me()
