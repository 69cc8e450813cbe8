"""Random torture: people ask, everything is killed again and again for minutes, and then Gitea is looked at.

Webhooks that come while the HTTP side is dead are lost for good; what they told of has to be found nevertheless.

    make torture SECONDS=300 SEED=7

The seed repeats what is asked and what is killed; when exactly a kill hits is up to the machine. The last line is an
object in JSON: the `jobs` and `kills` that there were, what is `lost`, `doubled` or left over (`strays`), `seed` and
`seconds`. Where something is wrong, the folder with all databases and logs is kept.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests.crash.parts import EVERYTHING, Parts
from tests.crash.people import People
from tests.crash.showing import counted, installation, show

REPOS: Final = ("acme/widgets", "acme/gadgets", "tools/site")
WORKERS: Final = ("worker1", "worker2", "worker3")
HALVES: Final = ("web", *WORKERS)
AGENTS: Final = 4
MOST_WAITING: Final = 10
"""Jobs that are open at the same time at most: more would only wait."""
MOST_ASKS_AN_ISSUE: Final = 4
PAUSES: Final = (0.1, 1.0)
"""Seconds from one kill to the next, least and most."""
SETTLING_SECONDS: Final = 300.0

# What is killed at one stroke, and how often that is chosen.
STROKES: Final[tuple[tuple[tuple[str, ...], int], ...]] = (
    (("worker1",), 4),
    (("worker2",), 4),
    (("worker3",), 4),
    (("web",), 4),
    (("keeper",), 3),
    (("agent",), 3),
    (WORKERS, 2),
    (HALVES, 2),
    ((*HALVES, *EVERYTHING), 4),
)


class Torture:
    """One installation with several workers, its Gitea, and people who ask."""

    def __init__(self, parts: Parts, chance: random.Random) -> None:
        self.parts, self._chance = parts, chance
        self.people = People(parts, *REPOS)
        self.kills = 0

    def run(self, seconds: float) -> None:
        """Ask and kill for so long, and until something was killed, then let everything come to its end."""
        self._start()
        until = time.monotonic() + seconds
        while time.monotonic() < until or not self.kills:
            if self.people.open_jobs() < MOST_WAITING:
                self._ask()
            time.sleep(self._chance.uniform(*PAUSES))
            self._kill()
            time.sleep(self._chance.choice((0.0, 0.0, 0.5)))
            self._start()
        until = time.monotonic() + SETTLING_SECONDS
        while not self.people.is_over() and time.monotonic() < until:
            time.sleep(1.0)
        self.parts.gitea.settle()

    def _start(self) -> None:
        for half in HALVES:
            self.parts.start(half, tireless=True)

    def _kill(self) -> None:
        strokes, weights = zip(*STROKES, strict=True)
        (victims,) = self._chance.choices(strokes, weights)
        self.kills += self.parts.kill(*victims) > 0

    def _ask(self) -> None:
        """A label on a new issue, a comment on a new one, or one more comment on one that is there."""
        how, first = self._chance.choice(("label", "comment", "again", "again")), self._nap()
        going_on = [issue for issue in self.people.issues if len(issue.files) < MOST_ASKS_AN_ISSUE]
        if how == "again" and going_on:
            self.people.say_more(self._chance.choice(going_on), first)
            return
        ask = self.people.label if how == "label" else self.people.comment
        ask(self._chance.choice(REPOS), first)

    def _nap(self) -> str:
        return f"stub: sleep {self._chance.uniform(0, 2):.1f}"


def torture(seconds: float, seed: int, folder: Path) -> dict[str, float]:
    """The whole of it; gives the counts, and prints what is wrong."""
    settings = {"MAX_CONCURRENT_AGENTS": str(AGENTS), "MAX_ATTEMPTS": "1000", "RECONCILE_INTERVAL": "2s"}
    with installation(folder, **settings) as parts:
        one = Torture(parts, random.Random(seed))  # noqa: S311 - a seed repeats it
        one.run(seconds)
        found = counted(one.people.look(workers=len(WORKERS)))
        return {"jobs": one.people.jobs(), "kills": one.kills, **found, "seed": seed, "seconds": seconds}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 only if nothing was lost, doubled or left over."""
    parser = argparse.ArgumentParser(description="Kill Kugetsu at random, and look what comes of it.")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    given = parser.parse_args(argv)
    print(f"seed {given.seed}, {given.seconds:g} s", flush=True)
    return show("torture", partial(torture, given.seconds, given.seed))


if __name__ == "__main__":
    sys.exit(main())
