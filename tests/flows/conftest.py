"""A world for each test: a Gitea, Kugetsu, and a stub agent."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes.gitea import FakeGitea
from tests.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes a running world; keyword arguments are settings without their prefix."""
    with ExitStack() as stack:

        def make(**settings: str) -> World:
            gitea = stack.enter_context(FakeGitea(tmp_path / "gitea"))
            return stack.enter_context(World(tmp_path, gitea, **settings))

        yield make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()
