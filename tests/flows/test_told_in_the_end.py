"""Reports that must come to their end."""

import pytest

from tests.fakes.gitea import FakeGitea, wire
from tests.flows.conftest import MakeWorld
from tests.world import World


def issue_at_work(world: World) -> int:
    """An issue whose agent waits for `go`, when all of that was told."""
    issue = world.issue("Crash", "stub: wait go\nstub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    world.wait_for(lambda: world.session_known(issue), "the session to be known")
    world.wait_for_label(issue, "kugetsu/running")
    return issue


@pytest.mark.usefixtures("hurried")
def test_a_comment_whose_answer_was_lost_says_in_the_end_how_the_job_ended(world: World, fake: FakeGitea) -> None:
    comments = "POST .*/issues/[0-9]+/comments"
    slow = fake.hold(comments, when="after")
    lost = fake.drop_response(comments)
    issue = world.issue("Crash", "stub: write app.py fixed")
    world.label(issue, "kugetsu/code")
    assert slow.reached.wait(30)
    world.wait_for(lambda: [job.state for job in world.jobs()] == ["reporting"], "the end of the job")
    slow.release()
    world.wait_for_result(issue)
    assert lost.hits == 1
    (live,) = world.said(issue, "live")
    assert "Done" in live


@pytest.mark.usefixtures("hurried")
def test_where_our_pull_request_was_deleted_the_issue_is_still_heard(world: World, fake: FakeGitea) -> None:
    issue = world.issue("Crash", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    pull = world.next_pull(issue)
    del fake.forge.state.repos[world.repo].issues[pull.number]
    world.comment(issue, "/kugetsu more\nstub: write app.py two")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue, 2)


@pytest.mark.usefixtures("hurried")
def test_where_pull_requests_are_switched_off_somebody_is_told(
    world: World, fake: FakeGitea, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(wire.SETTINGS_HEAD, "has_pull_requests", False)
    fake.fail("[A-Z]+ .*/pulls(/.*)?", 404, times=None, message="The target couldn't be found.")
    issue = world.issue("Crash", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    assert "takes no pull requests" in world.wait_for_result(issue)


def test_a_push_that_comes_right_after_a_renaming_is_no_failure(make_world: MakeWorld) -> None:
    world = make_world(RECONCILE_INTERVAL="1h")
    issue = issue_at_work(world)
    world.rename("gadgets")
    world.let_go(issue, "go")
    world.wait_for_result(issue)
    assert [(job.outcome, job.error) for job in world.jobs()] == [("completed", "")]


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("deleted", [False, True])
def test_what_is_merged_before_all_is_told_gets_no_second_pull_request(
    world: World, fake: FakeGitea, deleted: bool
) -> None:
    trouble = fake.fail("POST .*/comments", 502, times=None, body=lambda body: "part=result" in str(body))
    issue = world.issue("Crash", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue)
    assert trouble.reached.wait(30)
    world.merge(pull.number, how="squash", delete_branch=deleted)
    trouble.cancel()
    world.wait_for_result(issue)
    assert [made.number for made in world.gitea.pulls_of(world.repo)] == [pull.number]


@pytest.mark.usefixtures("hurried")
def test_what_an_agent_makes_while_its_repository_is_archived_is_pushed_afterwards(
    make_world: MakeWorld, fake: FakeGitea
) -> None:
    world = make_world(RECONCILE_INTERVAL="1s")
    issue = issue_at_work(world)
    fake.archive(world.repo)
    world.let_go(issue, "go")
    world.wait_for(lambda: [job.state for job in world.jobs()] == ["reporting"], "the end of the job")
    with world.database() as db:
        sql = "SELECT desk_problem FROM thread"
        world.wait_for(lambda: bool(db.execute_sql(sql).fetchone()[0]), "it to wait")  # type: ignore[no-untyped-call]
    fake.archive(world.repo, archived=False)
    world.wait_for_result(issue)
    assert [(job.outcome, job.error) for job in world.jobs()] == [("completed", "")]


@pytest.mark.usefixtures("hurried")
def test_where_gitea_will_never_take_the_pull_request_somebody_is_told(world: World, fake: FakeGitea) -> None:
    never = fake.fail("POST .*/pulls", 422, times=None, message="the base branch takes no pull requests")
    issue = world.issue("Crash", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    assert "the base branch takes no pull requests" in world.wait_for_result(issue)
    assert "kugetsu/failed" in world.labels(issue)
    never.cancel()
    world.comment(issue, "/kugetsu retry\nstub: append app.py two")
    world.wait_for_result(issue, 2)
    assert world.next_pull(issue).title == "Crash"
