"""A world for each test: a Gitea, Kugetsu, and a stub agent."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobs import desk, servers, settling
from tests.conftest import fake_or_real, with_real
from tests.fakes.gitea import FakeGitea
from tests.forge_protocol import AnyGitea
from tests.world import World

MakeWorld = Callable[..., World]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "gitea" in metafunc.fixturenames:
        metafunc.parametrize("gitea", with_real(["fake"], metafunc.fixturenames), indirect=True)


@pytest.fixture
def gitea(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyGitea]:
    with fake_or_real(request, tmp_path / "gitea") as made:
        yield made


@pytest.fixture
def fake(gitea: AnyGitea) -> FakeGitea:
    """The Gitea of the test, for trouble that no real one makes on demand: the test then runs on the fake only."""
    assert isinstance(gitea, FakeGitea)
    return gitea


@pytest.fixture
def make_world(tmp_path: Path, gitea: AnyGitea) -> Iterator[MakeWorld]:
    """Makes a running world; keyword arguments are settings without their prefix."""
    with ExitStack() as stack:

        def make(**settings: str) -> World:
            return stack.enter_context(World(tmp_path, gitea, **settings))

        yield make


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pauses as ever, a hundred times shorter."""
    for module in (desk, servers, settling):
        for name in ("FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS", "LONGEST_OUTAGE_PAUSE_SECONDS"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, min(getattr(module, name) / 100, 0.02))


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()
