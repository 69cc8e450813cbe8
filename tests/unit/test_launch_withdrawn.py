"""A launch whose worker died is taken back or taken over, never both."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from jobs import agent, keeper
from tests.unit.runs import World, world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, "none")


def write_launch(here: World) -> Path:
    """What a worker leaves that is killed just before it starts the keeper."""
    spec = here.spec("echo hello")
    for folder in (spec.run_dir, spec.lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    (spec.run_dir / keeper.PROMPT).write_text("the prompt")
    (spec.run_dir / keeper.SPEC).write_bytes(msgspec.json.encode(agent._keeper_spec(spec)))
    return spec.run_dir


def test_a_keeper_that_comes_too_late_starts_nothing(here: World) -> None:
    run_dir = write_launch(here)
    agent.withdraw(run_dir)
    assert agent._start_keeper(run_dir) not in {keeper.READY, keeper.LOCKED}
    assert sorted(path.name for path in run_dir.iterdir()) == ["keeper.log", "prompt.txt"]


def test_a_launch_that_is_withdrawn_while_its_keeper_takes_the_lock_starts_nothing(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir, taken, take_lock = write_launch(here), list[int](), keeper.take_lock

    def take_lock_meanwhile(path: Path) -> int | None:
        taken.append(take_lock(path) or 0)
        agent.withdraw(run_dir)
        return taken[0]

    monkeypatch.setattr(keeper, "take_lock", take_lock_meanwhile)
    with pytest.raises(FileNotFoundError):
        keeper.run(run_dir / keeper.SPEC)
    os.close(taken[0])
    assert not (run_dir / keeper.EVENTS).exists()


def test_a_run_that_has_begun_is_not_withdrawn(here: World) -> None:
    spec = here.start("echo hello")
    agent.withdraw(spec.run_dir)
    assert here.end_of(spec).code == 0


def test_what_was_half_written_is_removed(here: World) -> None:
    run_dir = write_launch(here)
    (run_dir / "result.json.draft").write_text("{")
    agent.tidy(run_dir)
    assert [path.name for path in run_dir.iterdir()] == [keeper.PROMPT]
