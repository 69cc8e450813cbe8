"""A world whose worker is a process of its own, so that it can be killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.gitea import FakeGitea
from tests.world import World


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeGitea]:
    with FakeGitea(tmp_path / "gitea") as gitea:
        yield gitea


@pytest.fixture
def world(tmp_path: Path, fake: FakeGitea) -> Iterator[World]:
    with World(tmp_path, fake) as world:
        world.halves.stop_worker()
        world.halves.start_worker_process()
        yield world
