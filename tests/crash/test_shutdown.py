"""A planned end, by whoever runs the machine: quick, it costs no agent its work, and it is no attempt that failed."""

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models import opening
from tests.crash import looks
from tests.crash.forkserver import ForkServer
from tests.crash.parts import BOT, SECRET, WRITER, Parts
from tests.fakes import stub
from tests.fakes.gitea import FakeGitea

STOP_LIMIT = 5.0
"""Seconds within which everything that is told to end has ended, whatever runs."""
REPO = "acme/widgets"
PLACE = "gitea-acme-widgets-1"
RUNNING = "SELECT count(*) FROM job JOIN thread ON thread.id = job.thread_id WHERE state = 'running' AND session <> ''"
TOLD = "SELECT count(*) FROM job WHERE state = 'done'"
COUNTED = "SELECT attempt * 100 + crashes * 10 + run FROM job"

Make = Callable[..., Parts]

LATER = """
def up(migrator, db):
    db.execute_sql("ALTER TABLE job ADD COLUMN mood TEXT NOT NULL DEFAULT 'good'")
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Starts these halves; gives them once the agent of one issue has begun, and waits."""
    with FakeGitea(tmp_path / "gitea") as gitea, ForkServer() as forks:
        parts = Parts(tmp_path / "parts", gitea, forks, MAX_ATTEMPTS="1")

        def made(*halves: str, **tricks: object) -> Parts:
            for half in halves:
                parts.start(half, **tricks)
            gitea.repo(REPO, files={"app.py": "pass\n"}, collaborators={WRITER: "write", BOT: "admin"})
            gitea.create_label(REPO, "kugetsu/code", exclusive=True)
            gitea.hook(REPO, f"{parts.url}/webhook", SECRET)
            gitea.open_issue(REPO, WRITER, "Crash", "stub: wait go\nstub: append app.py fixed\\n")
            gitea.label(REPO, 1, "kugetsu/code", WRITER)
            wait_for_agent(parts, 1)
            return parts

        yield made
        parts.stop()


def wait_for_agent(parts: Parts, number: int) -> None:
    """Until the agent has begun for the how many-th time, and its session is known."""
    parts.wait_for(lambda: len(runs(parts)) >= number and parts.ask(RUNNING), f"the agent to begin {number} times")


def runs(parts: Parts) -> list[stub.StubRun]:
    return stub.runs_in([parts.home / "worktrees" / PLACE / "home"])


def check_done_once(parts: Parts, counted: int) -> None:
    """Let the agent go; `counted` is attempt, crashes and run as three digits."""
    (parts.home / "worktrees" / PLACE / "tmp" / "go").touch()
    parts.wait_for(lambda: parts.ask(TOLD), "the job to be told")
    parts.gitea.settle()
    assert parts.ask(COUNTED) == counted
    assert len({run.session for run in runs(parts)}) == 1
    look = looks.at_issue(parts.gitea, REPO, 1, lines=["fixed"]) + looks.at_home(parts, [PLACE])
    assert not look, str(look)


@pytest.mark.parametrize("halves", [("serve",), ("web", "worker")])
def test_all_that_is_told_to_end_ends_and_the_next_start_takes_the_agent_over(make: Make, halves: list[str]) -> None:
    parts = make(*halves)
    agents = parts.others("agent", "keeper")
    assert max(parts.end(half) for half in halves) < STOP_LIMIT
    assert parts.others("agent", "keeper") == agents, "the agent went with the service"
    for half in halves:
        parts.start(half)
    check_done_once(parts, counted=1)
    assert len(runs(parts)) == 1


def test_where_agents_are_told_to_end_as_well_they_resume_and_it_counts_as_nothing(make: Make) -> None:
    parts = make("web", "worker")
    for number in (2, 3):
        parts.kill("worker", "keeper", number=signal.SIGTERM)
        assert parts.others("agent") == []
        parts.start("worker")
        wait_for_agent(parts, number)
    check_done_once(parts, counted=3)
    assert len(runs(parts)) == 3


def test_a_container_that_is_killed_resumes_in_the_session(make: Make) -> None:
    parts = make("serve")
    parts.kill("serve", "keeper", "agent", "child")
    parts.start("serve")
    wait_for_agent(parts, 2)
    check_done_once(parts, counted=12)


def test_a_new_version_takes_over_what_the_old_one_left_running(make: Make, tmp_path: Path) -> None:
    parts, newer = make("web", "worker"), tmp_path / "newer"
    shutil.copytree(opening.MIGRATIONS, newer)
    (newer / "9999_later.py").write_text(LATER)
    for half in ("web", "worker"):
        parts.end(half)
    for half in ("worker", "web"):
        parts.start(half, migrations=str(newer))
    check_done_once(parts, counted=1)
    assert parts.ask("SELECT count(*) FROM job WHERE mood = 'good'") == 1
    assert len(runs(parts)) == 1


CHECK = "the check of the server"
HANGING = {
    "every request": ".*",
    CHECK: "GET /api/v1/version",
    "a report": "POST /api/v1/repos/acme/widgets/issues/[0-9]+/comments",
    "a clone": "POST /acme/widgets.git/git-upload-pack",
    "a push": "POST /acme/widgets.git/git-receive-pack",
}


SERVE, APART = ("serve",), ("web", "worker")


@pytest.mark.parametrize(
    ("halves", "what"),
    # The check comes once a minute, which only a process of the test's own making does sooner.
    [(halves, what) for halves in (SERVE, APART) for what in HANGING if (halves, what) != (SERVE, CHECK)],
)
def test_what_hangs_keeps_nobody_from_ending(make: Make, halves: list[str], what: str) -> None:
    parts = make(*halves, checks=1.0)
    held = parts.gitea.hold(HANGING[what], times=None)
    for number in range(2, 5):
        parts.gitea.open_issue(REPO, WRITER, "Another one", "stub: append other.txt x\\n")
        parts.gitea.label(REPO, number, "kugetsu/code", WRITER)
    (parts.home / "worktrees" / PLACE / "tmp" / "go").touch()
    parts.wait_for(lambda: held.hits, f"{what} to hang")
    assert max(parts.end(half) for half in halves) < STOP_LIMIT
    held.cancel()
    for half in halves:
        parts.start(half)
    parts.wait_for(lambda: parts.ask(TOLD) == 4, "all four to be told")
    parts.gitea.settle()
    assert parts.ask("SELECT sum(attempt + crashes) FROM job") == 0
    assert "Traceback" not in parts.logs()


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGHUP,),
        (signal.SIGINT,),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGHUP, signal.SIGTERM),
    ],
    ids=lambda numbers: "+".join(number.name for number in numbers),
)
@pytest.mark.parametrize("halves", [("serve",), ("web", "worker")], ids=["serve", "apart"])
def test_whatever_the_signal_and_however_often_it_is_a_planned_end(
    make: Make, halves: list[str], numbers: tuple[signal.Signals, ...]
) -> None:
    parts = make(*halves)
    *first, last = numbers
    for number in first:
        for half in halves:
            parts.tell(half, number)
    assert max(parts.end(half, last) for half in halves) < STOP_LIMIT
    assert parts.others("agent", "keeper")
    for half in halves:
        parts.start(half)
    check_done_once(parts, counted=1)


def test_agents_that_are_killed_after_a_planned_end_count_as_nothing(make: Make) -> None:
    """As when a container is stopped: first its main process is told so, then all others are killed."""
    parts = make("serve")
    for number in range(2, 6):
        parts.end("serve")
        parts.kill("keeper", "agent")
        parts.start("serve")
        wait_for_agent(parts, number)
    check_done_once(parts, counted=5)
