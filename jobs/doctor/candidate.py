"""A server that is not in the settings yet: whether Kugetsu could work with this address and this token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr, TypeAdapter, ValidationError

from jobs.doctor import forge
from jobs.gitea import Gitea, GiteaError
from models import values
from models.checkup import Finding, Level, unknown, warning, wrong
from models.hooks import is_loopback
from models.settings import DEFAULT_SERVER, Server
from models.wire import Permissions, Repository

PATIENCE: Final = 8.0
"""Seconds to wait for Gitea to say something: somebody looks at the page meanwhile."""

MOST_REPOS: Final = 500

_ADDRESS: Final[TypeAdapter[str]] = TypeAdapter(values.WebUrl)
_TOKEN: Final[TypeAdapter[SecretStr]] = TypeAdapter(values.Token)


@dataclass(frozen=True, slots=True)
class Seat:
    """A repository that the bot sees; `rights` are `admin`, `write` or `read`."""

    name: str
    rights: str
    archived: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a server. `url` is its address as the settings take it, "" where it is none."""

    url: str
    findings: tuple[Finding, ...]
    login: str = ""
    repos: tuple[Seat, ...] = ()

    @property
    def well(self) -> bool:
        """Whether nothing is wrong, and we know who we are there."""
        return bool(self.login) and all(finding.level != Level.WRONG for finding in self.findings)


def address_of(text: str) -> str:
    """The address that somebody has typed, as the settings take it. One without a scheme is of https, on this machine
    of http. Raises ValueError.
    """
    text = text.strip()
    if "://" not in text:
        text = f"http://{text}" if is_loopback(urlsplit(f"//{text}").hostname or "") else f"https://{text}"
    try:
        return _ADDRESS.validate_python(text)
    except ValidationError as error:
        raise ValueError("no address of a web page") from error


def look(address: str, token: str = "") -> Seen:
    """Look at what is at this address and, only if that is a Gitea, who we are there by this token.

    The token goes to that very address and nowhere else: a redirect to another one is not followed.
    """
    try:
        url = address_of(address)
    except ValueError:
        return Seen("", (_no_address(),))
    server = Server(name=DEFAULT_SERVER, url=url)
    with Gitea(url, "", timeout=PATIENCE) as gitea:
        found = [*forge.connection(gitea, server, time.time), *_in_clear(server)]
    if not token.strip() or any(finding.check == "gitea" and finding.level == Level.WRONG for finding in found):
        return Seen(url, tuple(found))
    try:
        good = _TOKEN.validate_python(token.strip()).get_secret_value()
    except ValidationError:
        return Seen(url, (*found, _no_token(server)))
    with Gitea(url, good, timeout=PATIENCE) as gitea:
        return _account(gitea, server, found)


def _account(gitea: Gitea, server: Server, before: list[Finding]) -> Seen:
    """`before` says nothing of the server where it tells its version only to who is signed in."""
    unseen = all(finding.check != "gitea" for finding in before)
    found = [*(forge.connection(gitea, server, time.time) if unseen else ()), *before, *forge.account(gitea, server)]
    if any(finding.level == Level.WRONG and finding.check != "clock" for finding in found):
        return Seen(server.url, tuple(found))
    try:
        login = gitea.me().login
        repos = tuple(_seats(gitea))
    except GiteaError as error:
        found.append(unknown("repositories", f"they could not be looked at: {error}", where=server.name))
        return Seen(server.url, tuple(found))
    return Seen(server.url, (*found, *_repositories(server, login, repos)), login, repos)


def _seats(gitea: Gitea) -> Iterator[Seat]:
    for repo in islice(gitea.repos(), MOST_REPOS):
        yield Seat(repo.full_name, _rights(repo), repo.archived)


def _rights(repo: Repository) -> str:
    may = repo.permissions or Permissions()
    return "admin" if may.admin else "write" if may.push else "read"


def _repositories(server: Server, login: str, repos: tuple[Seat, ...]) -> Iterator[Finding]:
    if not any(seat.rights == "admin" and not seat.archived for seat in repos):
        what = f"{login} is an administrator of no repository yet"
        why = "only an administrator may ask Gitea what another person may do there, and look after webhooks"
        cure = f"{server.url}/OWNER/REPO/settings/collaboration: add {login} as an administrator"
        yield warning("rights", what, where=server.name, why=why, cure=cure)


def _in_clear(server: Server) -> Iterator[Finding]:
    parts = urlsplit(server.url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        why = "whoever is on the way can read the token, and use it"
        cure = f"https://{parts.netloc}{parts.path}, where that is served"
        yield warning("address", "requests to this address are not enciphered", where=server.name, why=why, cure=cure)


def _no_address() -> Finding:
    why = "nothing can be asked there"
    cure = "an address like https://gitea.example.com, with no login, query or fragment in it"
    return wrong("gitea", "that is no address of a Gitea", where=DEFAULT_SERVER, why=why, cure=cure)


def _no_token(server: Server) -> Finding:
    cure = f"{server.url}/user/settings/applications"
    what = "that is no token: it has spaces, line breaks or letters that no token has"
    return wrong("token", what, where=server.name, why="nothing can be read or written", cure=cure)
