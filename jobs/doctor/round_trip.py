"""A round trip: Gitea tells of something, and the running service says through the database that it came in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from peewee import Database

from jobs import hook_trial
from jobs.doctor.service import kind_of
from jobs.gitea import Gitea
from models import hooks
from models.checkup import Finding, unknown, well, wrong
from models.settings import Server, Settings
from models.wire import Hook, Repository

WAIT_SECONDS = 10.0
"""Gitea gives a delivery five seconds, once its turn has come."""

POLL_SECONDS = 0.05
CHECK = "round trip"
TRIPS = frozenset({CHECK, "secret", "allowed hosts"})
"""The checks that a round trip can end in."""


@dataclass(frozen=True)
class RoundTrip:
    """`clock` is the one by which the service dates what comes in; `wait` is how many seconds it may take."""

    settings: Settings
    server: Server
    gitea: Gitea
    db: Database
    clock: Callable[[], float] = time.time
    wait: float = WAIT_SECONDS

    def make(self, repo: Repository, hook: Hook | None, *, where: str, page: str, mend: str) -> Finding:
        """Try it. `page` is where Gitea shows the webhook, `mend` the command that makes another."""
        began, started = self.clock(), time.monotonic()
        how = hook_trial.send(self.gitea, repo.full_name, hook)
        if how is None:
            why = "a repository without commits and without issues has nothing to tell of"
            return unknown(CHECK, "it cannot be tried yet", where=where, why=why)
        until = started + self.wait
        while time.monotonic() < until:
            if hooks.arrived_since(self.db, self.server.name, repo.full_name, began):
                return well(CHECK, f"{how} came back in {time.monotonic() - started:.1f} s", where)
            if refused := hooks.refusal_since(self.db, self.server.name, began):
                return self._refused(refused, where, mend)
            time.sleep(POLL_SECONDS)
        return self._lost(how, where, page)

    def _refused(self, sentence: str, where: str, mend: str) -> Finding:
        why = "each webhook is turned away, so nothing is heard"
        return wrong("secret", f"it came in and was turned away: {sentence}", where=where, why=why, cure=mend)

    def _lost(self, how: str, where: str, page: str) -> Finding:
        address = hooks.address_of(self.settings, self.server.name)
        kind = kind_of(urlsplit(address).hostname or "")
        what = f"{how} to {address} did not come in within {self.wait:g} seconds"
        if kind in ("loopback", "private"):
            why = f"Gitea calls no {kind} address unless its app.ini allows that; its own words: {page}"
            cure = f"in app.ini, under [webhook]: ALLOWED_HOST_LIST = external, {kind}; then restart Gitea"
            return wrong("allowed hosts", what, where=where, why=why, cure=cure)
        why = "Gitea's side does not reach it: a firewall, a proxy, a name, or ALLOWED_HOST_LIST in app.ini"
        return wrong(CHECK, what, where=where, why=why, cure=page)
