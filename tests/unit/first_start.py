"""A service without settings, its first-start page, and whoever sits before it."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from models.settings import load
from tests.fakes.gitea import FakeGitea
from tests.unit.test_pages import BROWSER
from tests.unit.website import Website, running
from webhook.setup.pages import SetUp
from webhook.wiring import Wiring

PAGE = "/admin/setup"
BOT = "kugetsu"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Everything here is plain HTTP; certificates need not be read for each browser."""


@dataclass
class FirstStart:
    """`ended` counts how often the process was told to end."""

    site: Website
    environ: dict[str, str]
    setting_up: SetUp
    ended: list[None] = field(default_factory=list)

    @property
    def code(self) -> str:
        return self.setting_up._pass.code

    @property
    def file(self) -> Path:
        return self.site.settings.home / "kugetsu.toml"

    @contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        """A browser of somebody's, with cookies of its own."""
        options: dict[str, Any] = {"trust_env": False, "timeout": 30, "verify": NO_TLS}
        here = self.site.url.replace("0.0.0.0", "127.0.0.1")
        with httpx.Client(base_url=here, headers=BROWSER, **options) as client:
            yield client

    @contextmanager
    def entered(self) -> Iterator[httpx.Client]:
        """The browser of who has typed the code."""
        with self.browser() as client:
            assert client.post(f"{PAGE}/code", data={"code": self.code}).headers["location"] == PAGE
            yield client


@contextmanager
def gitea_with_bot(folder: Path) -> Iterator[FakeGitea]:
    """A Gitea on which the bot administers one repository, `acme/widgets`."""
    with FakeGitea(folder) as made:
        made.user(BOT)
        made.repo("acme/widgets", files={}, collaborators={BOT: "admin"})
        yield made


@contextmanager
def first_start(home: Path, **environment: str) -> Iterator[FirstStart]:
    """A service with these settings only; without an agent, which else would be asked."""
    given = {
        "HOME": str(home),
        "PORT": "0",
        "PUBLIC_URL": "",
        "SANDBOX": "none",
        "AGENT_COMMAND": "no-such-agent",
        **environment,
    }
    environ = {f"KUGETSU_{name}": value for name, value in given.items() if value}
    environ.setdefault("KUGETSU_PORT", "0")
    ended: list[None] = []
    made: list[SetUp] = []

    def set_up(wiring: Wiring) -> SetUp:
        made.append(SetUp(replace(wiring, environ=environ), end=lambda: ended.append(None)))
        return made[0]

    # Any free port is taken in the tests, which only goes together with an address that is known.
    settings = load({**environ, "KUGETSU_PUBLIC_URL": environ.get("KUGETSU_PUBLIC_URL", "http://127.0.0.1:8420")})
    environ["KUGETSU_PORT"] = "8420"
    with running(settings, set_up=set_up) as site, made[0]:
        yield FirstStart(site, environ, made[0], ended)


def csrf_of(client: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', shown(client))
    assert found
    return found[1]


def shown(client: httpx.Client, path: str = PAGE) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def send(client: httpx.Client, what: str, **fields: str) -> httpx.Response:
    """Press a button of the page."""
    return client.post(f"{PAGE}/{what}", data={"csrf": csrf_of(client), "back": PAGE, **fields})


def look(client: httpx.Client, **typed: str) -> dict[str, str]:
    """What is said while somebody types: the level of each check."""
    answer = client.post(f"{PAGE}/look", json=typed, headers={"X-CSRF-Token": csrf_of(client), "Accept": "*/*"})
    assert answer.status_code == 200, answer.text
    return {finding["check"]: finding["level"] for finding in answer.json()["findings"]}
