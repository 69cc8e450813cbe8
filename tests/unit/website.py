"""The HTTP side as it runs: uvicorn on loopback, a real SQLite database in a folder of its own."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx
from peewee import SqliteDatabase

from models import opening
from models.settings import Settings, load
from models.tables import Delivery
from tests.unit.deliveries import secret, signed_headers
from webhook.app import create_app
from webhook.listening import address_of, listen
from webhook.server import server_of
from webhook.wiring import SettingUp, Wiring

START_LIMIT = 20.0
"""Seconds to wait for the server to answer."""


class Bell:
    """A door bell that counts."""

    def __init__(self) -> None:
        self.rung = 0

    def __call__(self) -> None:
        self.rung += 1


@dataclass(frozen=True)
class Website:
    """A running site and what lies behind it."""

    url: str
    settings: Settings
    database: SqliteDatabase
    bell: Bell
    client: httpx.Client
    stop: Callable[[], None]

    def deliver(
        self, text: bytes, event_type: str = "issue_comment", path: str = "/webhook", key: str | None = None
    ) -> httpx.Response:
        """Post `text` as Gitea does, signed with `key` (default: the secret of the recorded deliveries)."""
        headers = signed_headers(text, event_type, secret() if key is None else key)
        return self.client.post(path, content=text, headers=headers)

    def stored(self) -> list[Delivery]:
        """The deliveries in the database, oldest first."""
        with self.database.connection_context():
            return list(Delivery.select().order_by(Delivery.id).execute(self.database))


def settings_for(home: Path, **environment: str) -> Settings:
    """Settings of a service whose Gitea is set up; `environment` has further ones, without their prefix."""
    given = {
        "HOME": str(home),
        "PORT": "0",
        "PUBLIC_URL": "https://kugetsu.example.com",
        "GITEA_URL": "https://gitea.example.com",
        "GITEA_TOKEN": "a-token",
        "WEBHOOK_SECRET": secret(),
        **environment,
    }
    return load({f"KUGETSU_{name}": value for name, value in given.items() if value})


def open_store(home: Path, *, busy_timeout: float = 5.0) -> SqliteDatabase:
    """A database with its schema; every thread that uses it opens a connection of its own."""
    database = opening.open_database(home / "kugetsu.db", busy_timeout=busy_timeout)
    opening.migrate(database, home / "migrate.lock", capacity=3)
    return database


@contextmanager
def running(
    settings: Settings,
    *,
    clock: Callable[[], float] = time.time,
    busy_timeout: float = 5.0,
    set_up: Callable[[Wiring], SettingUp] | None = None,
) -> Iterator[Website]:
    """A site on a free port of loopback, stopped at the end; its writer must then have ended. `set_up` makes the pages
    of its first start.
    """
    before = threading.enumerate()
    database, bell = open_store(settings.home, busy_timeout=busy_timeout), Bell()
    wiring = Wiring(settings=settings, database=database, ring=bell, clock=clock)
    app = create_app(replace(wiring, set_up=set_up(wiring)) if set_up else wiring)
    with listen(settings.host, settings.port) as listening:
        server = server_of(app)
        stop = partial(setattr, server, "should_exit", True)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="website")
        thread.start()
        try:
            with httpx.Client(base_url=address_of(listening), timeout=30, trust_env=False) as client:
                _wait_until_it_answers(client)
                yield Website(str(client.base_url), settings, database, bell, client, stop)
        finally:
            stop()
            thread.join(START_LIMIT)
    assert not thread.is_alive(), f"the server did not stop within {START_LIMIT:g} s"
    writers = [other for other in threading.enumerate() if other.name == "delivery-writer"]
    assert set(writers) <= set(before), "the writer still runs"


def _wait_until_it_answers(client: httpx.Client) -> None:
    """The socket listens already, so the first request waits in its backlog until the server takes it."""
    answer = client.get("/healthz", timeout=START_LIMIT)
    assert answer.status_code == 200, answer.text


def address(url: str) -> tuple[str, int]:
    """Host and port of `url`, for a plain socket."""
    parts = httpx.URL(url)
    assert parts.port is not None
    return parts.host, parts.port


def raw_request(url: str, data: bytes, *, limit: float = 15.0) -> bytes:
    """Send `data` as it is and read until the other side closes, or sends no more for `limit` seconds."""
    with socket.create_connection(address(url), timeout=limit) as connection:
        connection.sendall(data)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer
