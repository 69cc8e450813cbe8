"""The door by the administrator's files as they stand now: opencode.json may be changed while everything runs."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from pathlib import Path

from peewee import Database

from jobs.gateway import files
from jobs.gateway.door import Door
from jobs.gateway.providers import Arrangement, ConfigBroken, arrange
from models import budgets, spending
from models.moves import State
from models.settings import Settings
from models.tables import Job

log = logging.getLogger(__name__)


class Doors:
    """`environ` is where the variables named by the settings are taken from. `sandboxed`: without a sandbox an agent
    can read whatever the service can.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str], *, sandboxed: bool) -> None:
        self._settings = settings
        self._environ = environ
        self._sandboxed = sandboxed
        self._limits = budgets.limits_of(settings)
        self._home = settings.home.resolve()
        self._known: tuple[str | None, Door] | None = None

    @property
    def config_path(self) -> Path:
        return self._home / "opencode.json"

    def door(self) -> Door:
        """The door as the files want it now. Raises ConfigBroken."""
        text = self.config_path.read_text(encoding="utf-8") if self.config_path.is_file() else None
        if self._known is None or self._known[0] != text:
            arrangement = arrange(text, self._settings.agent_env, self._environ, self._home)
            door = Door(self._home, socket.gethostname(), arrangement, self._limits, self._environ)
            self._known = text, door
        return self._known[1]

    def secrets(self) -> list[str]:
        """Every key that this service holds for agents, and those that they are handed."""
        given = [self._environ[name] for name in self._settings.agent_env if name in self._environ]
        try:
            return [*given, *self.door().arrangement.secrets]
        except ConfigBroken:
            return given

    def open(self, db: Database) -> None:
        """Have the gateway run, where it serves anybody, and say which credentials agents hold all the same."""
        try:
            arrangement = self.door().arrangement
        except ConfigBroken as error:
            log.error("%s: no agent is started before it is mended", error)  # noqa: TRY400 - a line says it all
            return
        spending.hand_over(db, socket.gethostname(), self._handed(arrangement))
        for name in self._handed(arrangement):
            log.warning("agents are handed a credential: %s", name)
        if arrangement.providers:
            self.door().ensure(db)

    def look(self, db: Database) -> None:
        """Start the gateway anew where it has died while agents run."""
        if files.running(self._home) is None and Job.select().where(Job.state == State.RUNNING).exists(db):
            door = self.door()
            if door.arrangement.providers:
                log.error("the model gateway is gone, and is started again")
                door.ensure(db)

    def _handed(self, arrangement: Arrangement) -> list[str]:
        if self._sandboxed or not arrangement.providers:
            return list(arrangement.handed)
        keys = [f"{name}: without a sandbox agents can read what the service reads" for name in arrangement.providers]
        return [*arrangement.handed, *keys]
