"""What runs is read along to its end, by one worker, whatever happens meanwhile: it never becomes a stray."""

import errno
import json
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import jobs.worker
from jobs import agent, keeper
from jobs.workspace import Made, Workspace
from models import ledger
from models.tables import Job, Worker
from tests.fakes.gitea import FakeGitea
from tests.flows.conftest import MakeWorld
from tests.flows.test_pull_requests import theirs
from tests.world import World

pytestmark = pytest.mark.usefixtures("hurried")
WAITING = "stub: wait go\nstub: write app.py fixed"
A_WHILE = 1.5
"""Seconds in which what goes wrong here has gone wrong."""


def begin(world: World, text: str = WAITING) -> int:
    """An issue whose agent has begun, and waits for `go`."""
    issue = world.issue("Crash on empty input", text)
    world.label(issue, "kugetsu/code")
    wait_for_session(world, issue)
    return issue


def wait_for_session(world: World, issue: int) -> None:
    world.wait_for(lambda: world.session_known(issue), "the agent to begin")


@pytest.mark.parametrize("what", ["down", "no good token"])
def test_a_worker_that_starts_while_gitea_cannot_be_asked_reads_along(
    make_world: MakeWorld, fake: FakeGitea, what: str
) -> None:
    world = make_world()
    if what == "down":
        number = theirs(world)
        world.comment(number, f"/kugetsu do\n{WAITING}")
        wait_for_session(world, number)
        world.halves.stop_worker()
        fake.down()
    else:
        number = begin(world)
        world.halves.stop_worker()
        fake.fail("GET /api/v1/repos/acme/widgets$", 401, times=None)
    world.halves.start_worker()
    time.sleep(A_WHILE)
    states = [(job.state, job.run) for job in world.jobs()]
    fake.up() if what == "down" else fake.no_more_faults()
    world.let_go(number, "go")
    world.wait_for_result(number)
    assert states == [("running", 1)]
    assert len(world.agent_runs()) == 1


def test_a_cancel_that_does_not_fit_on_the_disk_leaves_no_stray(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    issue, write, full = begin(world), agent._write_private, [True]

    def write_where_there_is_room(path: Path, content: str | bytes) -> None:
        if full and path.name == "stop.draft":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(agent, "_write_private", write_where_there_is_room)
    world.comment(issue, "/kugetsu cancel")
    world.wait_for(lambda: world.jobs()[0].cancel_requested_at is not None, "the cancel to be heard")
    time.sleep(A_WHILE)
    states = [job.state for job in world.jobs()]
    full.clear()
    world.wait_for_result(issue)
    left = world.agent_processes()
    world.let_go(issue, "go")
    assert (states, left) == (["running"], [])


def test_without_a_sandbox_what_a_killed_keeper_leaves_is_ended(make_world: MakeWorld) -> None:
    world = make_world(SANDBOX="none")
    issue = begin(world, f"stub: once spawn 60\n{WAITING}")
    os.kill(json.loads((world.home / "jobs/1/run-1/keeper.json").read_text())["pid"], signal.SIGKILL)
    world.wait_for_agents(2)
    world.let_go(issue, "go")
    world.wait_for_result(issue)
    assert world.agent_processes() == []


def test_who_has_lost_a_job_to_another_worker_leaves_the_work_alone(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.worker, "SWEEP_SECONDS", 0.4)
    world, collect, collected = make_world(), Workspace.collect, list[float]()

    def collect_and_say_so(*args: Any, **more: Any) -> Made:
        collected.append(time.time())
        return collect(*args, **more)

    monkeypatch.setattr(Workspace, "collect", collect_and_say_so)
    issue, now = begin(world), time.time()
    with world.database() as db:
        box = {"sandbox": "none", "sandbox_why": ""}
        Worker.insert(name="other", host="elsewhere", pid=1, started_at=now, seen_at=now, **box).execute(db)
        (job,) = world.jobs()
        assert ledger.adopt(db, job.id, job.epoch, "other", now=now, lease=600.0)
    world.let_go(issue, "go")
    world.wait_for(lambda: not world.agent_processes(), "the agent to end")
    time.sleep(A_WHILE)
    early = len(collected)
    with world.database() as db:
        Worker.delete().where(Worker.name == "other").execute(db)
        Job.update(lease_until=0.0).execute(db)
    world.wait_for_result(issue)
    assert (early, len(collected)) == (0, 1)


def test_a_budget_holds_while_the_clock_is_set_back(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    back = [0.0]
    clock = SimpleNamespace(time=lambda: time.time() - back[0], monotonic=time.monotonic)
    monkeypatch.setattr(jobs.worker, "time", clock)
    world = make_world(MAX_TOKENS_PER_JOB="1000")
    issue = begin(
        world, "stub: write a.txt one\nstub: wait go\nstub: tokens 900 300 0.5\nstub: write b.txt two\nstub: wait end"
    )
    back[0] = 3600.0
    world.let_go(issue, "go")
    try:
        assert "cut short" in world.wait_for_result(issue)
    finally:
        world.let_go(issue, "end")


def test_a_keeper_that_comes_up_late_is_taken_for_the_one_that_was_to_be_started(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker died meanwhile, and the repository has a setup, after which the next one starts the agent itself."""
    monkeypatch.setattr(threading, "excepthook", lambda *_: None)
    start, met = agent._start_keeper, list[str]()

    class Killed(BaseException):
        pass

    def start_late(run_dir: Path) -> str:
        if run_dir.name == "run-1":
            met.append("")
            if len(met) == 1:
                raise Killed
            met[-1] = start(run_dir)
        return start(run_dir)

    monkeypatch.setattr(agent, "_start_keeper", start_late)
    world.repository_says('setup = "true"')
    issue = world.issue("Crash", WAITING)
    world.label(issue, "kugetsu/code")
    world.wait_for(lambda: len(met) == 1, "the death")
    world.halves.stop_worker()
    world.halves.start_worker()
    world.wait_for_agents(1)
    time.sleep(A_WHILE)
    states = [(job.state, job.run) for job in world.jobs()]
    world.let_go(issue, "go")
    world.wait_for_result(issue)
    assert met == ["", keeper.READY]
    assert states == [("running", 1)]
    assert len(world.agent_runs()) == 1
