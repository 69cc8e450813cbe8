"""What a fork of Kugetsu does for the tests beside its work: it stops where they want it killed, or leaves a safety out.

A point is a git command, or the storing of deliveries, before or after its effect. The processes and the shell scripts
inside the sandbox read in `target` at which point to stop; there they make the file `reached` and wait for `go`, or for
their end. What they pass is noted in `passed`. Requests to Gitea are stopped by the fake Gitea instead.
"""

import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from jobs import git, launching, runner
from jobs.gitea import Gitea
from jobs.gitea_http import GiteaHttp
from jobs.inside import Identity, Inside
from jobs.lane import AgentsLane
from jobs.worker import WorkerProcess
from models import store
from models.tables import Thread

T = TypeVar("T")
_make_context = ssl.create_default_context

TARGET, PASSED, REACHED, GO = "target", "passed", "reached", "go"
POLL: Final = 0.005
PAUSE: Final = 0.2
"""Seconds until a run is tried again, instead of a quarter of a minute."""

# Runs before every script inside the sandbox, where only the place can be written. The n-th of its kind is counted in a
# file, since parts of a pipe and of $(…) are processes of their own.
_SHELL: Final = """\
crash_wait() {{
    : >"$TMPDIR/{reached}"
    while [ ! -e "$TMPDIR/{go}" ]; do sleep 0.01; done
}}
git() {{
    echo "$1" >>"$TMPDIR/{passed}"
    crash_n=$(grep -cx -e "$1" "$TMPDIR/{passed}")
    [ "$1 $crash_n before" != "{at}" ] || crash_wait
    crash_code=0
    command git "$@" || crash_code=$?
    [ "$1 $crash_n after" != "{at}" ] || crash_wait
    return $crash_code
}}
"""


@cache
def one_context() -> ssl.SSLContext:
    """Made once, before anything is forked."""
    return _make_context()


def arm(tricks: Mapping[str, Any]) -> None:
    """Change this process: `probe` is the folder of its points, `without` names safeties to leave out."""
    runner.FIRST_PAUSE_SECONDS = PAUSE
    # Half of what a start costs, and nothing that comes of it differs from one start to the next.
    ssl.create_default_context = one_context  # type: ignore[assignment]
    launching.Launching.agent_name = "stub_agent.py"  # type: ignore[assignment]
    for name in tricks.get("without", ()):
        _WITHOUT[name]()
    if folder := tricks.get("probe"):
        _stop_at_points(Probe(Path(folder)))
        _one_after_the_other()


def _without_sweep() -> None:
    """What others left is never taken up."""
    WorkerProcess._sweep = _nothing  # type: ignore[method-assign]


def _without_look() -> None:
    """Nothing of our own is ever found on Gitea."""
    Gitea.find_comment = _nothing  # type: ignore[method-assign]
    Gitea.open_pull = _nothing  # type: ignore[method-assign]


def _nothing(*_: object) -> None:
    return None


_WITHOUT: Final = {"sweep": _without_sweep, "look": _without_look}


class Probe:
    """The points that this process passes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._counts: Counter[str] = Counter()
        self._repo = ""
        self._lock = threading.Lock()

    def at(self) -> tuple[str, str]:
        """The repository and the point that are wanted now."""
        try:
            wanted = json.loads((self.folder / TARGET).read_text())
        except FileNotFoundError:
            return "", ""
        return wanted["repo"], wanted["at"]

    def around(self, what: str, about: str, act: Callable[[], T]) -> T:
        """Do something that has an effect, if it is `about` the repository; stop before or after it where wanted."""
        repo, at = self.at()
        if not repo or repo not in about:
            return act()
        name = self._passed(repo, what)
        if at == f"{name} before":
            self._wait()
        done = act()
        if at == f"{name} after":
            self._wait()
        return done

    def _passed(self, repo: str, what: str) -> str:
        with self._lock:
            if repo != self._repo:
                self._repo, self._counts = repo, Counter()
            self._counts[what] += 1
            name = f"{what} {self._counts[what]}"
        self.note("command", name, time.monotonic())
        return name

    def note(self, kind: str, name: str, when: float) -> None:
        """Write down what was passed, and which thread did."""
        line = json.dumps({"kind": kind, "name": name, "time": when, "by": threading.current_thread().name})
        with (self.folder / PASSED).open("a") as notes:
            notes.write(line + "\n")

    def _wait(self) -> None:
        (self.folder / REACHED).touch()
        while not (self.folder / GO).exists():
            time.sleep(POLL)

    def note_inside(self, passed: Path, began: float) -> None:
        """Take over what a script inside the sandbox has passed."""
        counts: Counter[str] = Counter()
        for word in passed.read_text().split():
            counts[word] += 1
            self.note("command", f"inside {word} {counts[word]}", began)


def _stop_at_points(probe: Probe) -> None:
    wait, script, accept, exchange = git._wait, Inside._script, store.accept_many, GiteaHttp._exchange

    def wait_at_point(argv: Sequence[str], run: git.Run, streams: Any) -> int | None:
        about = f"{run.cwd} {' '.join(argv)}"
        return probe.around(argv[1], about, lambda: wait(argv, run, streams))

    def script_at_point(self: Inside, text: str, args: Sequence[str], author: Identity | None = None) -> str:
        _, at = probe.at()
        wanted = at.removeprefix("inside ") if at.startswith("inside ") else ""
        shell = _SHELL.format(reached=REACHED, go=GO, passed=PASSED, at=wanted)
        began = time.monotonic()
        done = script(self, shell + text, args, author)
        probe.note_inside(self.place.tmp / PASSED, began)
        return done

    def accept_at_point(db: Any, items: Sequence[Any]) -> list[Any]:
        about = " ".join(item.delivery.body for item in items)
        return probe.around("store", about, lambda: accept(db, items))

    def exchange_noted(self: GiteaHttp, asked: str, request: Any) -> Any:
        probe.note("request", asked, time.monotonic())
        return exchange(self, asked, request)

    git._wait = wait_at_point
    GiteaHttp._exchange = exchange_noted  # type: ignore[method-assign]
    Inside._script = script_at_point  # type: ignore[method-assign, assignment]
    store.accept_many = accept_at_point


def _one_after_the_other() -> None:
    """A job is claimed only once Gitea has been told that it waits: so every run asks the same in the same order."""
    look = AgentsLane.look

    def look_when_told(self: AgentsLane) -> None:
        waits = Thread.select().where(Thread.desk_wanted > Thread.desk_seen)
        while waits.exists(self._wiring.db) and not self._runner.leaving.is_set():
            time.sleep(POLL)
        look(self)

    AgentsLane.look = look_when_told  # type: ignore[method-assign]
