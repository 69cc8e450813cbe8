"""The Gitea servers this worker speaks to, and who we are on each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from peewee import Database

from jobs.gitea import Gitea, GiteaDown, GiteaError
from jobs.gitea_issues import LABELS, own_label
from jobs.inside import Identity
from models import settings as configured
from models import store
from models.events import Person
from models.tables import Repo, Server

log = logging.getLogger(__name__)


class Forge:
    """One server: its client, and our own account there once it has been seen. `check` is safe from any thread."""

    def __init__(self, server: configured.Server, db: Database) -> None:
        self.name = server.name
        self.url = server.url
        self.token = server.token.get_secret_value() if server.token else ""
        self.gitea = Gitea(server.url, self.token)
        self._db = db
        self._bot: Person | None = None
        self._labelled: dict[str, frozenset[str]] = {}
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

    def check(self, now: float = 0.0) -> Person:
        """Ask the server who we are and note how it is. Raises `GiteaError` where it does not answer."""
        try:
            version, me = self.gitea.version(), self.gitea.me()
        except GiteaError as error:
            self._note(ok=False, problem=str(error), checked_at=now)
            raise
        self._bot = Person(me.id, me.login)
        self._note(ok=True, problem="", version=version, bot_id=me.id, bot_login=me.login, checked_at=now)
        return self._bot

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
        usable = {name: server for name, server in servers.items() if server.url and server.token}
        self._forges = {name: Forge(server, db) for name, server in usable.items()}

    def __getitem__(self, name: str) -> Forge:
        """The server called `name`. Raises `GiteaDown` where the settings do not (or no longer) say how to reach it."""
        if name not in self._forges:
            raise GiteaDown(f"the settings hold no address and token for the server “{name}”")
        return self._forges[name]

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple(self._forges)

    def check(self, now: float) -> None:
        """Note how each server is."""
        for forge in self._forges.values():
            try:
                forge.check(now)
            except GiteaError as error:
                log.warning("%s: %s", forge.name, error)

    def close(self) -> None:
        """Close all connections."""
        for forge in self._forges.values():
            forge.gitea.close()
