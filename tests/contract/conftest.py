"""The client and the fake Gitea it speaks to, in each dialect, every request held against the API descriptions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from jobs.gitea import Gitea
from tests.contract.openapi import every, load_checkers
from tests.fakes.gitea import FakeGitea, OnExchange

REPO = "acme/widgets"
BOT = "kugetsu"
DIALECTS: list[tuple[Literal["gitea", "forgejo"], str | None]] = [
    ("gitea", "1.27.0"),
    ("gitea", "1.22.6"),
    ("forgejo", None),
]


@pytest.fixture(scope="session")
def described() -> OnExchange:
    """Says what is wrong with an exchange, going by the official descriptions, where they are at hand."""
    return every(load_checkers())


@pytest.fixture(params=DIALECTS, ids=["gitea-1.27", "gitea-1.22", "forgejo"])
def forge(request: pytest.FixtureRequest, tmp_path: Path, described: OnExchange) -> Iterator[FakeGitea]:
    flavour, version = request.param
    with FakeGitea(tmp_path / "gitea", flavour=flavour, version=version, on_exchange=described) as server:
        server.repo(REPO, files={"app.py": "print()\n"}, collaborators={BOT: "admin", "ada": "write", "rita": "read"})
        yield server
        assert server.unexpected == []


@pytest.fixture
def client(forge: FakeGitea) -> Iterator[Gitea]:
    with Gitea(forge.url, forge.token_for(BOT)) as gitea:
        yield gitea
