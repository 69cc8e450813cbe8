"""The crash matrix: `kill -9` at every point of the way from a label to the closing comment.

Every request to Gitea and every git command of the golden path, before and after its effect, times every part that can
be killed, is some 600 cases of a second or more: `make matrix` runs them all. Here runs what a kill can tell apart:

- Of points in a row between which nothing was stored, in the tables, on the disk or on Gitea, the first: a process that
  is killed leaves only what is stored. That leaves out most of what only reads.
- The worker alone before and after each write to Gitea, pushes included; all parts at one stroke after each. A kill
  within git's own steps is held here to the folders alone, by tests/unit/test_workspace_killed.py.
- Keeper and agent after each write to Gitea while one lives. The web half where a webhook has been stored: it has no
  other part in the path, and what it did not store is found by reconciliation, which has tests of its own.

Of the webhooks only the label's own counts: those that tell of what the bot itself has done come in any order.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.crash.golden import Point, distinct
from tests.crash.matrix import Case, Matrix

FULL: Final = os.environ.get("CRASH_MATRIX") == "full"
PATIENCE_OF_CONTROLS: Final = 4.0
UNSWEPT: Final = {"clone #1", "index-pack #1"}
"""Where a job runs that only the sweep takes from the dead worker."""
COMMENT: Final = "POST /repos/{repo}/issues/N/comments"

pytestmark = pytest.mark.timeout(0 if FULL else 900)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where that can be had: no process that is killed takes a page of the system's cache along."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def points(folder: Path) -> list[Point]:
    """Every point of one undisturbed run."""
    passed = Matrix(folder / "record").record()
    return [point for point in passed if point.step.name != "store" or point.step.number == 1]


def cases(points: Sequence[Point], victim: str) -> list[Case]:
    """Where this victim is killed."""
    if victim in {"keeper", "agent"}:
        points = [point for point in points if point.step.agent]
    chosen = points if FULL else _TELLING[victim](points)
    return [Case(point, victim) for point in chosen]


def _for_worker(points: Sequence[Point]) -> list[Point]:
    return [point for point in distinct(points) if point.step.writes]


def _for_all(points: Sequence[Point]) -> list[Point]:
    return [point for point in _for_worker(points) if point.when == "after"]


def _for_agent(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if point.when == "after" and point.step.writes]


def _for_web(points: Sequence[Point]) -> list[Point]:
    return [point for point in points if point.step.name == "store" and point.when == "after"]


_TELLING: Final = {
    "worker": _for_worker,
    "all": _for_all,
    "keeper": _for_agent,
    "agent": _for_agent,
    "web": _for_web,
}


@pytest.mark.parametrize("victim", ["worker", "all", "keeper", "agent", "web"])
def test_all_is_well_after_a_kill_at_any_point(
    folder: Path, points: list[Point], victim: str, record_property: Callable[[str, object], None]
) -> None:
    results = Matrix(folder / victim).run(cases(points, victim))
    wrong = [f"{result.case}:\n{result.problem}" for result in results if result.problem]
    record_property("result", f"{len(results)} of {len(points)} points, {len(results) - len(wrong)} right")
    assert results
    assert not wrong, "\n\n".join(wrong)


def test_the_matrix_sees_it_when_nobody_sweeps(folder: Path, points: list[Point]) -> None:
    asked = [Case(point, "worker") for point in points if point.when == "after" and str(point.step) in UNSWEPT]
    without = Matrix(folder / "unswept", patience=PATIENCE_OF_CONTROLS, without=["sweep"])
    results = without.run(asked)
    assert len(results) == len(UNSWEPT)
    told = f"waited {PATIENCE_OF_CONTROLS:g} s for all to be told"
    assert all(told in result.problem for result in results), results


def test_the_matrix_sees_it_when_nobody_looks_before_writing(folder: Path, points: list[Point]) -> None:
    written = [point for point in points if point.when == "after" and point.step.name == COMMENT]
    blind = Matrix(folder / "blind", without=["look"])
    results = blind.run([Case(point, "worker") for point in written])
    assert len(results) == 2
    assert all("doubled" in result.problem for result in results), results
