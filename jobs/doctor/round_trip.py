"""A round trip: something that Gitea tells of is done there, and the running service says that it came in.

A test delivery is one. Where the version sends none, an empty set of labels is added to an issue: nothing changes and
nobody sees it, and Gitea tells of it all the same (seen on 1.26.3; services/issue/label.go).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from peewee import Database

from jobs.doctor.service import kind_of
from jobs.gitea import Gitea, GiteaMissing
from jobs.gitea_http import repo_path
from models import hooks
from models.checkup import Finding, unknown, well, wrong
from models.settings import Server, Settings
from models.wire import Hook, Issue, Repository

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
        how = self._send(repo, hook)
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

    def _send(self, repo: Repository, hook: Hook | None) -> str | None:
        """Have Gitea tell of something; what it was, or None where there is nothing."""
        if hook is not None and "push" in (hook.events or ()):
            try:
                self.gitea.try_hook(repo.full_name, hook.id)
            except GiteaMissing:
                pass  # no commits
            else:
                return "a test delivery"
        issue = self._any_issue(repo.full_name)
        if issue is None:
            return None
        path = f"{repo_path(repo.full_name)}/issues/{issue.number}/labels"
        self.gitea.request("POST", path, body={"labels": []})
        return f"an empty change of labels on #{issue.number}"

    def _any_issue(self, repo: str) -> Issue | None:
        return next(iter(self.gitea.issues(repo, state="all")), None)

    def _refused(self, sentence: str, where: str, mend: str) -> Finding:
        why = "each webhook is turned away, so nothing is heard"
        return wrong("secret", f"it came in and was turned away: {sentence}", where=where, why=why, cure=mend)

    def _lost(self, how: str, where: str, page: str) -> Finding:
        address = hooks.address_of(self.settings, self.server.name)
        kind = kind_of(urlsplit(address).hostname or "")
        what = f"{how} to {address} did not come in within {self.wait:g} seconds"
        if kind in ("loopback", "private"):
            why = f"Gitea calls no {kind} address unless its app.ini allows that; its own words: {page}"
            cure = f"in app.ini, under [webhook]: ALLOWED_HOST_LIST = {kind}; then restart Gitea"
            return wrong("allowed hosts", what, where=where, why=why, cure=cure)
        why = "Gitea's side does not reach it: a firewall, a proxy, a name, or ALLOWED_HOST_LIST in app.ini"
        return wrong(CHECK, what, where=where, why=why, cure=page)
