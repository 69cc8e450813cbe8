"""Webhooks that never came: what was asked is found by looking, once, and resends of everything add nothing."""

import httpx
import pytest

from models.side_tables import Watch
from models.tables import Ask, Thread
from tests.fakes.gitea import FakeGitea, Remark
from tests.flows.conftest import MakeWorld
from tests.flows.deaf import INTERVAL, deaf_world, recovered, wait_for_a_look, wait_for_another_second
from tests.forge_protocol import AnyGitea
from tests.world import BOT, WRITER, World


@pytest.mark.timeout(600)  # a real server takes a second for each push
def test_twenty_asks_without_a_webhook_run_once_each_and_resends_add_nothing(make_world: MakeWorld) -> None:
    world = deaf_world(make_world, MAX_CONCURRENT_AGENTS="8")
    issues = [world.issue(f"Number {number}", f"stub: write f{number}.txt x") for number in range(20)]
    for number, issue in enumerate(issues):
        if number % 2:
            world.comment(issue, f"/kugetsu do it\nstub: write f{number}.txt x")
        else:
            world.label(issue, "kugetsu/code")
    for issue in issues:
        world.wait_for_result(issue, timeout=240.0)
    assert len(world.jobs()) == 20
    assert len(recovered(world)) == 20
    world.halves.start_web()
    for delivery in list(world.gitea.deliveries):
        world.gitea.redeliver(delivery)
    world.gitea.settle(120.0)
    wait_for_a_look(world)
    world.wait_quiet()
    assert len(world.jobs()) == 20
    assert len(world.agent_runs()) == 20
    assert len(world.gitea.pulls_of(world.repo)) == 20
    assert [len(world.said(issue, "result")) for issue in issues] == [1] * 20
    assert len(recovered(world)) == 20


def test_what_the_webhook_told_of_is_not_counted_as_missed(make_world: MakeWorld) -> None:
    world = make_world(RECONCILE_INTERVAL=INTERVAL)
    wait_for_a_look(world)
    one, two = world.issue("One", "stub: write a.txt x"), world.issue("Two")
    world.label(one, "kugetsu/code")
    world.comment(two, "/kugetsu do it\nstub: write b.txt x")
    for issue in (one, two):
        world.wait_for_result(issue)
    wait_for_a_look(world)
    world.close(one)
    wait_for_a_look(world)
    world.wait_quiet()
    assert recovered(world) == []
    assert len(world.jobs()) == 2


def test_a_review_and_a_closing_are_found(make_world: MakeWorld) -> None:
    world = deaf_world(make_world)
    pull = world.pull({"app.py": "one\ntwo\n"})
    world.review(pull, "", Remark("app.py", "/kugetsu stop here\nstub: wait go", 1))
    world.wait_for_agents(1)
    world.close(pull)
    world.wait_for_result(pull)
    assert [(job.recipe, job.outcome) for job in world.jobs()] == [("code", "cancelled")]
    assert [line.partition(" ")[0] for line in recovered(world)] == ["closed", "continue"]


def test_a_comment_speaks_once_it_is_edited_to_and_never_when_it_was_deleted(
    make_world: MakeWorld, gitea: AnyGitea
) -> None:
    world = deaf_world(make_world)
    issue = world.issue("Crash")
    edited, deleted = world.comment(issue, "What about this?"), world.comment(issue, "/kugetsu never")
    gitea.delete_comment(world.repo, deleted, WRITER)
    wait_for_a_look(world)
    world.edit(edited, "/kugetsu do it\nstub: write a.txt x")
    world.wait_for_result(issue)
    world.edit(edited, "/kugetsu something else")
    wait_for_another_second()
    for _ in range(2):
        wait_for_a_look(world)
    world.wait_quiet()
    with world.database() as database:
        admitted = Ask.select().where(Ask.verdict == "admitted")
        assert [ask.instructions for ask in admitted.execute(database)] == ["do it\nstub: write a.txt x"]


def test_a_label_asks_as_often_as_it_was_seen_and_a_cancel_is_found(make_world: MakeWorld, gitea: AnyGitea) -> None:
    world = deaf_world(make_world)
    issue = world.issue("Crash", "stub: wait go")
    world.label(issue, "kugetsu/code")
    gitea.unlabel(world.repo, issue, "kugetsu/code", WRITER)
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    world.comment(issue, "/kugetsu cancel")
    world.wait_for_result(issue)
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(2)
    world.close(issue)
    world.wait_for_result(issue, 2)
    assert [job.outcome for job in world.jobs()] == ["cancelled", "cancelled"]
    assert [line.partition(" ")[0] for line in recovered(world)] == ["cancel", "closed", "code", "code"]


