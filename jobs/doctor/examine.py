"""The whole examination, link by link in the order of the chain, so that the first that is wrong is the cause."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import msgspec
from peewee import Database

from jobs.doctor import agent, forge, machine, repository, service
from jobs.doctor.round_trip import TRIPS, WAIT_SECONDS, RoundTrip
from jobs.gitea import Gitea, GiteaError, GiteaMissing
from jobs.known_secrets import secrets_of
from jobs.redact import Redactor
from models.checkup import Checkup, Finding, Level, unknown, wrong
from models.settings import Server, Settings, allowed_by_name

MOST_REPOS = 50
"""Repositories looked at on each server when none is named."""


@dataclass(frozen=True)
class Examination:
    """`repo` is "OWNER/NAME", or "" for all that the bot sees; `wait` is how long a round trip may take, in seconds."""

    settings: Settings
    environ: Mapping[str, str]
    repo: str = ""
    clock: Callable[[], float] = time.time
    wait: float = WAIT_SECONDS

    def run(self) -> Checkup:
        """Look at everything. No secret that we know is in what comes out."""
        redactor = Redactor(secrets_of(self.settings, self.environ))
        return Checkup.of(_without_secrets(finding, redactor) for finding in self._findings())

    def _findings(self) -> Iterator[Finding]:
        yield from self._settings()
        here = list(machine.look(self.settings))
        yield from here
        if any(finding.check == "home" and finding.level == Level.WRONG for finding in here):
            return
        database, db = machine.database(self.settings)
        yield database
        sandbox, box = machine.box(self.settings)
        yield sandbox
        running = list(service.look(self.settings, db, self.clock())) if db is not None else []
        yield from running
        well = bool(running) and all(finding.level != Level.WRONG for finding in running)
        yield from self._servers(db, running=well)
        if box is not None:
            yield from agent.look(self.settings, self.environ, box)

    def _settings(self) -> Iterator[Finding]:
        if not self.settings.servers:
            cure = "KUGETSU_GITEA_URL=https://git.example.com"
            yield wrong("settings", "no Gitea is set", why="there is nobody to work for", cure=cure)
        for server in self.settings.servers.values():
            yield from forge.settings_of(server)

    def _servers(self, db: Database | None, *, running: bool) -> Iterator[Finding]:
        usable = [server for server in self.settings.servers.values() if server.url and server.token]
        theirs = [server for server in usable if self._may_have(server)] if self.repo and len(usable) > 1 else usable
        for server in theirs or usable:
            yield from self._server(server, db, running=running and bool(server.webhook_secrets))

    def _may_have(self, server: Server) -> bool:
        """Whether the repository is on this server, as far as that can be known: one that is not is not missing there
        where another server has it.
        """
        assert server.token is not None  # noqa: S101 - for the type checker
        with Gitea(server.url, server.token.get_secret_value()) as gitea:
            try:
                gitea.repo(self.repo)
            except GiteaMissing:
                return False
            except GiteaError:
                return True
            return True

    def _server(self, server: Server, db: Database | None, *, running: bool) -> Iterator[Finding]:
        assert server.token is not None  # noqa: S101 - for the type checker
        with Gitea(server.url, server.token.get_secret_value()) as gitea:
            found = list(forge.look(gitea, server, self.settings, self.clock))
            yield from found
            if any(finding.level == Level.WRONG and finding.check != "clock" for finding in found):
                return
            trip = None
            if running and db is not None:
                trip = RoundTrip(self.settings, server, gitea, db, self.clock, self.wait)
            visit = repository.Visit(self.settings, server, gitea, db, trip)
            try:
                yield from self._repositories(visit)
            except GiteaError as error:
                yield unknown("repositories", f"they could not be looked at: {error}", where=server.name)

    def _repositories(self, visit: repository.Visit) -> Iterator[Finding]:
        names = [self.repo] if self.repo else self._all(visit)
        if not names:
            what = "the bot has no part in any repository that the settings allow"
            cure = f"{visit.server.url}/OWNER/REPO/settings/collaboration: add the bot as an administrator"
            yield wrong("repositories", what, where=visit.server.name, why="nobody can ask for anything", cure=cure)
        if len(names) > MOST_REPOS:
            what = f"{len(names) - MOST_REPOS} more repositories: name one to have it looked at"
            yield unknown("repositories", what, where=visit.server.name)
        for name in names[:MOST_REPOS]:
            found = list(visit.look(name))
            yield from found
            if any(finding.check in TRIPS for finding in found):
                visit = replace(visit, trip=None)  # the way is the same for all, and may take its time

    def _all(self, visit: repository.Visit) -> list[str]:
        """Those that the bot has a part in and that are allowed, and those that the settings name."""
        server, settings = visit.server.name, self.settings
        names = [repo.full_name for repo in visit.gitea.repos() if not repo.archived]
        allowed = [name for name in names if settings.allows(server, name)]
        return sorted({*allowed, *allowed_by_name(settings.repos_on(server))}, key=str.lower)


def _without_secrets(finding: Finding, redactor: Redactor) -> Finding:
    texts = {name: redactor.clean(getattr(finding, name)) for name in ("what", "why", "cure")}
    return msgspec.structs.replace(finding, **texts)
