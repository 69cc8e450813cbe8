"""A worker that stands still for longer than its leases, as in a machine that is paused, and then goes on.

Another one has taken over meanwhile: what the first does late changes nothing, and tells nobody anything twice.
"""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash import looks
from tests.crash.forkserver import ForkServer
from tests.crash.parts import BOT, SECRET, WRITER, Parts
from tests.fakes.gitea import FakeGitea

REPO, PLACE = "acme/widgets", "gitea-acme-widgets-1"
RUNNING = "SELECT count(*) FROM job JOIN thread ON thread.id = job.thread_id WHERE state = 'running' AND session <> ''"
DONE = "SELECT count(*) FROM job WHERE state = 'done'"
WANTED = "SELECT count(*) FROM thread WHERE desk_wanted > desk_seen"
LEASES = "SELECT (SELECT sum(epoch) FROM job) + (SELECT sum(desk_epoch) FROM thread)"
COMMENTS = "/api/v1/repos/acme/widgets/issues/1/comments"


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """A worker that has an agent at work, which waits for `go`."""
    with FakeGitea(tmp_path / "gitea") as gitea, ForkServer() as forks:
        made = Parts(tmp_path / "parts", gitea, forks)
        for half in ("web", "worker1"):
            made.start(half, brief=True)
        gitea.repo(REPO, files={"app.py": "pass\n"}, collaborators={WRITER: "write", BOT: "admin"})
        gitea.create_label(REPO, "kugetsu/code", exclusive=True)
        gitea.hook(REPO, f"{made.url}/webhook", SECRET)
        gitea.open_issue(REPO, WRITER, "Crash", "stub: wait go\nstub: append app.py fixed\\n")
        gitea.label(REPO, 1, "kugetsu/code", WRITER)
        made.wait_for(lambda: made.ask(RUNNING), "the agent to begin")
        yield made
        made.stop()


def are_told(parts: Parts, jobs: int) -> bool:
    return parts.ask(DONE) == jobs and not parts.ask(WANTED)


def let_go(parts: Parts) -> None:
    (parts.home / "worktrees" / PLACE / "tmp" / "go").touch()


def stands_still(parts: Parts) -> bool:
    """Stop the worker, but not in the middle of a write, be it a ring: SQLite would have everybody wait for the end of
    that.
    """
    parts.pause("worker1")
    free = all(is_free(parts.home / name) for name in ("kugetsu.db", "queue.db"))
    if not free:
        parts.tell("worker1", signal.SIGCONT)
    return free


def is_free(database: Path) -> bool:
    """Whether nobody is writing to it."""
    with closing(sqlite3.connect(database, timeout=0.5)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.rollback()
    return True


@pytest.mark.parametrize(("method", "when"), [("", "before"), ("GET", "after"), ("POST", "before"), ("POST", "after")])
def test_what_it_does_late_changes_nothing(parts: Parts, method: str, when: str) -> None:
    held = parts.gitea.hold(f"{method} {COMMENTS}", when="after" if when == "after" else "before") if method else None
    if held is not None:
        let_go(parts)
        parts.wait_for(held.reached.is_set, "it to come to the closing comment")
    parts.wait_for(lambda: stands_still(parts), "it to stand still between two writes")
    if held is not None:
        held.release()
    parts.start("worker2", brief=True)
    let_go(parts)
    parts.wait_for(lambda: are_told(parts, 1), "the other one to do it all")
    before = parts.ask(LEASES)
    parts.tell("worker1", signal.SIGCONT)
    again = len(parts.gitea.requests)
    other = parts.gitea.open_issue(REPO, WRITER, "Another one", "stub: append app.py more\\n").number
    parts.gitea.label(REPO, other, "kugetsu/code", WRITER)
    parts.wait_for(lambda: are_told(parts, 2), "both to be told")
    assert parts.ask(LEASES) > before
    assert len(parts.gitea.requests) > again
    parts.gitea.settle()
    look = looks.at_issue(parts.gitea, REPO, 1, lines=["fixed"]) + looks.at_issue(parts.gitea, REPO, other)
    look += looks.at_home(parts, [PLACE, f"gitea-acme-widgets-{other}"], workers=2)
    assert not look, str(look)
    assert parts.ask("SELECT sum(attempt * 100 + crashes * 10 + run) FROM job") == 2
