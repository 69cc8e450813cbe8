"""Random torture: people ask, everything is killed again and again for minutes, and then Gitea is looked at.

Webhooks that come while the HTTP side is dead are lost for good; what they told of has to be found nevertheless.

    make torture SECONDS=300 SEED=7

The seed repeats what is asked and what is killed; when exactly a kill hits is up to the machine. The last line is an
object in JSON: the `jobs` and `kills` that there were, what is `lost`, `doubled` or left over (`strays`), `seed` and
`seconds`. Where something is wrong, the folder with all databases and logs is kept.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.crash import looks
from tests.crash.forkserver import ForkServer
from tests.crash.looks import Look
from tests.crash.parts import BOT, EVERYTHING, SECRET, WRITER, Parts
from tests.fakes.gitea import FakeGitea

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
_OPEN_JOBS: Final = "SELECT count(*) FROM job WHERE state != 'done'"
_WANTED: Final = "SELECT count(*) FROM thread WHERE desk_wanted > desk_seen"
_JOBS: Final = "SELECT count(*) FROM job"
_JOBS_OF: Final = (
    "SELECT count(*) FROM job JOIN thread ON thread.id = job.thread_id JOIN repo ON repo.id = thread.repo_id"
    " WHERE repo.name = ? AND thread.issue = ? AND job.outcome = 'completed'"
)


@dataclass
class Asked:
    """An issue and the names of the files that were asked for on it."""

    repo: str
    number: int
    files: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"gitea-{self.repo.replace('/', '-')}-{self.number}"


class Torture:
    """One installation with several workers, its Gitea, and a person who asks."""

    def __init__(self, parts: Parts, chance: random.Random) -> None:
        self.parts, self.gitea, self._chance = parts, parts.gitea, chance
        self.issues: list[Asked] = []
        self.kills = 0
        self._files = 0
        self._written: set[tuple[str, str]] = set()
        for repo in REPOS:
            self.gitea.repo(repo, files={"app.py": "pass\n"}, collaborators={WRITER: "write", BOT: "admin"})
            self.gitea.create_label(repo, "kugetsu/code", exclusive=True)
            self.gitea.hook(repo, f"{parts.url}/webhook", SECRET)

    def run(self, seconds: float) -> None:
        """Ask and kill for so long, then let everything come to its end."""
        until = time.monotonic() + seconds
        self._start()
        while time.monotonic() < until:
            if self.parts.ask(_OPEN_JOBS) < MOST_WAITING:
                self._ask()
            time.sleep(self._chance.uniform(*PAUSES))
            self._kill()
            time.sleep(self._chance.choice((0.0, 0.0, 0.5)))
            self._start()
        until = time.monotonic() + SETTLING_SECONDS
        while not self._is_over() and time.monotonic() < until:
            time.sleep(1.0)
        self.gitea.settle()

    def _start(self) -> None:
        for half in HALVES:
            self.parts.start(half, tireless=True)

    def _kill(self) -> None:
        strokes, weights = zip(*STROKES, strict=True)
        (victims,) = self._chance.choices(strokes, weights)
        self.kills += self.parts.kill(*victims) > 0

    def _ask(self) -> None:
        """A label on a new issue, a comment on a new one, or one more comment on one that is there."""
        self._files += 1
        name, how = f"notes/{self._files}.txt", self._chance.choice(("label", "comment", "again", "again"))
        wish = f"stub: sleep {self._chance.uniform(0, 2):.1f}\nstub: write {name} done"
        going_on = [issue for issue in self.issues if len(issue.files) < MOST_ASKS_AN_ISSUE]
        if how == "again" and going_on:
            issue = self._chance.choice(going_on)
        else:
            repo = self._chance.choice(REPOS)
            body = wish if how == "label" else "Please see below."
            issue = Asked(repo, self.gitea.open_issue(repo, WRITER, f"Write {name}", body).number)
            self.issues.append(issue)
        issue.files.append(name)
        if how == "label":
            self.gitea.label(issue.repo, issue.number, "kugetsu/code", WRITER)
        else:
            self.gitea.comment(issue.repo, issue.number, f"/kugetsu\n{wish}", WRITER)

    def _is_over(self) -> bool:
        """What no webhook told of has been found, too, and all is done."""
        missing = [(issue, name) for issue in self.issues for name in issue.files if not self._is_written(issue, name)]
        waiting = self.parts.ask(_OPEN_JOBS) + self.parts.ask(_WANTED)
        return not missing and not waiting and not self.gitea.forge.webhooks.pending()

    def _is_written(self, issue: Asked, name: str) -> bool:
        if (issue.repo, name) not in self._written:
            if self.gitea.file_at(issue.repo, f"kugetsu/issue-{issue.number}", name) != "done":
                return False
            self._written.add((issue.repo, name))
        return True

    def look(self) -> Look:
        """Whether all is as it should be."""
        look = looks.at_home(self.parts, [issue.place for issue in self.issues], workers=len(WORKERS))
        for issue in self.issues:
            jobs = self.parts.ask(_JOBS_OF, issue.repo, issue.number)
            look += looks.at_issue(self.gitea, issue.repo, issue.number, jobs=jobs, commits=len(issue.files))
            missing = [name for name in issue.files if not self._is_written(issue, name)]
            look.lost += [f"{issue.repo}#{issue.number}: {name} was not written" for name in missing]
        return look

    def jobs(self) -> int:
        """How many there were."""
        return self.parts.ask(_JOBS)


def torture(seconds: float, seed: int, folder: Path) -> dict[str, float]:
    """The whole of it; gives the counts, and prints what is wrong."""
    settings = {"MAX_CONCURRENT_AGENTS": str(AGENTS), "MAX_ATTEMPTS": "1000", "RECONCILE_INTERVAL": "2s"}
    with FakeGitea(folder / "gitea") as gitea, ForkServer() as forks:
        parts = Parts(folder / "kugetsu", gitea, forks, **settings)
        try:
            one = Torture(parts, random.Random(seed))  # noqa: S311 - a seed repeats it
            one.run(seconds)
            look, jobs = one.look(), one.jobs()
        finally:
            parts.stop()
    print(look)
    found = {"lost": len(look.lost), "doubled": len(look.doubled), "strays": len(look.strays)}
    return {"jobs": jobs, "kills": one.kills, **found, "seed": seed, "seconds": seconds}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 only if nothing was lost, doubled or left over."""
    parser = argparse.ArgumentParser(description="Kill Kugetsu at random, and look what comes of it.")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    given = parser.parse_args(argv)
    print(f"seed {given.seed}, {given.seconds:g} s", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="kugetsu-torture-"))
    counts = torture(given.seconds, given.seed, folder)
    wrong = any(counts[kind] for kind in ("lost", "doubled", "strays"))
    if wrong:
        print(f"all of it is kept in {folder}")
    else:
        shutil.rmtree(folder)
    print(json.dumps(counts))
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
