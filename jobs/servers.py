"""The Gitea servers this worker speaks to, and who we are on each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from peewee import Database

from jobs.gitea import Gitea, GiteaDown, GiteaError
from jobs.gitea_issues import LABELS, own_label
from jobs.inside import Identity
from models import settings as configured
from models import store, threads, watching
from models.events import Person
from models.tables import Repo, Server

log = logging.getLogger(__name__)

CHECK_SECONDS = 60.0
DOUBT_SECONDS = 2.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 30.0
"""How soon a server that is not well is looked at again: growing, with a ceiling."""


class Forge:
    """One server: its client, and our own account there once it has been seen. `check` is safe from any thread.

    `check_at`: when it is to be checked again; `failures`: how many checks in a row have failed.
    """

    def __init__(self, server: configured.Server, db: Database) -> None:
        self.name = server.name
        self.url = server.url
        self.token = server.token.get_secret_value() if server.token else ""
        self.gitea = Gitea(server.url, self.token)
        self._db = db
        self._bot: Person | None = None
        self._labelled: dict[str, frozenset[str]] = {}
        self.check_at, self.checked_at, self.failures = 0.0, 0.0, 0
        self._lock = threading.Lock()

    @property
    def bot(self) -> Person:
        """Our own account, as the server says, or as it last said where it cannot be asked now. Raises `GiteaError`."""
        if self._bot is not None:
            return self._bot
        try:
            return self.check()
        except GiteaDown:
            if (remembered := store.bot_of(self._db, self.name)) is None:
                raise
            return remembered

    def default_branch(self, repo: str) -> str:
        """The repository's default branch, as the server says, or as it last said where it cannot be asked now."""
        mine = (Repo.server == self.name) & (Repo.name == repo)
        try:
            name = self.gitea.repo(repo).default_branch
        except GiteaDown:
            row = Repo.select(Repo.default_branch).where(mine).first(self._db)
            if row is None or not row.default_branch:
                raise
            return str(row.default_branch)
        Repo.update(default_branch=name).where(mine & (Repo.default_branch != name)).execute(self._db)
        return name

    @property
    def identity(self) -> Identity:
        """Who our commits are by. Gitea knows an account by this address, whatever its real one."""
        return Identity(self.bot.login, f"{self.bot.login}@noreply.{urlsplit(self.url).hostname}")

    def check(self, now: float | None = None) -> Person:
        """Ask the server who we are and what our token may do, and note how it is. Raises `GiteaError` where it does
        not answer, or the token is no good.
        """
        now = time.time() if now is None else now
        try:
            version, me = self.gitea.version(), self.gitea.me()
            self.gitea.check_scopes()
        except GiteaError as error:
            self._note(ok=False, problem=str(error), checked_at=now)
            raise
        self._bot = Person(me.id, me.login)
        self._note(ok=True, problem="", version=version, bot_id=me.id, bot_login=me.login, checked_at=now)
        return self._bot

    def doubt(self) -> None:
        """Something did not go well: look soon how the server is."""
        self.check_at = min(self.check_at, self.checked_at + DOUBT_SECONDS)

    def problem_of_token(self) -> str | None:
        """Why our token is no good, None where it is good. Without an answer it counts as no good."""
        try:
            self.check()
        except GiteaError as error:
            self.doubt()
            return str(error)
        return None

    def _note(self, **seen: object) -> None:
        Server.insert(name=self.name, url=self.url).on_conflict_ignore().execute(self._db)
        Server.update(url=self.url, **seen).where(Server.name == self.name).execute(self._db)

    def ensure_labels(self, repo: str, own: Collection[str] = ()) -> None:
        """Make the labels of our scope in `repo`, once in this process; `own` are the names of its own recipes."""
        names = frozenset(own)
        with self._lock:
            if self._labelled.get(repo) != names:
                self.gitea.ensure_labels(repo, [*LABELS, *(own_label(name) for name in sorted(names))])
                self._labelled[repo] = names


class Forges:
    """All servers of the settings that have an address and a token, by name."""

    def __init__(self, servers: Mapping[str, configured.Server], db: Database) -> None:
        self._db = db
        self._forges = {name: Forge(server, db) for name, server in configured.usable(servers).items()}

    def __getitem__(self, name: str) -> Forge:
        """The server called `name`. Raises `GiteaDown` where the settings do not (or no longer) say how to reach it."""
        if name not in self._forges:
            raise GiteaDown(f"the settings hold no address and token for the server “{name}”")
        return self._forges[name]

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple(self._forges)

    def check_due(self, name: str, now: float) -> None:
        """Note how this server is where it is its turn: sooner where it was not well. Where it is well again, all that
        waits for it is due at once.
        """
        forge = self._forges[name]
        if now >= forge.check_at:
            self._check(forge, now)

    def _check(self, forge: Forge, now: float) -> None:
        forge.checked_at = now
        try:
            forge.check(now)
        except GiteaError as error:
            if forge.failures == 0:
                log.warning("%s: %s", forge.name, error)
            pause = min(FIRST_PAUSE_SECONDS * 2 ** min(forge.failures, 16), LONGEST_PAUSE_SECONDS)
            forge.check_at, forge.failures = now + pause, forge.failures + 1
        else:
            if forge.failures:
                log.info("%s answers again", forge.name)
                threads.wake(self._db, forge.name)
                watching.wake(self._db, forge.name)
            forge.check_at, forge.failures = now + CHECK_SECONDS, 0

    def doubt(self, name: str) -> None:
        """Something did not go well at this server: look soon how it is. One that left the settings stays as it is."""
        if name in self._forges:
            self._forges[name].doubt()

    def check_all(self) -> None:
        """Have each server be checked at once: nobody knows when that was done last."""
        for forge in self._forges.values():
            forge.check_at = 0.0

    def close(self) -> None:
        """Close all connections."""
        for forge in self._forges.values():
            forge.gitea.close()
