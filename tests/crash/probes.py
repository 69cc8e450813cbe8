"""What a fork of Kugetsu does for the tests beside its work: it stops where they want it killed, or lacks a safety.

A point is a git command, or the storing of deliveries, before or after its effect. The processes and the shell scripts
inside the sandbox read in `target` at which point to stop; there they make the file `reached` and wait for `go`, or for
their end. What they pass is noted in `passed`. Requests to Gitea are stopped by the fake Gitea instead.
"""

import json
import os
import sqlite3
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from jobs import desk, git, lane, launching, leases, runner, servers, settling, worker
from jobs.gitea import Gitea
from jobs.gitea_http import GiteaHttp
from jobs.hook_care import HookCare
from jobs.inside import Identity, Inside
from jobs.lane import AgentsLane
from jobs.reconcile import Reconciler
from jobs.servers import Forges
from jobs.worker import WorkerProcess
from models import opening, store
from models.tables import Thread

T = TypeVar("T")
_make_context = ssl.create_default_context

TARGET, PASSED, REACHED, GO = "target", "passed", "reached", "go"
POLL: Final = 0.005
BRIEF: Final = 6.0
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
    """Change this process: `probe` is the folder of its points, `without` names safeties to leave out, `migrations` is
    the folder of another version's, one that is `tireless` never gives a job up, nor puts it off for long, `checks` is
    every how many seconds it asks how the server is, and one that is `brief` has leases of seconds.
    """
    settling.FIRST_PAUSE_SECONDS = PAUSE
    # Half of what a start costs, and nothing that comes of it differs from one start to the next.
    ssl.create_default_context = one_context  # type: ignore[assignment]
    launching.Launching.agent_name = "stub_agent.py"  # type: ignore[assignment]
    for name in tricks.get("without", ()):
        _WITHOUT[name]()
    if folder := tricks.get("migrations"):
        opening.MIGRATIONS = Path(folder)
    if tricks.get("tireless"):
        runner.MAX_CRASHES = 1000
        settling.LONGEST_PAUSE_SECONDS = 2.0
    if seconds := tricks.get("checks"):
        servers.CHECK_SECONDS = seconds
    if tricks.get("brief"):
        desk.LEASE_SECONDS = lane.LEASE_SECONDS = leases.LEASE_SECONDS = BRIEF
        leases.RENEW_SECONDS, worker.SWEEP_SECONDS = BRIEF / 12, BRIEF / 2
    if folder := tricks.get("probe"):
        _stop_at_points(Probe(Path(folder)))
        _one_after_the_other()


def _without_sweep() -> None:
    """What others left is never taken up."""
    WorkerProcess._sweep = _nothing  # type: ignore[method-assign, assignment]


def _without_look() -> None:
    """No comment of our own is ever found on Gitea. Of pull requests Gitea itself takes no second one."""
    Gitea.find_comment = _nothing  # type: ignore[method-assign, assignment]


def _no(*_: object) -> bool:
    return False


def _nothing(*_: object) -> None:
    return None


_WITHOUT: Final = {"sweep": _without_sweep, "look": _without_look}


