"""The crash matrix: at every point of the golden path the victims are killed, started anew, and Gitea is looked at."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.crash.forkserver import ForkServer
from tests.crash.golden import LIMIT, NotReached, Point, Run
from tests.crash.looks import Look
from tests.crash.parts import EVERYTHING, HALVES, Parts
from tests.fakes.gitea import FakeGitea

LANES: Final = 3
"""Installations at work at the same time: most of a run is waiting."""
TRIES: Final = 3
"""How often a run may end without having come to its point, which a step of the ticker's more or less can do."""

ALL: Final = (*HALVES, *EVERYTHING)
VICTIMS: Final = {"worker": ("worker",), "web": ("web",), "keeper": ("keeper",), "agent": ("agent",), "all": ALL}


@dataclass(frozen=True)
class Case:
    """Whom to kill, and where."""

    point: Point
    victim: str

    def __str__(self) -> str:
        return f"{self.victim} killed {self.point}"


@dataclass(frozen=True)
class Result:
    """What came of a case; `problem` is empty where all is as it should be."""

    case: Case
    problem: str


class Matrix:
    """Runs cases on `LANES` installations below `root`. `tricks` are for the processes that are started anew."""

    def __init__(self, root: Path, *, patience: float = LIMIT, lanes: int = LANES, **tricks: Any) -> None:
        self._root, self._patience, self._tricks, self._lanes = root, patience, tricks, lanes
        self._number = 0
        self._lock = threading.Lock()

    def record(self) -> list[Point]:
        """The points of the golden path."""
        with ForkServer() as forks, _Lane(self._next_folder(), forks) as lane:
            return lane.record(self._next())

    def run(self, cases: Sequence[Case]) -> list[Result]:
        """Every case, each once; the results in the order of the cases."""
        waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
        for case in cases:
            waiting.put(case)
        found: dict[Case, Result] = {}
        with ForkServer() as forks:
            work = (threading.Thread(target=self._work, args=(forks, waiting, found)) for _ in range(self._lanes))
            threads = list(work)
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return [found[case] for case in cases]

    def _work(self, forks: ForkServer, waiting: queue.SimpleQueue[Case], found: dict[Case, Result]) -> None:
        with ExitStack() as stack:
            lane = stack.enter_context(_Lane(self._next_folder(), forks))
            while (case := _next_of(waiting)) is not None:
                problem = self._try(lane, case)
                found[case] = Result(case, problem)
                if problem:  # what is left of it must not be taken for the next one's
                    lane = stack.enter_context(_Lane(self._next_folder(), forks))

    def _try(self, lane: _Lane, case: Case) -> str:
        for _ in range(TRIES):
            try:
                look = lane.kill(self._next(), case, patience=self._patience, tricks=self._tricks)
            except NotReached:
                continue
            except Exception:  # noqa: BLE001 - one case that goes wrong in whatever way is one that is not right
                return traceback.format_exc()
            return str(look) if look else ""
        return f"{case.point} was not reached"

    def _next(self) -> int:
        with self._lock:
            self._number += 1
            return self._number

    def _next_folder(self) -> Path:
        return self._root / f"lane{self._next():05d}"


class _Lane:
    """One installation and its Gitea, on which one run follows another."""

    def __init__(self, root: Path, forks: ForkServer) -> None:
        self._root, self._forks = root, forks
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._gitea = self._stack.enter_context(FakeGitea(self._root / "gitea"))
        self._parts = Parts(self._root, self._gitea, self._forks)
        self._stack.callback(self._parts.stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def record(self, number: int) -> list[Point]:
        return self._run(number).record()

    def kill(self, number: int, case: Case, *, patience: float, tricks: dict[str, Any]) -> Look:
        """One case. A worker that has seen a run asks Gitea for less in the next: there, a new one begins."""
        if "{repo}" not in case.point.step.name and case.point.step.is_request:
            self._parts.kill("worker")
        return self._run(number).kill_at(case.point, VICTIMS[case.victim], patience=patience, **tricks)

    def _run(self, number: int) -> Run:
        run = Run(self._parts, number)
        run.start()
        return run


def _next_of(waiting: queue.SimpleQueue[Case]) -> Case | None:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None
