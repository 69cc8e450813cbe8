"""The gateway's view of the tables: whose token it is, whether it may still be used, and what was used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from peewee import Database

from jobs.budget_sentences import over
from jobs.gateway.prices import Price, Usage, price_of
from jobs.gateway.providers import Provider
from models import budgets, spending
from models.budgets import Limits
from models.spending import Spent

log = logging.getLogger(__name__)


class Turned(msgspec.Struct, frozen=True):
    """A call that is turned away: the HTTP status, the kind of reason in a word, and a sentence."""

    status: int
    kind: Literal["unknown_token", "job_over", "budget_spent"]
    sentence: str


class Books:
    """All of it blocks: to be called from one thread, which is not the event loop's. `prices` gives those of a
    provider's models beside what its configuration says.
    """

    def __init__(
        self, db: Database, limits: Limits, prices: Callable[[str], Mapping[str, Price]], clock: Callable[[], float]
    ) -> None:
        self._db = db
        self._limits = limits
        self._prices = prices
        self._clock = clock

    def admit(self, token: str) -> int | Turned:
        """The job whose agent calls, if it may."""
        caller = spending.caller(self._db, token) if token else None
        if caller is None:
            return Turned(401, "unknown_token", "this is not the token of any job.")
        if caller.over:
            return Turned(403, "job_over", f"job {caller.job_id} is over, and its token with it.")
        full = budgets.full(self._db, self._limits, caller.job_id, now=self._clock())
        if full is not None:
            return Turned(402, "budget_spent", over(full, self._clock()))
        return caller.job_id

    def charge(self, job_id: int, provider: Provider, models: tuple[str, ...], usage: Usage) -> None:
        """Book one answer. The prices in the provider's configuration win."""
        price = price_of({**self._prices(provider.name), **provider.prices}, *models)
        cost = usage.cost if usage.cost is not None else (price.of(usage) if price else 0.0)
        taken_in = usage.input + usage.cache_read + usage.cache_write
        spending.serve(self._db, job_id, Spent(taken_in, usage.output, cost), now=self._clock())
        told = (provider.name, models[0], taken_in, usage.output, cost)
        log.info("job=%s %s %.100r: %d tokens in, %d out, $%.6f", job_id, *told)

    def close(self) -> None:
        self._db.close()
