"""Whether a delivery may tell of the repository that it tells of, by the secret that it is signed with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from peewee import Database
from starlette.concurrency import run_in_threadpool

from models import hooks, payloads
from models.hook_keys import SERVER_SCOPE, keys_for, organization_scope, repository_scope
from models.settings import Settings
from webhook import signature

NOT_SIGNED: Final = "the signature is missing or does not match any of the webhook secrets"
KNOWN_FOR: Final = 60.0
"""Seconds for which a repository is taken to have the name that it had."""

LARGE: Final = 24 * 1024
"""Bytes. Reading a payload longer than this takes milliseconds, so it is kept off the event loop."""


class NotSigned(Exception):
    """Nobody who may tell of this has signed it. `ours`: it is signed by a webhook of ours, for something else."""

    def __init__(self, sentence: str, *, ours: bool = False) -> None:
        super().__init__(sentence)
        self.ours = ours


class Signers:
    """The webhooks of each server. Whoever knows a secret that is set may tell of everything there, whoever knows that
    of a webhook only of its repository, or of those of its organisation.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._secrets = {
            name: [secret.get_secret_value() for secret in server.webhook_secrets]
            for name, server in settings.servers.items()
        }
        self._database = database
        self._known: dict[tuple[str, int, str], float] = {}

    def servers(self) -> Mapping[str, Sequence[str]]:
        """The secrets that are set, by server."""
        return self._secrets

    async def check(self, server: str, text: bytes, headers: Mapping[str, str]) -> None:
        """Raises NotSigned, and PeeweeException where it cannot be looked up which repository has that name."""
        secrets = self._secrets[server]
        whole = [*(secret.encode() for secret in secrets), *keys_for(secrets, SERVER_SCOPE)]
        if signature.verify(whole, text, headers):
            return
        told = partial(payloads.place_of, text)
        number, name = await run_in_threadpool(told) if len(text) > LARGE else told()
        scopes = (repository_scope(number), organization_scope(name.partition("/")[0]))
        narrow = [key for scope in scopes for key in keys_for(secrets, scope)]
        if not signature.verify(narrow, text, headers):
            raise NotSigned(NOT_SIGNED)
        if not await self._is_called(server, number, name):
            raise NotSigned(f"this webhook is not known to be of {name}; what is asked is found by looking", ours=True)

    async def _is_called(self, server: str, number: int, name: str) -> bool:
        """Whether the repository of this number, which the payload says, has the name that it says, too."""
        key = (server, number, name.lower())
        if time.monotonic() < self._known.get(key, 0.0):
            return True
        found = await run_in_threadpool(self._look_up, server, number, name)
        if found:
            self._known[key] = time.monotonic() + KNOWN_FOR
        return found

    def _look_up(self, server: str, number: int, name: str) -> bool:
        with self._database.connection_context():
            return hooks.is_called(self._database, server, number, name)
