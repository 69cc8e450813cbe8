"""The running service: that the worker lives, and that the HTTP side answers, here and at its public address."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from peewee import Database

from models.checkup import Finding, Level, unknown, warning, well, wrong
from models.hooks import is_loopback
from models.settings import Settings
from models.tables import Worker

SILENT_SECONDS = 30.0
"""Without a heartbeat for so long a worker counts as gone."""

ANSWER_SECONDS = 5.0
"""Gitea waits no longer either."""

START = "start the service: make run, or systemctl start kugetsu-web kugetsu-worker"


def look(settings: Settings, db: Database, now: float) -> Iterator[Finding]:
    """Both halves."""
    yield worker(db, now)
    here = web(settings)
    yield here
    if here.level == Level.WELL:
        yield public_address(settings)


def worker(db: Database, now: float) -> Finding:
    """Whether a worker has been heard of lately."""
    with db.connection_context():
        rows = list(Worker.select().where(Worker.seen_at > now - SILENT_SECONDS).execute(db))
    if not rows:
        why = "webhooks are stored, and nobody acts on them"
        return wrong("worker", f"no worker has been heard of for {SILENT_SECONDS:g} seconds", why=why, cure=START)
    return well("worker", ", ".join(row.name for row in rows))


def web(settings: Settings) -> Finding:
    """Whether the HTTP side answers on the address that it listens on."""
    if settings.port == 0:
        return unknown("web", "KUGETSU_PORT is 0, so nobody knows where the service listens")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - what it listens on
    address = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    said = ask(address)
    if said:
        return wrong("web", f"{address} {said}", why="no webhook can be taken in", cure=START)
    return well("web", address)


def public_address(settings: Settings) -> Finding:
    """Whether we are reached under the address that stands in the webhooks. From here it may be closed all the same."""
    address = settings.public_url
    said = ask(address)
    if not said:
        return well("address", address)
    host = urlsplit(address).hostname or ""
    what = f"{address}, the address that stands in the webhooks, {said}"
    if is_loopback(host):
        cure = f"set KUGETSU_PUBLIC_URL=http://{host}:{settings.port}, where the service listens"
        return wrong("address", what, why="Gitea's webhooks lead nowhere", cure=cure)
    why = "seen from here; if Gitea reaches it all the same, this is well"
    return warning(
        "address", what, why=why, cure="set KUGETSU_PUBLIC_URL to the address under which Gitea reaches Kugetsu"
    )


def ask(address: str) -> str:
    """What is wrong with a Kugetsu at this address, as a clause; "" where one answers."""
    parts = urlsplit(address)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", f"{parts.path}/healthz", headers={"User-Agent": "kugetsu-doctor"})
        answer = connection.getresponse()
        text = answer.read(1000)
    except ssl.SSLError as error:
        return f"has no certificate that holds: {error.reason or error}"
    except TimeoutError:
        return f"does not answer within {ANSWER_SECONDS:g} seconds"
    except socket.gaierror:
        return "has a name that cannot be resolved"
    except (OSError, http.client.HTTPException) as error:
        return f"cannot be reached: {getattr(error, 'strerror', None) or error}"
    finally:
        connection.close()
    return "" if b'"alive"' in text else f"is answered by something else ({answer.status})"


def kind_of(host: str) -> str:
    """`loopback`, `private` or `external`, as Gitea tells addresses apart; "" where the name cannot be resolved."""
    try:
        found = [ip_address(row[4][0]) for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, ValueError):
        return ""
    if any(address.is_loopback for address in found):
        return "loopback"
    return "private" if any(address.is_private for address in found) else "external"
