"""A run that is told to end along with its keeper, as when a machine goes down: no attempt that failed."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jobs import processes
from jobs.keeper import SHUTDOWN
from tests.unit.runs import World, world


@pytest.fixture(params=["none", "bwrap"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, request.param)


@pytest.mark.parametrize("first", ["keeper", "agent"])
def test_an_agent_that_is_told_to_end_at_the_same_moment_was_shut_down(here: World, first: str) -> None:
    spec = here.start("echo hi; sleep MARKER")
    here.wait_for_sleeper()
    keeper = here.keeper_of(spec)
    agents = list(processes.descendants(keeper))
    for pid in [keeper, *agents] if first == "keeper" else [*agents, keeper]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    result = here.end_of(spec)
    assert (result.ended, result.reason) == ("stopped", SHUTDOWN), result


def test_an_agent_that_ends_itself_by_that_signal_was_not(here: World) -> None:
    result = here.run("kill -TERM $$")
    assert (result.ended, result.signal or (result.code or 0) - 128) == ("exited", signal.SIGTERM)
