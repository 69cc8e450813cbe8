"""An outage of Gitea in the middle of ten jobs: `kugetsu serve` as it is, none of its pauses made shorter.

Five agents run and end while nobody can be told, five jobs wait whose repository cannot be read; somebody asks for more
as soon as Gitea is back.

    make outage SECONDS=300

The last line is an object in JSON: the `jobs` that there were, how many were `told`, what is `doubled`, `lost` or left
over (`strays`), how often an agent was started again or lost (`attempts`), the seconds of the `outage`, and those from
Gitea's return until the last was told (`seconds`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests.crash import looks
from tests.crash.parts import POLL, Parts
from tests.crash.people import Asked, People
from tests.crash.showing import counted, installation, show

REPO: Final = "acme/widgets"
RUNNING = WAITING = 5
SETTLING_SECONDS: Final = 600.0

_BEGUN: Final = (
    "SELECT count(*) FROM job JOIN thread ON thread.id = thread_id WHERE state = 'running' AND session <> ''"
)
_QUEUED: Final = "SELECT count(*) FROM job WHERE state = 'queued'"
_ATTEMPTS: Final = "SELECT coalesce(sum(attempt + crashes), 0) FROM job"


class Outage:
    """One installation, and its Gitea, which goes and comes back."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._gitea = parts, parts.gitea
        self._people = People(parts, REPO)

    def run(self, seconds: float) -> dict[str, float]:
        """The whole of it; gives the counts, and prints what is wrong."""
        self._parts.start("serve")
        running = self._begin()
        self._gitea.down()
        for issue in running:
            time.sleep(seconds / (RUNNING + 1))
            (self._parts.home / "worktrees" / issue.place / "tmp" / "go").touch()
        time.sleep(seconds / (RUNNING + 1))
        self._gitea.up()
        back = time.monotonic()
        self._people.say_more(running[0])
        while not self._people.is_over() and time.monotonic() < back + SETTLING_SECONDS:
            time.sleep(POLL)
        took = round(time.monotonic() - back, 1)
        self._gitea.settle()
        counts = {"jobs": self._people.jobs(), "told": self._told(), **counted(self._people.look())}
        return {**counts, "attempts": self._parts.ask(_ATTEMPTS), "outage": seconds, "seconds": took}

    def _begin(self) -> list[Asked]:
        """All ten are asked for, and have been told how they stand."""
        running = [self._people.label(REPO, "stub: wait go") for _ in range(RUNNING)]
        self._parts.wait_for(lambda: self._parts.ask(_BEGUN) == RUNNING, f"{RUNNING} agents to begin")
        for _ in range(WAITING):
            self._people.label(REPO)
        self._parts.wait_for(lambda: self._parts.ask(_QUEUED) == WAITING, f"{WAITING} jobs to wait")
        self._parts.wait_for(self._people.are_told, "all of them to be told how they stand")
        return running

    def _told(self) -> int:
        """How many jobs have their closing comment."""
        return sum(looks.told_at(self._gitea, issue.repo, issue.number) for issue in self._people.issues)


def outage(seconds: float, folder: Path) -> dict[str, float]:
    """Ten jobs, and one more, with an outage of so many seconds."""
    with installation(folder, MAX_CONCURRENT_AGENTS=str(RUNNING)) as parts:
        return Outage(parts).run(seconds)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 only if nothing was lost, doubled or left over."""
    parser = argparse.ArgumentParser(
        description="Take Gitea away in the middle of ten jobs, and look what comes of it."
    )
    parser.add_argument("--seconds", type=float, default=300.0)
    given = parser.parse_args(argv)
    print(f"{RUNNING} agents run, {WAITING} jobs wait, {given.seconds:g} s without Gitea", flush=True)
    return show("outage", partial(outage, given.seconds))


if __name__ == "__main__":
    sys.exit(main())
