"""What no webhook told of is found however things stand: clocks, pages that shift, repositories that are others now."""

from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest
from peewee import fn

from jobs.gitea import Gitea
from models.side_tables import Watch
from models.tables import Move
from models.wire import Comment
from tests.fakes.gitea import FakeGitea
from tests.flows.conftest import MakeWorld
from tests.flows.deaf import INTERVAL, deaf_world, off_since, recovered, set_clock, wait_for_a_look
from tests.world import BOT, WRITER, World


def test_what_moves_to_a_page_that_was_read_is_found(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = deaf_world(make_world)
    off_since(world, hours=30)
    set_clock(fake, hours=-24)
    issue = world.issue("Crash")
    said = [world.comment(issue, f"Number {number}") for number in range(50)]
    world.comment(issue, "/kugetsu do it\nstub: write a.txt x")
    set_clock(fake, hours=0)
    second_page = fake.hold("GET /api/v1/repos/acme/widgets/issues/comments", skip=1)
    world.halves.start_worker()
    assert second_page.reached.wait(30)
    fake.delete_comment(world.repo, said[0], WRITER)
    second_page.release()
    world.wait_for_result(issue)


def test_what_was_said_by_a_clock_that_is_set_back_is_found_at_once(make_world: MakeWorld, fake: FakeGitea) -> None:
    set_clock(fake, hours=3)
    world = deaf_world(make_world)
    said, labelled = world.issue("One"), world.issue("Two", "stub: write b.txt x")
    world.comment(said, "/kugetsu do it\nstub: write a.txt x")
    world.label(labelled, "kugetsu/code")
    set_clock(fake, hours=0)
    for issue in (said, labelled):
        world.wait_for_result(issue)
    assert len(recovered(world)) == 2


def test_what_is_said_by_a_clock_that_is_set_on_is_found(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = deaf_world(make_world)
    issue = world.issue("One")
    world.comment(issue, "/kugetsu do it\nstub: write a.txt x")
    set_clock(fake, hours=3)
    world.wait_for_result(issue)
    world.comment(issue, "/kugetsu more\nstub: write b.txt x")
    world.wait_for_result(issue, 2)


def test_what_was_said_in_more_than_a_week_without_us_is_found(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = deaf_world(make_world)
    off_since(world, hours=9 * 24)
    set_clock(fake, hours=-8 * 24)
    labelled, said = world.issue("One", "stub: write a.txt x"), world.issue("Two")
    world.label(labelled, "kugetsu/code")
    world.comment(said, "/kugetsu do it\nstub: write b.txt x")
    pull = world.pull({"app.py": "one\ntwo\n"})
    world.review(pull, "/kugetsu mend it\nstub: write c.txt x")
    set_clock(fake, hours=0)
    world.halves.start_worker()
    for issue in (labelled, said, pull):
        world.wait_for_result(issue)
    assert len(recovered(world)) == 3


def test_another_repository_under_the_same_name_is_another_conversation(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = deaf_world(make_world)
    old = world.issue("Old", "stub: write old.txt x")
    world.label(old, "kugetsu/code")
    world.wait_for_result(old)
    fake.delete_repo(world.repo)
    fake.repo(world.repo, files={"new.txt": "new"}, collaborators={WRITER: "write", BOT: "admin"})
    new = world.issue("New")
    assert new == old
    world.comment(new, "/kugetsu do it\nstub: write a.txt x")
    world.wait_for_result(new)
    assert len({job.thread_id for job in world.jobs()}) == 2
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{new}", "new.txt") == "new"
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{new}", "old.txt") is None


def test_what_a_repository_lost_is_still_said_when_it_is_renamed(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = deaf_world(make_world)
    issue = world.issue("Crash", "stub: write a.txt x")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.halves.start_web()
    world.rename("gadgets")
    world.wait_for(lambda: status_of(world).get("repo") == world.repo, "the new name to be known")
    assert status_of(world)["missed_24h"] == 1
    world.wait_for(lambda: "the webhook missed 1" in str(status_of(world)["problem"]), "it to be said")


def status_of(world: World) -> dict[str, object]:
    """What the status says of the only repository."""
    (repo,) = httpx.get(f"{world.halves.url}/admin/status").json()["repos"]
    assert isinstance(repo, dict)
    return repo


def test_a_look_that_stumbles_keeps_no_other_repository_waiting(
    make_world: MakeWorld, fake: FakeGitea, monkeypatch: pytest.MonkeyPatch
) -> None:
    def comments(gitea: Gitea, repo: str, since: datetime) -> Iterator[Comment]:
        if repo == "acme/odd":
            raise KeyError("something that nobody has thought of")
        return comments_since(gitea, repo, since)

    comments_since = Gitea.comments_since
    monkeypatch.setattr(Gitea, "comments_since", comments)
    fake.repo("acme/odd", files={"a.txt": "a"}, collaborators={BOT: "admin"})
    world = make_world(RECONCILE_INTERVAL=INTERVAL)
    world.wait_for(lambda: failures(world) > 1, "it to be tried again")
    with fake.webhooks_lost():
        issue = world.issue("Crash", "stub: write a.txt x")
        world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    problems = {repo["repo"]: repo["problem"] for repo in httpx.get(f"{world.halves.url}/admin/status").json()["repos"]}
    assert problems["acme/odd"] == "an error of Kugetsu's own; its log has all of it"


def failures(world: World) -> int:
    with world.database() as database:
        return int(Watch.select(fn.MAX(Watch.failures)).scalar(database) or 0)


def test_a_server_that_fails_while_it_is_asked_where_a_repository_went(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = deaf_world(make_world)
    fake.fail("GET /api/v1/repos/acme/widgets/issues", 404)
    fake.fail("GET /api/v1/repositories/.*", 502)
    issue = world.issue("Crash", "stub: write a.txt x")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)


@pytest.mark.parametrize("how", ["comment", "label"])
def test_what_was_taken_back_before_it_was_found_is_not_done(make_world: MakeWorld, fake: FakeGitea, how: str) -> None:
    world = make_world(RECONCILE_INTERVAL=INTERVAL)
    wait_for_a_look(world)
    looking = fake.hold(f"GET /api/v1/repos/{world.repo}", times=None)
    assert looking.reached.wait(30)
    issue = world.issue("Crash", "stub: write a.txt x")
    with fake.webhooks_lost():
        if how == "label":
            world.label(issue, "kugetsu/code")
        else:
            world.comment(issue, "/kugetsu do it")
    world.comment(issue, "/kugetsu cancel")
    world.wait_until(lambda: world.said(issue, "answer"), "the answer to the cancel")
    looking.cancel()
    assert f"{WRITER} asked for it" in world.wait_for_result(issue)
    assert world.labels(issue) == ["kugetsu/cancelled"]
    assert world.agent_runs() == []


@pytest.mark.usefixtures("hurried")
def test_work_on_an_issue_that_is_gone_is_given_up(world: World, fake: FakeGitea) -> None:
    issue = world.issue("Crash", "stub: wait go")
    world.label(issue, "kugetsu/code")
    world.wait_for_label(issue, "kugetsu/running")
    world.wait_for_agents(1)
    fake.delete_issue(world.repo, issue, WRITER)
    world.let_go(issue, "go")
    world.wait_for(lambda: world.jobs()[0].state == "done", "the job to be given up")
    with world.database() as database:
        why = Move.select(Move.reason).order_by(Move.id.desc()).scalar(database)
    assert why == f"there is no {world.repo}#{issue} any more, or the bot may not see it"