class Probe:
    """The points that this process passes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._counts: Counter[str] = Counter()
        self._repo = ""
        self._database: sqlite3.Connection | None = None
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
        name = self._numbered(repo, what)
        for when in ("before", "after"):
            if when == "after":
                done = act()
            if not at:
                self.note("command", name, when)
            elif at == f"{name} {when}":
                self._wait()
        return done

    def around_request(self, asked: str, act: Callable[[], T]) -> T:
        """Send a request to Gitea, which stops it where it is wanted."""
        if self.at()[1]:
            return act()
        self.note("request", asked, "before")
        done = act()
        self.note("request", asked, "after")
        return done

    def _numbered(self, repo: str, what: str) -> str:
        with self._lock:
            if repo != self._repo:
                self._repo, self._counts = repo, Counter()
            self._counts[what] += 1
            return f"{what} {self._counts[what]}"

    def _wait(self) -> None:
        (self.folder / REACHED).touch()
        while not (self.folder / GO).exists():
            time.sleep(POLL)

    def note(self, kind: str, name: str, when: str, mark: str | None = None) -> None:
        """Write down what was passed, which thread did, and what was stored by then."""
        mark = self._stored() if mark is None else mark
        by = threading.current_thread().name
        line = {"kind": kind, "name": name, "when": when, "time": time.monotonic(), "by": by, "mark": mark}
        with self._lock, (self.folder / PASSED).open("a") as notes:
            notes.write(json.dumps(line) + "\n")

    def note_inside(self, passed: Path) -> None:
        """Take over what a script inside the sandbox has passed: nobody looked at what was stored meanwhile."""
        counts: Counter[str] = Counter()
        for word in passed.read_text().split():
            counts[word] += 1
            for when in ("before", "after"):
                self.note("command", f"inside {word} {counts[word]}", when, mark="")

    def _stored(self) -> str:
        """A mark of all that outlives this process here: it changes with every commit and every file."""
        with self._lock:
            if self._database is None:
                path = Path(os.environ["KUGETSU_HOME"]) / "kugetsu.db"
                self._database = sqlite3.connect(path, check_same_thread=False)
            version = self._database.execute("PRAGMA data_version").fetchone()[0]
        return f"{version} {hash(tuple(self._files()))}"

    def _files(self) -> Iterator[tuple[str, int, int]]:
        for name in ("worktrees", "repos", "jobs"):
            for folder, _, files in os.walk(Path(os.environ["KUGETSU_HOME"]) / name):
                for path in (Path(folder), *(Path(folder) / file for file in files if file != PASSED)):
                    with suppress(FileNotFoundError):
                        yield str(path), path.stat().st_mtime_ns, path.stat().st_size


def _stop_at_points(probe: Probe) -> None:
    wait, script, accept, request = git._wait, Inside._script, store.accept_many, GiteaHttp.request

    def wait_at_point(argv: Sequence[str], run: git.Run, streams: Any) -> int | None:
        about = f"{run.cwd} {' '.join(argv)}"
        return probe.around(argv[1], about, lambda: wait(argv, run, streams))

    def script_at_point(self: Inside, text: str, args: Sequence[str], author: Identity | None = None) -> str:
        _, at = probe.at()
        wanted = at.removeprefix("inside ") if at.startswith("inside ") else ""
        shell = _SHELL.format(reached=REACHED, go=GO, passed=PASSED, at=wanted)
        done = script(self, shell + text, args, author)
        if not at:
            probe.note_inside(self.place.tmp / PASSED)
        return done

    def accept_at_point(db: Any, items: Sequence[Any]) -> list[Any]:
        about = " ".join(item.delivery.body for item in items)
        return probe.around("store", about, lambda: accept(db, items))

    def request_noted(self: GiteaHttp, method: str, path: str, **more: Any) -> Any:
        return probe.around_request(f"{method} {path}", lambda: request(self, method, path, **more))

    git._wait = wait_at_point
    GiteaHttp.request = request_noted  # type: ignore[method-assign]
    Inside._script = script_at_point  # type: ignore[method-assign, assignment]
    store.accept_many = accept_at_point


def _one_after_the_other() -> None:
    """Every run asks the same in the same order: a job is claimed only once Gitea has been told that it waits, and
    nothing is looked after beside.
    """
    for part, name in ((Reconciler, "due"), (Reconciler, "look"), (HookCare, "any_due"), (HookCare, "look")):
        setattr(part, name, _no)
    Forges.check_due = _nothing  # type: ignore[method-assign, assignment]
    look = AgentsLane.look

    def look_when_told(self: AgentsLane) -> None:
        waits = Thread.select().where(Thread.desk_wanted > Thread.desk_seen)
        while waits.exists(self._wiring.db) and not self._runner.leaving.is_set():
            time.sleep(POLL)
        look(self)

    AgentsLane.look = look_when_told  # type: ignore[method-assign]
