"""`kill -9` while the repository's own commands run: they go on or are repeated, the agent never works twice."""

import signal

from tests.crash.test_kills import kill, kill_agents
from tests.fakes.gitea import FakeGitea
from tests.halves import PATIENCE
from tests.world import World

SLOW = "touch $KUGETSU_TEMP_DIR/begun-$(date +%s%N); while [ ! -e $KUGETSU_TEMP_DIR/go ]; do sleep 0.05; done"
CHECK = f"verify = '''\n{SLOW}\necho x >>report.txt\n'''"
SETUP = f"setup = '''\necho x >>installed.txt\n{SLOW}\n'''"


def begin(world: World, settings: str) -> int:
    """An issue whose setup or check has begun, and waits for `go`."""
    world.repository_says(settings)
    issue = world.issue("Crash on empty input", "stub: append app.py fixed")
    world.label(issue, "kugetsu/code")
    wait_for_command(world, 1)
    return issue


def wait_for_command(world: World, number: int) -> None:
    """Until the command has begun so many times."""
    begun = world.home / "worktrees/gitea-acme-widgets-1/tmp"
    world.wait_for(lambda: len(list(begun.glob("begun-*"))) >= number, f"the command to begin {number} times")


def check_done_once(world: World, issue: int, *, ok: bool | None) -> None:
    """One run of the agent, one commit of its work and nothing beside, one pull request, two comments."""
    world.wait_for_result(issue)
    assert len(world.agent_runs()) == 1
    (job,) = world.jobs()
    assert (job.outcome, job.attempt, job.repairs, job.check_ok) == ("completed", 0, 0, ok)
    (pull,) = world.gitea.pulls_of(world.repo)
    assert not pull.title.startswith("WIP")
    assert [len(world.said(issue, part)) for part in ("live", "result")] == [1, 1]
    branch = f"kugetsu/issue-{issue}"
    assert (world.gitea.file_at(world.repo, branch, "app.py") or "").endswith("items[0]\nfixed")
    assert world.gitea.file_at(world.repo, branch, "report.txt") is None
    assert world.gitea.file_at(world.repo, branch, "installed.txt") is None
    assert world.agent_processes_beside_worker() == []


def test_a_killed_worker_costs_a_check_nothing(world: World) -> None:
    issue = begin(world, CHECK)
    world.halves.signal_worker(signal.SIGKILL)
    assert world.agent_processes(), "the check went with its worker"
    world.halves.start_worker_process()
    world.wait_for_adoption()
    world.let_go(issue, "go")
    check_done_once(world, issue, ok=True)


def test_a_check_that_ended_while_no_worker_lived_is_settled_by_the_next(world: World) -> None:
    issue = begin(world, CHECK)
    world.halves.signal_worker(signal.SIGKILL)
    world.let_go(issue, "go")
    world.wait_for(lambda: not world.agent_processes(), "the check to end by itself")
    world.halves.start_worker_process()
    check_done_once(world, issue, ok=True)


def test_a_check_that_was_lost_runs_again_and_the_agent_does_not(world: World) -> None:
    issue = begin(world, CHECK)
    world.halves.signal_worker(signal.SIGKILL)
    kill_agents(world)
    world.halves.start_worker_process()
    wait_for_command(world, 2)
    world.let_go(issue, "go")
    check_done_once(world, issue, ok=True)


def test_a_check_whose_keeper_is_killed_runs_again(world: World) -> None:
    issue = begin(world, CHECK)
    kill(world.agent_processes_beside_worker())
    wait_for_command(world, 2)
    world.let_go(issue, "go")
    check_done_once(world, issue, ok=True)


def test_a_check_that_is_lost_again_and_again_is_given_up(world: World) -> None:
    issue = begin(world, CHECK)
    for number in range(2, 5):
        kill(world.agent_processes_beside_worker())
        if number <= 3:
            wait_for_command(world, number)
    assert "lost with its worker 3 times" in world.wait_for_result(issue)
    assert len(world.agent_runs()) == 1


def test_a_killed_worker_costs_a_setup_nothing(world: World) -> None:
    issue = begin(world, SETUP)
    world.halves.signal_worker(signal.SIGKILL)
    world.halves.start_worker_process()
    world.wait_for_adoption()
    world.let_go(issue, "go")
    check_done_once(world, issue, ok=None)
    tree = world.home / "worktrees/gitea-acme-widgets-1/tree"
    assert (tree / "installed.txt").read_text() == "x\n"


def test_a_setup_that_was_lost_runs_again_before_the_agent(world: World) -> None:
    issue = begin(world, SETUP)
    world.halves.signal_worker(signal.SIGKILL)
    kill_agents(world)
    world.halves.start_worker_process()
    wait_for_command(world, 2)
    world.let_go(issue, "go")
    check_done_once(world, issue, ok=None)


def test_a_worker_killed_before_red_reached_the_agent_tells_it_afterwards(world: World) -> None:
    fake = world.gitea
    assert isinstance(fake, FakeGitea)
    red = 'grep -q fixedfixed app.py || { echo "stub: append app.py fixed"; exit 3; }'
    world.repository_says(f"verify = '''\ntouch $KUGETSU_TEMP_DIR/begun-$(date +%s%N)\n{red}\n'''")
    issue = world.issue("Crash on empty input", "stub: wait go\nstub: append app.py fixed")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    held = fake.hold(f"GET /api/v1/repos/{world.repo}/issues/{issue}")
    world.let_go(issue, "go")
    wait_for_command(world, 1)
    assert held.reached.wait(PATIENCE), "the prompt of the repair was not made"
    world.halves.signal_worker(signal.SIGKILL)
    held.release()
    world.halves.start_worker_process()
    world.wait_for_result(issue)
    first, second = world.agent_runs()
    assert first.session == second.session
    assert "exit 3" in second.prompt
    (job,) = world.jobs()
    assert (job.outcome, job.repairs, job.check_ok) == ("completed", 1, True)
    assert len(world.gitea.pulls_of(world.repo)) == 1
