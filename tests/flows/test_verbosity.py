"""How much Kugetsu says: only the end, the course of it too, or each step."""

from functools import partial

from tests.fakes.gitea import FakeGitea
from tests.flows.conftest import MakeWorld
from tests.world import READER, WRITER, World

WORK = "stub: run echo looking\nstub: wait go\nstub: write app.py fixed"


def begin(world: World) -> int:
    """An issue whose agent works, and waits for `go`."""
    issue = world.issue("Crash on empty input", WORK)
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    return issue


def finish(world: World, issue: int) -> str:
    world.let_go(issue, "go")
    return world.wait_for_result(issue)


def live_says(world: World, issue: int, words: str) -> bool:
    return any(words in text for text in world.said(issue, "live"))


def wait_for_live(world: World, issue: int, words: str) -> None:
    world.wait_until(partial(live_says, world, issue, words), f"“{words}” in the comment that follows the job")


def test_quiet_is_only_the_closing_word(make_world: MakeWorld) -> None:
    world = make_world(VERBOSITY="quiet")
    issue = begin(world)
    world.wait_for_label(issue, "kugetsu/running")
    assert world.said(issue) == []
    result = finish(world, issue)
    assert f"@{WRITER} I have opened the pull request" in result
    assert len(world.said(issue)) == 1
    assert world.labels(issue) == ["kugetsu/done"]


def test_quiet_still_says_why_not_and_answers_what_is_asked(make_world: MakeWorld) -> None:
    world = make_world(VERBOSITY="quiet")
    issue = world.issue("What now?")
    world.comment(issue, "/kugetsu do my homework", by=READER)
    world.comment(issue, "/kugetsu help")
    for part in ("refused", "answer"):
        world.wait_until(partial(world.said, issue, part), part)


def test_default_follows_the_job_and_closes_with_a_word(world: World) -> None:
    issue = begin(world)
    wait_for_live(world, issue, "Working on it")
    assert not live_says(world, issue, "echo looking")
    result = finish(world, issue)
    assert live_says(world, issue, "Done")
    assert f"@{WRITER}" in result
    assert [len(world.said(issue, part)) for part in ("live", "result")] == [1, 1]
    assert f"@{WRITER}" not in world.said(issue, "live")[0]


def test_verbose_shows_the_steps_as_they_come(make_world: MakeWorld) -> None:
    world = make_world(VERBOSITY="verbose")
    issue = begin(world)
    wait_for_live(world, issue, "Step 1: `bash: echo looking`")
    finish(world, issue)
    assert live_says(world, issue, "Done")
    assert [len(world.said(issue, part)) for part in ("live", "result")] == [1, 1]


def test_verbose_shows_the_check_that_runs(make_world: MakeWorld) -> None:
    world = make_world(VERBOSITY="verbose")
    world.repository_says('verify = "while [ ! -e $KUGETSU_TEMP_DIR/checked ]; do sleep 0.05; done"')
    issue = begin(world)
    world.let_go(issue, "go")
    wait_for_live(world, issue, "`verify: while [ ! -e")
    world.let_go(issue, "checked")
    assert "passes" in world.wait_for_result(issue)


def test_many_steps_make_few_edits(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = make_world(VERBOSITY="verbose")
    steps = "\n".join(f"stub: run echo {number}" for number in range(60))
    issue = world.issue("Do a lot", f"{steps}\nstub: write app.py fixed")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    edits = [exchange for exchange in fake.requests if exchange.method == "PATCH" and "/comments/" in exchange.path]
    (job,) = world.jobs()
    assert job.steps == 61
    assert len(edits) <= 3 + ((job.finished_at or 0) - (job.started_at or 0)) / 2
