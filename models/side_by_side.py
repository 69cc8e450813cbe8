"""What must hold where Kugetsu works for several servers: a name on one of them is not the same name on another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Final

from models.reading import SettingsError

if TYPE_CHECKING:
    from models.settings import Settings

DEFAULT_SERVER: Final = "gitea"
"""The server of KUGETSU_GITEA_URL, whose webhooks come to /webhook and with which people sign in."""


def where_set(server: str, key: str) -> str:
    """Where somebody sets this of a server (`url`, `token`, `webhook_secret`, `repos`), in words."""
    if server != DEFAULT_SERVER:
        return f"{key} in [servers.{server}] of kugetsu.toml"
    return f"KUGETSU_GITEA_{key.upper()}" if key in ("url", "token") else f"KUGETSU_{key.upper()}"


def check(settings: Settings) -> None:
    """Raise SettingsError for what would let something of one server count on another."""
    for problem in (*_shared(settings), *_of_nobody(settings), *_unknown(settings)):
        raise SettingsError(problem)


def _shared(settings: Settings) -> Iterator[str]:
    """Whoever administers a repository can read the secret of its webhooks: it must open no other server's address."""
    for one, other in combinations(settings.servers.values(), 2):
        names = f"servers.{one.name} and servers.{other.name}"
        if one.url and one.url == other.url:
            yield f"{names} have the same url, so all would be done twice; right would be one table for each server"
        theirs = {secret.get_secret_value() for secret in other.webhook_secrets}
        if any(secret.get_secret_value() in theirs for secret in one.webhook_secrets):
            yield f"{names} have the same webhook_secret; right would be one of its own for each server"


def _unknown(settings: Settings) -> Iterator[str]:
    """Whoever is told of what happens on a server that is misspelt is never told."""
    known = ", ".join(settings.servers) or "none"
    for name, notice in settings.notices.items():
        for server in notice.servers:
            if server not in settings.servers:
                yield f"notices.{name}.servers names {server!r}, which is not set up; right would be some of {known}"


def _of_nobody(settings: Settings) -> Iterator[str]:
    """Logins that may ask are those of the default server's people."""
    if not settings.servers or DEFAULT_SERVER in settings.servers:
        return
    if settings.allow_users:
        known = ", ".join(f"[servers.{name}]" for name in settings.servers)
        who = f"people of the server “{DEFAULT_SERVER}” (KUGETSU_GITEA_URL), which is not set up"
        yield f"KUGETSU_ALLOW_USERS names {who}; right would be allow_users in {known}"
