"""`kill -9` of a worker while findings and reviews are made or told: each stands there once."""

import json
import signal

import pytest

from tests.crash.test_kills import kill_agents
from tests.fakes.gitea import FakeGitea
from tests.fakes.gitea.faults import When
from tests.halves import PATIENCE
from tests.world import World

MANY = 'stub: run for i in $(seq 3000); do echo line $i is here; done > "$KUGETSU_TEMP_DIR/findings.md"'
REVIEW = json.dumps({"summary": "Fine.", "comments": [{"path": "app.py", "line": 1, "side": "new", "body": "Hm."}]})
HAND_OVER = f"stub: run printf %s '{REVIEW}' > \"$KUGETSU_TEMP_DIR/review.json\""


def begin(world: World, number: int, label: str) -> None:
    """A job whose agent has begun, and waits for `go`."""
    world.label(number, label)
    world.wait_for_agents(1)


@pytest.mark.parametrize("route", ["POST .*/comments$", "POST .*/assets", "POST .*/labels"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_findings_are_told_once(world: World, fake: FakeGitea, route: str, when: When) -> None:
    issue = world.issue("Tell me everything", f"stub: wait go\n{MANY}")
    begin(world, issue, "kugetsu/research")
    world.wait_for_label(issue, "kugetsu/running")
    fake.settle()
    held = fake.hold(route, when=when)
    world.let_go(issue, "go")
    assert held.reached.wait(PATIENCE)
    world.halves.signal_worker(signal.SIGKILL)
    held.release()
    world.halves.start_worker_process()
    world.wait_for_result(issue)
    assert len(world.said(issue, "result")) == 1
    assert world.files_on(issue) == ["findings.md"]
    assert world.labels(issue) == ["kugetsu/done"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_review_is_posted_once(world: World, fake: FakeGitea, when: When) -> None:
    pull = world.pull({"app.py": "one\n"}, body=f"stub: wait go\n{HAND_OVER}")
    begin(world, pull, "kugetsu/review")
    held = fake.hold("POST .*/reviews$", when=when)
    world.let_go(pull, "go")
    assert held.reached.wait(PATIENCE)
    world.halves.signal_worker(signal.SIGKILL)
    held.release()
    world.halves.start_worker_process()
    world.wait_for_result(pull)
    (review,) = world.reviews(pull)
    assert len(review.comments) == 1


def test_a_review_goes_on_with_the_commit_it_began_with(world: World) -> None:
    pull = world.pull({"app.py": "one\n"}, body=f"stub: wait go\n{HAND_OVER}")
    begin(world, pull, "kugetsu/review")
    head = world.gitea.branches_of(world.repo)["topic"]
    world.wait_for(lambda: world.session_known(pull), "the session to be known")
    world.halves.signal_worker(signal.SIGKILL)
    kill_agents(world)
    world.gitea.push(world.repo, "topic", {"app.py": "zero\none\n"}, "ada")
    world.let_go(pull, "go")
    world.halves.start_worker_process()
    world.wait_for_result(pull)
    (review,) = world.reviews(pull)
    assert review.commit_id == head
    assert len(world.agent_runs()) == 2
