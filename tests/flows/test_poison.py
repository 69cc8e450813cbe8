"""What one person says, or one thing that Gitea cannot show, keeps nobody else waiting."""

import pytest

from jobs import admission, gitea_http, reconcile, rights
from jobs.repofile import RepoFile
from jobs.servers import Forge
from jobs.wiring import Wiring
from models.side_tables import Watch
from models.tables import Ask, Thread
from tests.fakes.gitea import FakeGitea
from tests.flows.conftest import MakeWorld
from tests.flows.deaf import INTERVAL, deaf_world
from tests.world import BOT, READER, WRITER, World


@pytest.mark.parametrize("said", ["do it", "status"])
@pytest.mark.usefixtures("hurried")
def test_who_blocks_the_bot_keeps_nobody_else_waiting(world: World, fake: FakeGitea, said: str) -> None:
    issue = world.issue("Crash", "stub: write a.txt x")
    other = world.comment(world.issue("Other"), "a word")
    number = other.id + 1
    fake.fail(f"POST /api/v1/repos/{world.repo}/issues/comments/{number}/reactions", 403, times=None)
    assert world.comment(issue, f"/kugetsu {said}", by=READER).id == number
    world.wait_until(lambda: world.said(issue, "refused"), "a refusal")
    world.comment(issue, "/kugetsu do it")
    world.wait_for_result(issue)


@pytest.mark.usefixtures("hurried")
def test_an_ask_on_which_kugetsu_itself_stumbles_keeps_no_other_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied, stumbles = rights.denied, [True]

    def stumble(wiring: Wiring, forge: Forge, thread: Thread, ask: Ask, file: RepoFile) -> str | None:
        if stumbles[0] and ask.author == READER:
            raise ZeroDivisionError
        return denied(wiring, forge, thread, ask, file)

    monkeypatch.setattr(admission, "denied", stumble)
    issue = world.issue("Crash", "stub: write a.txt x")
    world.comment(issue, "/kugetsu status", by=READER)
    world.wait_until(lambda: "Kugetsu's own" in desk_problem(world), "the desk to stumble")
    world.comment(issue, "/kugetsu do it")
    world.wait_until(lambda: world.said(issue, "result"), "the result for the other one")
    assert not world.said(issue, "refused")
    stumbles[0] = False
    world.wait_until(lambda: world.said(issue, "refused"), "a refusal, as soon as it can be decided")


def desk_problem(world: World) -> str:
    """What the status page says of the only conversation there is."""
    with world.database() as database:
        return str(Thread.select(Thread.desk_problem).scalar(database))


@pytest.mark.parametrize("how", ["label", "comment"])
@pytest.mark.usefixtures("hurried")
def test_what_is_asked_when_our_pull_request_was_deleted_gets_another(world: World, fake: FakeGitea, how: str) -> None:
    issue = world.issue("Crash", "stub: write a.txt x")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue)
    world.wait_for_result(issue)
    fake.delete_issue(world.repo, pull.number, WRITER)
    if how == "label":
        world.label(issue, "kugetsu/code")
        world.wait_for_result(issue, 2)
    world.comment(issue, "/kugetsu more\nstub: write b.txt x")
    world.wait_for_result(issue, 3 if how == "label" else 2)
    assert world.next_pull(issue).id != pull.id  # of one of Gitea's own the number would be new, too


def test_a_pull_request_that_cannot_be_shown_hides_nothing_else(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = deaf_world(make_world)
    fake.fail(f"GET /api/v1/repos/{world.repo}/pulls/1/reviews", 500, times=None)
    assert world.pull({"app.py": "one\n"}) == 1
    issue = world.issue("Crash", "stub: write a.txt x")
    world.comment(issue, "/kugetsu do it")
    world.wait_for_result(issue)


def test_many_long_comments_hide_nothing_else(
    make_world: MakeWorld, fake: FakeGitea, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gitea_http, "ANSWER_BYTES", 100_000)
    world = deaf_world(make_world)
    noise = world.issue("Noise")
    for _ in range(40):
        world.comment(noise, "x" * 3000, by=READER)
    issue = world.issue("Crash")
    world.comment(issue, "/kugetsu do it\nstub: write a.txt x")
    world.wait_for_result(issue)


def test_a_repository_that_is_used_again_is_looked_at_where_no_list_shows_it(
    make_world: MakeWorld, fake: FakeGitea, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_archived() -> bool:
        with world.database() as database:
            return bool(Watch.select(Watch.archived).scalar(database))

    monkeypatch.setattr(reconcile, "LOST_SECONDS", 1.0)
    world = make_world(RECONCILE_INTERVAL=INTERVAL)
    fake.forge.state.user(BOT).is_admin = True  # so it needs no part in the repository, and a list of those has it not
    fake.let(world.repo, BOT, None)
    issue = world.issue("One", "stub: write a.txt x")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    fake.archive(world.repo)
    world.wait_for(is_archived, "it to be seen")
    fake.archive(world.repo, archived=False)
    other = world.issue("Two", "stub: write b.txt x")
    with fake.webhooks_lost():
        world.label(other, "kugetsu/code")
    world.wait_for_result(other)
