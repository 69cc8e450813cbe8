"""What the model gateway adds to a streamed token, and to the first one, beside the provider without it.

The provider writes into each piece when it sent it, so the same clock says how long it was under way.
"""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from peewee import Database

from jobs.gateway.door import Door
from jobs.gateway.prices import Price
from jobs.gateway.providers import Arrangement, Provider
from jobs.presence import Presence
from models import ledger, opening, spending, store
from models.events import Person
from models.intake import Asks, NewAsk
from models.moves import State
from models.store import Incoming, NewDelivery
from models.tables import Job

TOKENS, PAUSE, ROUNDS, AT_ONCE = 100, 0.02, 3, 8
"""Fifty tokens a second are what fast models give."""


def measure(folder: Path) -> dict[str, object]:
    """Medians and 99th percentiles in milliseconds, one stream at a time and several at once."""
    with _provider() as url, _gateway(folder, url) as (through, token):
        direct, gated = (f"{url}/chat/completions", "none"), (f"{through}/chat/completions", token)
        found: dict[str, object] = {}
        for count in (1, AT_ONCE):
            plain, passed = _streams(*direct, count), _streams(*gated, count)
            name = "stream" if count == 1 else "streams"
            found |= {
                f"{count} {name}: a token without the gateway, median ms": _median(plain[1]),
                f"{count} {name}: a token through the gateway, median ms": _median(passed[1]),
                f"{count} {name}: added to a token, median ms": round(_median(passed[1]) - _median(plain[1]), 3),
                f"{count} {name}: added to a token, p99 ms": round(_p99(passed[1]) - _p99(plain[1]), 3),
                f"{count} {name}: added to the first token, median ms": round(
                    _median(passed[0]) - _median(plain[0]), 3
                ),
            }
        return found


def _median(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1000, 3)


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)] * 1000


def _streams(address: str, token: str, count: int) -> tuple[list[float], list[float]]:
    """How long the first token took from the request on, and each one from the provider to here."""
    firsts: list[float] = []
    delays: list[float] = []

    def run() -> None:
        with httpx.Client(trust_env=False, timeout=60) as client:
            for _ in range(ROUNDS):
                first, times = _stream(client, address, token)
                firsts.append(first)
                delays.extend(times)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return firsts, delays


def _stream(client: httpx.Client, address: str, token: str) -> tuple[float, list[float]]:
    body = {"model": "big", "stream": True, "messages": [{"role": "user", "content": "x" * 50_000}]}
    began, delays, first = time.perf_counter(), list[float](), 0.0
    with client.stream("POST", address, json=body, headers={"Authorization": f"Bearer {token}"}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {") and '"sent"' in line:
                now = time.perf_counter()
                first = first or now - began
                delays.append(now - json.loads(line[6:])["sent"])
    return first, delays


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for _ in range(TOKENS):
            piece = {"sent": time.perf_counter(), "choices": [{"index": 0, "delta": {"content": "word "}}]}
            self.wfile.write(f"data: {json.dumps(piece)}\n\n".encode())
            time.sleep(PAUSE)
        usage = {"prompt_tokens": 12_500, "completion_tokens": TOKENS}
        self.wfile.write(f"data: {json.dumps({'model': 'big', 'choices': [], 'usage': usage})}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


@contextmanager
def _provider() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


@contextmanager
def _gateway(folder: Path, url: str) -> Iterator[tuple[str, str]]:
    """The gateway's process, and the token of a job that runs."""
    db = opening.open_database(folder / "kugetsu.db")
    opening.migrate(db, folder / "migrate.lock", capacity=1)
    prices = {"big": Price(1, 2)}
    served = {"acme": Provider("acme", "openai", url, {"authorization": "Bearer sk-real-0123"}, True, prices)}
    with Presence(folder), db.connection_context():
        door = Door(folder, "bench", Arrangement(served), {}, os.environ)
        yield f"{door.address(db)}/acme", spending.open_account(db, _running_job(db))


def _running_job(db: Database) -> int:
    ask = NewAsk(key="comment:1:0", verb="code", author=Person(1, "ada"), said_at=1.0)
    delivery = NewDelivery(
        server="gitea", source="webhook", uuid="", event_type="issue_comment", headers={}, body="", received_at=1.0
    )
    store.accept_many(db, [Incoming(delivery, Asks("acme/app", 1, is_pull=False, title="", asks=(ask,)))])
    Job.update(state=State.QUEUED, queued_at=1.0).execute(db)
    claimed = ledger.claim_next(db, "bench", now=1.0, lease=60)
    assert claimed is not None, "nothing was claimed"
    return claimed.job_id
