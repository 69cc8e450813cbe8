"""The golden path, from a label to the closing comment, and every point of it at which a part may be killed.

A point is a request to Gitea, a git command, or the storing of the webhook, before or after its effect. Which there are
is found out by recording one run. Every run is in a repository of its own, so all begin alike; the agent waits until
Gitea has been told that it runs.
"""

import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tests.crash import looks, probes
from tests.crash.looks import Look
from tests.crash.parts import BOT, HALVES, POLL, SECRET, WRITER, Parts
from tests.fakes.gitea import Delivery, Exchange, Fault
from tests.fakes.gitea.faults import When

REPO: Final = "{repo}"
"""Stands in names for the repository of a run."""

FILES: Final = {"app.py": "def first(items):\n    return items[0]\n"}
LIMIT: Final = 60.0
WHENS: Final[tuple[When, When]] = ("before", "after")


_AGENTS_ALIVE: Final = (
    "SELECT count(*) FROM job JOIN thread ON thread.id = job.thread_id"
    " WHERE job.state = 'running' AND thread.session IS NOT NULL"
)
_DESK_WANTED: Final = "SELECT count(*) FROM thread WHERE desk_wanted > desk_seen"
_JOBS_DONE: Final = (
    "SELECT count(*) FROM job JOIN repo ON repo.id = job.repo_id WHERE job.state = 'done' AND repo.name = ?"
)


class NotReached(Exception):
    """The run ended without having come to the point."""


@dataclass(frozen=True)
class Step:
    """What the golden path does once: `name` says what, without what differs from run to run, `number` that it is the
    how many-th of that name. `agent`: an agent is alive meanwhile.
    """

    name: str
    number: int
    agent: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.name} #{self.number}"

    @property
    def writes(self) -> bool:
        """Whether it changes something on Gitea."""
        return self.is_request and not self.name.startswith("GET ") and not self.name.endswith("git-upload-pack")

    @property
    def is_request(self) -> bool:
        """Whether it is a request to Gitea, which is stopped there; the rest stops by itself."""
        return " /" in self.name


@dataclass(frozen=True)
class Point:
    """A step and the side of its effect."""

    step: Step
    when: When
    mark: str = field(default="", compare=False)
    """Of what was stored here when it was passed; empty where nobody looked."""

    def __str__(self) -> str:
        return f"{self.when} {self.step}"