def test_what_was_said_before_us_starts_nothing_but_a_label_does(make_world: MakeWorld, gitea: AnyGitea) -> None:
    old = "acme/old"
    gitea.repo(old, files={"a.txt": "a\n"}, collaborators={WRITER: "write", BOT: "admin"})
    said, labelled = (gitea.open_issue(old, WRITER, title, "stub: write a.txt x").number for title in ("One", "Two"))
    gitea.comment(old, said, "/kugetsu do it", WRITER)
    gitea.create_label(old, "kugetsu/code", exclusive=True)
    gitea.label(old, labelled, "kugetsu/code", WRITER)
    wait_for_another_second()
    world = make_world(RECONCILE_INTERVAL=INTERVAL)
    world.wait_for(lambda: len(world.jobs()) == 1, "the job of the label")
    gitea.comment(old, said, "/kugetsu now do it", WRITER)
    world.wait_for(lambda: len(world.jobs()) == 2, "the job of the new comment")
    with world.database() as database:
        asks = [(ask.verb, ask.instructions) for ask in Ask.select().order_by(Ask.id).execute(database)]
    assert asks == [("code", ""), ("continue", "now do it")]


def gone_for_an_hour(world: World) -> None:
    """The hour passes."""
    with world.database() as database:
        Watch.update(lost_at=1.0, due_at=0.0).execute(database)
        Thread.update(desk_not_before=0.0).execute(database)


def test_a_renamed_repository_is_followed_and_one_that_is_gone_is_given_up(
    make_world: MakeWorld, fake: FakeGitea
) -> None:
    world = make_world(RECONCILE_INTERVAL=INTERVAL)
    wait_for_a_look(world)
    issue = world.issue("Crash", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.rename("gadgets")
    world.comment(issue, "/kugetsu more\nstub: write app.py two")
    world.wait_for_result(issue, 2)
    assert len(world.gitea.pulls_of(world.repo)) == 1
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "two"
    world.comment(issue, "/kugetsu again\nstub: wait go")
    world.wait_for_agents(3)
    world.wait_for_label(issue, "kugetsu/running")
    fake.let(world.repo, BOT, None)
    fake.forge.state.repo(world.repo).private = True
    world.let_go(issue, "go")
    world.wait_for(lambda: is_lost(world), "the repository to be missed")
    world.wait_for(lambda: world.jobs()[-1].state == "reporting", "the run to end, so that only its report waits")
    gone_for_an_hour(world)
    world.wait_for(lambda: world.jobs()[-1].state == "done", "the job to be given up")
    status = httpx.get(f"{world.halves.url}/admin/status").json()
    assert status["repos"][0]["problem"].startswith("it is gone, or the bot may not see it, since")


def is_lost(world: World) -> bool:
    with world.database() as database:
        return bool(Watch.select().where(Watch.lost_at.is_null(False)).exists(database))


def test_what_is_to_be_told_in_an_archived_repository_waits(make_world: MakeWorld, gitea: AnyGitea) -> None:
    world = make_world(RECONCILE_INTERVAL=INTERVAL)
    wait_for_a_look(world)
    issue = world.issue("Crash", "stub: wait go\nstub: say All well.")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    world.wait_for_label(issue, "kugetsu/running")
    gitea.archive(world.repo)
    world.let_go(issue, "go")
    world.wait_for(lambda: is_archived(world), "the archive to be noticed")
    assert world.said(issue, "result") == []
    gitea.archive(world.repo, archived=False)
    world.wait_for_result(issue)


def is_archived(world: World) -> bool:
    with world.database() as database:
        return bool(Watch.select().where(Watch.archived).exists(database))


def test_a_comment_on_a_line_speaks_once_it_is_edited_to(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = deaf_world(make_world)
    pull = world.pull({"app.py": "one\ntwo\n"})
    note = world.review(pull, "", Remark("app.py", "a word", 1)).comments[0]
    wait_for_another_second()
    wait_for_a_look(world)
    with fake.forge.state.lock:  # Gitea has no way for the bot's API to change another's
        note.body, note.updated_at = "/kugetsu do it\nstub: write a.txt x", fake.forge.state.now()
    world.halves.stop_worker()
    world.halves.start_worker()  # the first look of a process goes through all that is open
    world.wait_for_result(pull)
    assert len(recovered(world)) == 1
