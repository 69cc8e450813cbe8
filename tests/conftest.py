"""Which Gitea the tests run on: the fake always, a real one too where GITEA_BIN names its binary. And a git server."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.git_remote import GitRemote
from tests.fakes.gitea import FakeGitea
from tests.fakes.workspaces import FILES, REPO, Thread
from tests.forge_protocol import AnyGitea
from tests.real.gitea import RealGitea
from tests.real.server import GiteaServer

GITEA_BIN = os.environ.get("GITEA_BIN", "")
UNIT = Path(__file__).parent / "unit"


def with_real(flavours: Collection[Any], fixtures: Collection[str]) -> list[Any]:
    """The flavours, and the real server where there is one. A test that takes `fake` runs on fakes only.

    `fixtures` are the names of the fixtures that the test takes.
    """
    return [*flavours, *(["real"] if GITEA_BIN and "fake" not in fixtures else [])]


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GiteaServer]:
    """A real Gitea, started by the first test that asks for it: one for each process that runs tests."""
    with GiteaServer(Path(GITEA_BIN), tmp_path_factory.mktemp("real") / "gitea") as server:
        yield server


@contextmanager
def fake_or_real(request: pytest.FixtureRequest, folder: Path) -> Iterator[AnyGitea]:
    """The Gitea that a parameter out of `with_real(["fake"], …)` names; the fake keeps what it has in `folder`."""
    made = RealGitea(request.getfixturevalue("real_server")) if request.param == "real" else FakeGitea(folder)
    with made as gitea:
        yield gitea


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[GitRemote]:
    """A server with one repository, over HTTP."""
    with GitRemote(tmp_path / "server") as server:
        server.create(REPO, FILES)
        yield server


@pytest.fixture
def thread(remote: GitRemote, tmp_path: Path) -> Thread:
    """A conversation about it, whose place is not made yet."""
    return Thread(remote, tmp_path / "home")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the tests that reckon among those that mostly wait for processes: so the processors have something to do
    all the time, and are not fought for in the end. Those of a file stay together, for what they share.
    """
    reckon = [item for item in items if item.path.is_relative_to(UNIT)]
    wait = [item for item in items if not item.path.is_relative_to(UNIT)]
    places: dict[Path, float] = {}
    for half in (wait, reckon):
        for number, item in enumerate(half):
            places.setdefault(item.path, number / len(half))
    items.sort(key=lambda item: places[item.path])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured or counted: they say it with `record_property("result", …)`."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for value in [value for name, value in report.user_properties if name == "result"]:
                terminalreporter.write_line(f"{report.nodeid}: {value}")