class Run:
    """One way along the golden path, in a repository of its own."""

    def __init__(self, parts: Parts, number: int) -> None:
        self.parts, self.gitea = parts, parts.gitea
        self._name = f"case{number:05d}"
        self.repo = f"acme/{self._name}"
        self._place = parts.home / "worktrees" / f"gitea-acme-{self._name}-1"
        self._probe = parts.root / "probe"
        self._probe.mkdir(exist_ok=True)
        self._resent: list[Delivery] = []
        self._begun = float("inf")
        """When the agent was let go on."""

    def start(self, **tricks: object) -> None:
        """Have both halves run."""
        for half in HALVES:
            self.parts.start(half, probe=str(self._probe), **tricks)

    def record(self) -> list[Point]:
        """Go along it undisturbed; every point, in order."""
        self._aim("")
        first = len(self.gitea.requests)
        self._begin()
        self._drive(self._told, "the run to be told")
        self.gitea.settle()
        points = self._points(self.gitea.requests[first:])
        self._tidy()
        return points

    def kill_at(self, point: Point, victims: Sequence[str], *, patience: float = LIMIT, **tricks: object) -> Look:
        """Go along it, kill the victims at the point, start them anew, and look at what is there in the end.

        Raises NotReached, and AssertionError where the end does not come within `patience` seconds.
        """
        held = self._hold(point)
        self._begin()
        self._drive(lambda: self._is_reached(held) or self._told(), f"{point} to be reached")
        if not self._is_reached(held):
            raise NotReached(str(point))
        if point.step.agent:
            self._drive(self._agent_lives, "the agent to live")
        self.parts.kill(*victims)
        self._let_go(held, abandoned="worker" in victims)
        self.start(**tricks)
        self._drive(self._told, "all to be told", patience)
        return self._look()

    def _look(self) -> Look:
        self.gitea.settle()
        look = looks.at_issue(self.gitea, self.repo, 1, lines=["fixed"])
        look += looks.at_home(self.parts, [self._place.name])
        self._tidy()
        return look

    def _begin(self) -> None:
        """Somebody puts the label on an issue."""
        self.gitea.repo(self.repo, files=FILES, collaborators={WRITER: "write", BOT: "admin"})
        self.gitea.create_label(self.repo, "kugetsu/code", exclusive=True)
        self.gitea.open_issue(
            self.repo, WRITER, "Crash on empty input", "stub: wait begin\nstub: append app.py fixed\\n"
        )
        self._hook = self.gitea.hook(self.repo, f"{self.parts.url}/webhook", SECRET)
        self._sent = len(self.gitea.deliveries)
        self.gitea.label(self.repo, 1, "kugetsu/code", WRITER)

    def _drive(self, until: Callable[[], bool], what: str, patience: float = LIMIT) -> None:
        """Wait; meanwhile let the agent go once it lives and Gitea has been told so, and send again what got lost."""
        end, begin = time.monotonic() + patience, self._place / "tmp" / "begin"
        while not until():
            self._resend()
            if not begin.exists() and self._agent_lives() and not self._wants_desk():
                begin.touch()
                self._begun = time.monotonic()
            if time.monotonic() > end:
                told = f"{self.gitea.story()}\n{self.parts.logs()}"
                raise AssertionError(f"waited {patience:g} s for {what}\n{told}")
            time.sleep(POLL)

    def _agent_lives(self) -> bool:
        """Whether the agent has begun, and its session is known."""
        return self.parts.ask(_AGENTS_ALIVE) > 0

    def _wants_desk(self) -> bool:
        return self.parts.ask(_DESK_WANTED) > 0

    def _told(self) -> bool:
        return self.parts.ask(_JOBS_DONE, self.repo) > 0 and not self._wants_desk()

    def _aim(self, at: str) -> None:
        for name in (probes.REACHED, probes.GO, probes.PASSED):
            (self._probe / name).unlink(missing_ok=True)
        (self._probe / probes.TARGET).write_text(json.dumps({"repo": self._name, "at": at}))

    def _hold(self, point: Point) -> Fault | None:
        """See to it that whoever comes to the point stops there."""
        step = point.step
        self._aim("" if step.is_request else f"{step.name} {step.number} {point.when}")
        if not step.is_request:
            return None
        return self.gitea.hold(_pattern(step.name, self.repo), when=point.when, skip=step.number - 1)

    def _is_reached(self, held: Fault | None) -> bool:
        if held is not None:
            return held.reached.is_set()
        return any((folder / probes.REACHED).exists() for folder in (self._probe, self._place / "tmp"))

    def _let_go(self, held: Fault | None, *, abandoned: bool) -> None:
        """Who stopped at the point goes on, or else what it was about to do is not done."""
        (self._probe / probes.GO).touch()
        if (self._place / "tmp").is_dir():
            (self._place / "tmp" / probes.GO).touch()
        if held is not None and abandoned:
            held.abandon()
        elif held is not None:
            held.release()

    def _resend(self) -> None:
        """Somebody has the webhooks sent again that did not arrive: Gitea itself sends each but once."""
        for delivery in self.gitea.deliveries[self._sent :]:
            if delivery.hook is self._hook and delivery.finished and not delivery.ok and delivery not in self._resent:
                self._resent.append(delivery)
                self.gitea.redeliver(delivery)

    def _points(self, requests: Sequence[Exchange]) -> list[Point]:
        """Both sides of all that was done, in order."""
        notes = [json.loads(line) for line in (self._probe / probes.PASSED).read_text().splitlines()]
        claimed = min(note["time"] for note in notes if note["by"].startswith("job-"))
        counts: Counter[str] = Counter()
        found: dict[Point, tuple[float, str]] = {}
        for note in notes:
            name, number = self._step(note, counts)
            agent = claimed < note["time"] < self._begun and note["kind"] == "request" and "job-" not in note["by"]
            found.setdefault(Point(Step(name, number, agent), note["when"]), (note["time"], note["mark"]))
        for item in requests:
            name = _named(f"{item.method} {item.path}", self.repo)
            if ".git/" in name:
                counts[name] += 1
                for when in WHENS:
                    found[Point(Step(name, counts[name]), when)] = (item.began, "")
        return [replace(point, mark=mark) for point, (_, mark) in sorted(found.items(), key=lambda item: item[1][0])]

    def _step(self, note: dict[str, str], counts: Counter[str]) -> tuple[str, int]:
        if note["kind"] == "command":
            name, _, number = note["name"].rpartition(" ")
            return name, int(number)
        name = _named(note["name"], self.repo)
        counts[name] += note["when"] == "before"
        return name, counts[name]

    def _tidy(self) -> None:
        """Make room: a look at the disk is a look at this run alone."""
        owner = self.parts.home / "repos" / "gitea" / "acme"
        for path in [*self.parts.home.glob("jobs/*"), *self._place.parent.iterdir(), *owner.iterdir()]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _named(asked: str, repo: str) -> str:
    """A request without what differs from run to run: `GET /repos/REPO/issues/N`."""
    return re.sub(r"\d+", "N", asked.replace("/api/v1", "", 1).replace(repo, REPO))


def _pattern(name: str, repo: str) -> str:
    """What fits all requests of that name in `repo`."""
    method, _, path = name.partition(" ")
    plain = re.escape(path.replace(REPO, "REPO")).replace("REPO", repo)
    return f"{method} (/api/v1)?" + re.sub(r"\bN\b", r"\\d+", plain)


def distinct(points: Sequence[Point]) -> list[Point]:
    """Those that a kill can tell apart: of points in a row between which nothing was stored, here or on Gitea, the
    first. What is killed leaves only what is stored.
    """
    found: list[Point] = []
    last, changed = "", True
    for point in points:
        if changed or not point.mark or point.mark != last:
            found.append(point)
        last, changed = point.mark, point.when == "before" and point.step.writes
    return found
