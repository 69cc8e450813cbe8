"""`kill -9` of the parts: nothing is lost, nothing is done twice, and the agent's work goes on."""

import os
import signal
from contextlib import suppress

import pytest

from tests.fakes.gitea import FakeGitea
from tests.world import World

STOP_LIMIT = 5.0
"""Seconds within which a worker that is told to end has ended, whatever runs."""


def begin(world: World) -> int:
    """An issue whose agent has begun, and waits for `go` before it writes."""
    issue = world.issue(
        "Crash on empty input", "stub: append trace.txt began\\n\nstub: wait go\nstub: write app.py fixed"
    )
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    world.wait_for(lambda: world.session_known(issue), "the session to be known")
    return issue


def kill(pids: list[int]) -> None:
    """SIGKILL for each; some take others along."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_agents(world: World) -> None:
    """Every process of every agent's, while no worker runs."""
    kill(world.agent_processes())
    world.wait_for(lambda: not world.agent_processes(), "every process of the agent's to be gone")


def check_told_once(world: World, issue: int) -> None:
    """One pull request, two comments, one label, the right file, one job."""
    world.wait_for_result(issue)
    assert len(world.gitea.pulls_of(world.repo)) == 1
    assert [len(world.said(issue, part)) for part in ("live", "result")] == [1, 1]
    assert len(world.said(issue)) == 2
    assert world.labels(issue) == ["kugetsu/done"]
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "fixed"
    assert [job.outcome for job in world.jobs()] == ["completed"]
    assert world.agent_processes_beside_worker() == []


def test_a_killed_worker_costs_its_agent_nothing(world: World) -> None:
    issue = begin(world)
    world.halves.signal_worker(signal.SIGKILL)
    assert world.agent_processes(), "the agent went with its worker"
    world.halves.start_worker_process()
    world.wait_for_adoption()
    world.let_go(issue, "go")
    check_told_once(world, issue)
    assert len(world.agent_runs()) == 1
    (job,) = world.jobs()
    assert (job.crashes, job.attempt, job.run) == (0, 0, 1)


def test_an_agent_that_ends_while_no_worker_lives_is_settled_by_the_next(world: World) -> None:
    issue = begin(world)
    world.halves.signal_worker(signal.SIGKILL)
    world.let_go(issue, "go")
    world.wait_for(lambda: not world.agent_processes(), "the agent to end by itself")
    world.halves.start_worker_process()
    check_told_once(world, issue)
    assert len(world.agent_runs()) == 1


def test_worker_and_agent_killed_together_run_again_in_the_same_session(world: World) -> None:
    issue = begin(world)
    world.halves.signal_worker(signal.SIGKILL)
    kill_agents(world)
    world.let_go(issue, "go")
    world.halves.start_worker_process()
    check_told_once(world, issue)
    first, second = world.agent_runs()
    assert first.session == second.session
    assert (first.ended, second.ended is not None) == (None, True)
    (job,) = world.jobs()
    assert (job.crashes, job.attempt, job.run) == (1, 0, 2)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "trace.txt") == "began\n"


def test_a_killed_keeper_takes_its_agent_along_and_the_job_runs_again(world: World) -> None:
    issue = begin(world)
    kill(world.agent_processes_beside_worker())
    world.let_go(issue, "go")
    check_told_once(world, issue)
    assert len({run.session for run in world.agent_runs()}) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_end_does_so_and_leaves_its_agent_alone(world: World, number: signal.Signals) -> None:
    issue = begin(world)
    assert world.halves.signal_worker(number) < STOP_LIMIT
    assert world.agent_processes(), "the agent went with its worker"
    world.halves.start_worker_process()
    world.wait_for_adoption()
    world.let_go(issue, "go")
    check_told_once(world, issue)
    (job,) = world.jobs()
    assert (job.crashes, job.attempt, job.run) == (0, 0, 1)


def test_a_cancel_that_came_while_no_worker_lived_counts(world: World) -> None:
    issue = begin(world)
    world.halves.signal_worker(signal.SIGKILL)
    world.comment(issue, "/kugetsu cancel")
    world.gitea.settle()
    world.halves.start_worker_process()
    result = world.wait_for_result(issue)
    assert "cancelled" in result
    assert world.agent_processes_beside_worker() == []
    assert world.gitea.pulls_of(world.repo) == []


def test_a_job_whose_worker_dies_again_and_again_is_given_up(world: World) -> None:
    issue = world.issue("Poison", "stub: wait never")
    world.label(issue, "kugetsu/code")
    for crash in range(1, 4):
        world.wait_for_agents(crash)
        world.halves.signal_worker(signal.SIGKILL)
        kill_agents(world)
        world.halves.start_worker_process()
    assert "lost 3 times" in world.wait_for_result(issue)
    assert len(world.agent_runs()) == 3


def test_an_outage_of_gitea_while_no_worker_lives_costs_the_agent_nothing(world: World, fake: FakeGitea) -> None:
    issue = begin(world)
    world.halves.signal_worker(signal.SIGKILL)
    fake.down()
    world.halves.start_worker_process()
    world.wait_for_adoption()
    world.let_go(issue, "go")
    world.wait_for(lambda: world.jobs()[0].state == "reporting", "the job to be settled without Gitea")
    fake.up()
    check_told_once(world, issue)
    assert len(world.agent_runs()) == 1
