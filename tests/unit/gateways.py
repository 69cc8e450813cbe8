"""A gateway in this process, before a scripted provider, with a store that has jobs in it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from peewee import SqliteDatabase

from jobs.gateway.app import Gate, new_client
from jobs.gateway.books import Books
from jobs.gateway.prices import Price
from jobs.gateway.providers import Provider
from models import ledger, opening, spending
from models.budgets import Limits
from models.ledger import Claimed
from models.moves import Outcome, State
from models.tables import Job
from tests.fakes.provider import FakeProvider
from tests.unit.storing import new_store, say

KEY = "sk-the-real-key-0123456789"
NOW = 1_795_400_000.0


def openai(url: str, **more: Any) -> Provider:
    """A provider that speaks OpenAI's protocol: one dollar a million in, two out."""
    usual = {"headers": {"authorization": f"Bearer {KEY}"}, "ask_usage": True, "prices": {"big": Price(1, 2)}}
    return Provider("acme", "openai", f"{url}/v1", **{**usual, **more})


def anthropic(url: str) -> Provider:
    prices = {"claude": Price(3, 15, 0.3, 3.75)}
    return Provider("claude", "anthropic", f"{url}/v1", {"x-api-key": KEY}, prices=prices)


class Setting:
    """The gateway, its provider, and jobs that run."""

    def __init__(self, url: str, provider: FakeProvider, db: SqliteDatabase) -> None:
        self.url, self.provider, self.db = url, provider, db
        self._claims: dict[int, Claimed] = {}
        self._issues = count(1)

    def job(self) -> tuple[int, str]:
        """A job that runs, on an issue of its own, and its agent's token."""
        ask = say(self.db, "code", issue=next(self._issues))
        number = int(ask.job_id or 0)
        Job.update(state=State.QUEUED, queued_at=1.0).where(Job.id == number).execute(self.db)
        claimed = ledger.claim_next(self.db, "worker", now=NOW, lease=60)
        assert claimed is not None
        self._claims[number] = claimed
        return number, spending.open_account(self.db, number)

    def end(self, job: int) -> None:
        assert ledger.settle(self.db, self._claims[job], Outcome.COMPLETED, now=NOW, reason="done")

    def call(self, token: str, path: str = "/acme/chat/completions", *, to: str = "", **fields: Any) -> httpx.Response:
        """One call of a model, as an agent makes it."""
        body = {"model": "big", "stream": True, "messages": [{"role": "user", "content": "hi"}], **fields}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with httpx.Client(trust_env=False, timeout=30) as client:
            return client.post((to or self.url) + path, json=body, headers=headers)

    def spent(self, job: int) -> tuple[int, int, float]:
        """Tokens in, tokens out and cost of the job, once they are booked."""
        row = Job.select().where(Job.id == job).get(self.db)
        return row.tokens_in, row.tokens_out, round(row.cost, 9)

    def wait_for_spending(self, job: int, at_least: int = 1) -> tuple[int, int, float]:
        until = time.monotonic() + 20
        while sum(self.spent(job)[:2]) < at_least:
            assert time.monotonic() < until, f"not booked: {self.spent(job)}"
            time.sleep(0.01)
        return self.spent(job)


@contextmanager
def gateway(folder: Path, limits: Limits | None = None, **more: Any) -> Iterator[Setting]:
    """Everything, on free ports of loopback; `more` is said of the provider `acme`."""
    db = new_store(folder, durable=False, capacity=1000)
    with FakeProvider() as fake, db.connection_context():
        providers = {"acme": openai(fake.url, **more), "claude": anthropic(fake.url)}
        with _serving(folder, providers, limits or {}) as url:
            yield Setting(url, fake, db)


@contextmanager
def _serving(folder: Path, providers: dict[str, Provider], limits: Limits) -> Iterator[str]:
    servers: list[uvicorn.Server] = []
    ready = threading.Event()

    async def serve() -> None:
        books = Books(opening.open_database(folder / "kugetsu.db"), limits, lambda _: {}, lambda: NOW)
        async with new_client() as client:
            gate = Gate(providers, books, client)
            config = uvicorn.Config(gate.app(), port=0, log_config=None, access_log=False, lifespan="off", ws="none")
            server = uvicorn.Server(config)
            config.load()
            server.lifespan = config.lifespan_class(config)
            await server.startup()
            servers.append(server)
            ready.set()
            await server.main_loop()
            await server.shutdown()
            gate.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="gateway")
    thread.start()
    assert ready.wait(20), "the gateway did not start"
    port = servers[0].servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        servers[0].should_exit = True
        thread.join(20)
