"""No webhook at all: what is asked by label and by comment is found by looking, with the interval as it is.

Then the webhook is switched on, and everything that it has missed is sent after all.

    make missed

The last line is an object in JSON: the seconds from an ask until its job started, of the `slowest`; how many were
`late`, since that is more than an interval; the webhooks that were `resent`; the `asks`, and the `runs` of an agent;
what is `lost`, `doubled` or left over (`strays`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests.crash.parts import POLL, Parts
from tests.crash.people import Asked, People
from tests.crash.showing import counted, installation, show
from tests.fakes import stub

REPO: Final = "acme/widgets"
ASKS: Final = 20
INTERVAL: Final = 30.0
"""Seconds between two looks at a repository; the setting's default."""

SPREAD: Final = 2
"""For so many intervals people ask: an ask comes soon after a look, or soon before one."""

PATIENCE: Final = 10
"""After so many intervals an ask counts as lost."""

_STARTED: Final = (
    "SELECT cast(coalesce(min(started_at), 0) * 1000 AS int) FROM job JOIN thread ON thread.id = job.thread_id"
    " WHERE thread.issue = ?"
)
_LOOKS: Final = "SELECT count(*) FROM watch WHERE looked_at > 0"


class Missed:
    """One installation, whose Gitea tells it nothing."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._gitea = parts, parts.gitea
        self._people = People(parts, REPO)
        self._asked: list[tuple[Asked, float]] = []

    def run(self, asks: int, interval: float) -> dict[str, float]:
        """The whole of it; gives the counts, and prints what is wrong."""
        self._parts.start("serve")
        self._parts.wait_for(lambda: self._parts.ask(_LOOKS), "a first look at the repository")
        with self._gitea.webhooks_lost():
            self._ask(asks, SPREAD * interval)
            self._wait(PATIENCE * interval)
        missed = list(self._gitea.deliveries)
        for delivery in missed:
            self._gitea.redeliver(delivery)
        self._gitea.settle()
        self._wait(PATIENCE * interval)
        waits = [self._parts.ask(_STARTED, issue.number) / 1000 - at for issue, at in self._asked]
        late = sum(wait > interval for wait in waits)
        return {"slowest": round(max(waits), 1), "late": late, "resent": len(missed), **self._counts(asks)}

    def _ask(self, asks: int, seconds: float) -> None:
        """By label and by comment in turn, for so many seconds."""
        began = time.monotonic()
        for number in range(asks):
            time.sleep(max(0.0, began + number * seconds / asks - time.monotonic()))
            ask = self._people.comment if number % 2 else self._people.label
            self._asked.append((ask(REPO), time.time()))

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._people.is_over() and time.monotonic() < until:
            time.sleep(POLL)

    def _counts(self, asks: int) -> dict[str, float]:
        runs = len(stub.runs_in((self._parts.home / "worktrees").glob("*/home")))
        found = counted(self._people.look())
        return {"asks": asks, "runs": runs, **found, "doubled": found["doubled"] + max(0, runs - asks)}


def missed(asks: int, interval: float, folder: Path) -> dict[str, float]:
    """So many asks, with looks that far apart in seconds."""
    settings = {"WEBHOOKS": "off", "MAX_CONCURRENT_AGENTS": str(asks), "RECONCILE_INTERVAL": f"{interval:g}s"}
    with installation(folder, **settings) as parts:
        return Missed(parts).run(asks, interval)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 only if nothing was lost, doubled or left over."""
    argparse.ArgumentParser(description="Ask without a webhook, and look what comes of it.").parse_args(argv)
    print(f"{ASKS} asks, an interval of {INTERVAL:g} s, no webhook", flush=True)
    return show("missed", partial(missed, ASKS, INTERVAL))


if __name__ == "__main__":
    sys.exit(main())
