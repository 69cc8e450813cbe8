"""The same worlds as in `tests/flows`; and a conversation in which git runs in the sandbox."""

from pathlib import Path

import pytest

from jobs.sandbox import Sandbox, choose
from tests.fakes.git_remote import GitRemote
from tests.fakes.workspaces import Thread, boxed
from tests.flows.conftest import fake, gitea, make_world, pytest_generate_tests, world

__all__ = ["fake", "gitea", "make_world", "pytest_generate_tests", "world"]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return choose("bwrap", tmp_path_factory.mktemp("service"))


@pytest.fixture
def thread(remote: GitRemote, tmp_path: Path, sandbox: Sandbox) -> Thread:
    """A conversation whose place is open."""
    thread = Thread(remote, tmp_path / "home", run_inside=boxed(sandbox))
    thread.open()
    return thread
