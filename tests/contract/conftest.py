"""The client and the Gitea it speaks to: a real one where there is one, and the fake in each dialect, every request
to which is held against the API descriptions.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from jobs.gitea import Gitea
from tests.conftest import GITEA_BIN, with_real
from tests.contract.openapi import every, load_checkers
from tests.fakes.gitea import FakeGitea, OnExchange
from tests.forge_protocol import AnyGitea
from tests.real.gitea import RealGitea

# They compare with a real Gitea.
collect_ignore = [] if GITEA_BIN else ["test_fake_is_like_real.py", "test_what_pages_hide.py"]
REPO = "acme/widgets"
BOT = "kugetsu"
FAKES = [
    pytest.param(("gitea", "1.27.0"), id="gitea-1.27"),
    pytest.param(("gitea", "1.22.6"), id="gitea-1.22"),
    pytest.param(("forgejo", None), id="forgejo"),
]


@pytest.fixture(scope="session")
def described() -> OnExchange:
    """Says what is wrong with an exchange, going by the official descriptions, where they are at hand."""
    return every(load_checkers())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "forge" in metafunc.fixturenames:
        metafunc.parametrize("forge", with_real(FAKES, metafunc.fixturenames), indirect=True)


@pytest.fixture
def forge(request: pytest.FixtureRequest, tmp_path: Path, described: OnExchange) -> Iterator[AnyGitea]:
    with ExitStack() as stack:
        server: AnyGitea
        if request.param == "real":
            server = stack.enter_context(RealGitea(request.getfixturevalue("real_server")))
        else:
            flavour, version = request.param
            fake = FakeGitea(tmp_path / "gitea", flavour=flavour, version=version, on_exchange=described)
            server = stack.enter_context(fake)
        server.repo(REPO, files={"app.py": "print()\n"}, collaborators={BOT: "admin", "ada": "write", "rita": "read"})
        yield server
        assert server.unexpected == []


@pytest.fixture
def fake(forge: AnyGitea) -> FakeGitea:
    """The Gitea of the test, for trouble that no real one makes on demand: the test then runs on the fake only."""
    assert isinstance(forge, FakeGitea)
    return forge


@pytest.fixture
def client(forge: AnyGitea) -> Iterator[Gitea]:
    with Gitea(forge.url, forge.token_for(BOT)) as gitea:
        yield gitea


@pytest.fixture
def sent(client: Gitea) -> list[str]:
    """What the client asks that is not a GET, as "METHOD path"."""
    seen: list[str] = []

    def note(request: httpx.Request) -> None:
        if request.method != "GET":
            seen.append(f"{request.method} {request.url.path}")

    client._client.event_hooks = {"request": [note]}
    return seen
