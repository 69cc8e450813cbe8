"""What somebody chooses on the first-start page, and the settings that follow from it."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from models.hooks import is_loopback
from models.settings import DEFAULT_SERVER, Server, Settings
from models.settings_file import Value

EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - what somebody may choose to listen on
TICK: Final = "repo:"
"""How the fields of ticked repositories begin."""


class NotChosen(Exception):
    """The form lacks something; the message is a sentence about it."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What needs no choice, since the environment or the file says it: `names` of settings, and of the server what is
    known of it.
    """

    settings: Settings
    names: Collection[str]

    @property
    def server(self) -> Server:
        """The default server as far as it is set."""
        return self.settings.servers.get(DEFAULT_SERVER) or Server(name=DEFAULT_SERVER)

    @property
    def token(self) -> str:
        """Its token, "" where none is set."""
        return self.server.token.get_secret_value() if self.server.token else ""

    def asks_where_to_listen(self, url: str) -> bool:
        """Whether it is to be asked, where the Gitea at `url` is on another machine."""
        return "host" not in self.names and not is_loopback(urlsplit(url).hostname or "")


def settings_of(fields: Mapping[str, str], url: str, token: str, fixed: Fixed) -> dict[str, Value]:
    """The settings to write, by their names in the file: of what is chosen, and secrets that are missing. Raises
    NotChosen.
    """
    written: dict[str, Value] = {}
    if not fixed.server.url:
        written["gitea_url"] = url
    if not fixed.token:
        written["gitea_token"] = token
    if not fixed.server.webhook_secrets:
        written["webhook_secret"] = secrets.token_hex(32)
    if "repos" not in fixed.names:
        written["repos"] = _repos(fields)
    if "public_url" not in fixed.names:
        written["public_url"] = _address(fields)
    if fixed.asks_where_to_listen(url) and _reach(fields) == "network":
        written["host"] = EVERYWHERE
    if _is_open(str(written.get("host", fixed.settings.host))) and not _has_a_lock(fixed.settings):
        written["admin_token"] = secrets.token_urlsafe(24)
    return written


def usual_address(settings: Settings, url: str, port: int) -> str:
    """Where the Gitea at `url` would find us, as far as it can be told from here."""
    host = urlsplit(url).hostname or ""
    if is_loopback(host):
        return settings.public_url
    mine = _address_towards(host)
    return f"http://{f'[{mine}]' if ':' in mine else mine}:{port}" if mine else settings.public_url


def _repos(fields: Mapping[str, str]) -> list[str]:
    match fields.get("which"):
        case "all":
            return ["*"]
        case "ticked":
            names = [name.removeprefix(TICK) for name in fields if name.startswith(TICK)]
        case "patterns":
            names = [word for word in fields.get("patterns", "").replace(",", " ").split() if word]
        case _:
            names = []
    if not names:
        raise NotChosen("no repository is chosen: tick one, write a pattern such as acme/*, or choose all")
    return names


def _address(fields: Mapping[str, str]) -> str:
    text = fields.get("public_url", "").strip()
    if not text:
        raise NotChosen("the address under which Gitea finds Kugetsu is missing")
    return text


def _reach(fields: Mapping[str, str]) -> str:
    chosen = fields.get("reach", "")
    if chosen not in ("here", "network"):
        raise NotChosen("choose where Kugetsu listens: only here, behind a proxy of yours, or on the network")
    return chosen


def _is_open(host: str) -> bool:
    return not is_loopback(host)


def _has_a_lock(settings: Settings) -> bool:
    return settings.admin_token is not None or settings.oauth_client_id is not None


def _address_towards(host: str) -> str:
    """Our own address on the way to `host`; nothing is sent. "" where there is no way."""
    with suppress(OSError):
        family, kind, protocol, _, there = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(there)
            return str(probe.getsockname()[0])
    return ""
