"""Gitea down, slow or in trouble at any step: what is to be told waits, and is told once, in its order."""

import re
import socket
import time
from collections import Counter
from functools import partial
from typing import Any

import httpx
import pytest
from peewee import Database

from models import ledger
from models.moves import State
from models.side_tables import Bookmark
from models.tables import Repo, Thread
from tests.fakes.gitea import FakeGitea, Fault
from tests.fakes.gitea.record import Exchange
from tests.flows.conftest import MakeWorld
from tests.forge_protocol import AnyGitea
from tests.world import BOT, WRITER, World

TROUBLES = ("500", "502", "429", "401", "slow", "refused", "dropped", "cut")
"""What happens to one and the same request, one after the other, before it may succeed."""


class Gauntlet:
    """Each request to Gitea, known by its method and path, meets every trouble before it may succeed: first those
    without an effect. `points` are the requests, without their numbers, and the troubles they met.
    """

    def __init__(self) -> None:
        self._met: Counter[str] = Counter()
        self.points: set[tuple[str, str]] = set()

    def choose(self, exchange: Exchange) -> Fault | None:
        asked = f"{exchange.method} {exchange.path}"
        met, self._met[asked] = self._met[asked], self._met[asked] + 1
        if met >= len(TROUBLES):
            return None
        self.points.add((re.sub(r"\b[0-9]+\b", "N", asked), TROUBLES[met]))
        return self._fault(TROUBLES[met])

    @staticmethod
    def _fault(trouble: str) -> Fault:
        match trouble:
            case "refused":
                return Fault("drop", "", "before", None)
            case "dropped":
                return Fault("drop", "", "after", None)
            case "cut":
                return Fault("cut", "", "after", None)
            case "slow":
                return Fault("slow", "", "before", None, seconds=0.05)
            case status:
                return Fault("fail", "", "before", None, status=int(status), retry_after="0")


def told_once(world: World, issues: list[int]) -> None:
    """Every issue has its pull request, its two comments and its label, and nothing twice."""
    assert [(job.outcome, job.error) for job in world.jobs()] == [("completed", "")] * len(issues)
    assert [[len(world.said(issue, part)) for part in ("live", "result")] for issue in issues] == [[1, 1]] * len(issues)
    assert [world.labels(issue) for issue in issues] == [["kugetsu/done"]] * len(issues)
    heads = sorted(pull.pull.head_branch for pull in world.gitea.pulls_of(world.repo) if pull.pull)
    assert heads == sorted(f"kugetsu/issue-{issue}" for issue in issues)
    assert len(world.agent_runs()) == len(issues)


@pytest.mark.usefixtures("hurried")
def test_every_request_meets_every_trouble(make_world: MakeWorld, fake: FakeGitea) -> None:
    world, gauntlet = make_world(RECONCILE_INTERVAL="1s"), Gauntlet()
    issue = world.issue("Crash", "stub: wait go\nstub: write app.py fixed")
    fake.trouble_each(gauntlet.choose)
    world.label(issue, "kugetsu/code")
    started = lambda: world.agent_runs() and world.said(issue, "live")  # noqa: E731
    world.wait_until(started, "the agent, and the comment that is edited later", timeout=120.0)
    world.let_go(issue, "go")
    world.wait_for_result(issue, timeout=120.0)
    fake.trouble_each(None)
    world.wait_quiet()
    told_once(world, [issue])
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "fixed"
    steps = {step for step, _ in gauntlet.points}
    print(f"{len(gauntlet.points)} points at {len(steps)} requests")
    assert {
        "GET /api/v1/user",
        "GET /api/v1/repos/acme/widgets/issues/N/timeline",
        "GET /acme/widgets.git/info/refs",
        "POST /acme/widgets.git/git-upload-pack",
        "POST /acme/widgets.git/git-receive-pack",
        "POST /api/v1/repos/acme/widgets/pulls",
        "POST /api/v1/repos/acme/widgets/issues/N/comments",
        "PATCH /api/v1/repos/acme/widgets/issues/comments/N",
        "POST /api/v1/repos/acme/widgets/issues/N/labels",
    } <= steps


@pytest.mark.usefixtures("hurried")
@pytest.mark.timeout(600)  # a real server takes a second for each push
def test_an_outage_in_the_middle_of_jobs(make_world: MakeWorld, gitea: AnyGitea) -> None:
    world, issues = _in_the_middle_of_jobs(make_world, 10)
    gitea.down()
    _all_waits(world, issues)
    gitea.up()
    _all_is_told(world, issues)


@pytest.mark.usefixtures("hurried")
def test_a_server_whose_name_nobody_knows_in_the_middle_of_jobs(
    make_world: MakeWorld, fake: FakeGitea, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, issues = _in_the_middle_of_jobs(make_world, 2)
    port, look_up = int(fake.url.rpartition(":")[2]), socket.getaddrinfo

    def nobody(host: Any, wanted: Any, *args: Any, **more: Any) -> Any:
        if wanted == port:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return look_up(host, wanted, *args, **more)

    fake.down()
    with monkeypatch.context() as names:
        names.setattr(socket, "getaddrinfo", nobody)
        _all_waits(world, issues)
    fake.up()
    _all_is_told(world, issues)


def _in_the_middle_of_jobs(make_world: MakeWorld, count: int) -> tuple[World, list[int]]:
    """Half of the jobs run, the others wait."""
    world = make_world(MAX_CONCURRENT_AGENTS=str(count // 2))
    issues = [world.issue(f"Number {number}", f"stub: wait go\nstub: write f{number}.txt x") for number in range(count)]
    for issue in issues:
        world.label(issue, "kugetsu/code")
    world.wait_for_agents(count // 2)
    world.wait_until(lambda: all("kugetsu/code" not in world.labels(issue) for issue in issues), "all heard")
    return world, issues


def _all_waits(world: World, issues: list[int]) -> None:
    """The agents that run come to their end, nobody can be told, and that is known."""
    for issue in issues:
        _let_go(world, issue)
    running = len(issues) // 2
    world.wait_for(lambda: sum(job.state == "reporting" for job in world.jobs()) == running, "results that wait")
    world.wait_for(lambda: any("gitea" in reason for reason in reasons(world)), "the outage to be noticed")


def _all_is_told(world: World, issues: list[int]) -> None:
    for issue in issues:
        world.wait_for(partial(_told, world, issue), f"#{issue} to be told", 60.0)
    world.wait_quiet()
    told_once(world, issues)
    assert {job.attempt for job in world.jobs()} == {0}


def _let_go(world: World, issue: int) -> None:
    """Let the agent of the issue go, where there is one by now."""
    for place in (world.home / "worktrees").glob(f"*-widgets-{issue}"):
        if (place / "tmp").is_dir():
            (place / "tmp" / "go").touch()


def _told(world: World, issue: int) -> bool:
    _let_go(world, issue)
    return bool(world.said(issue, "result"))


def reasons(world: World) -> list[str]:
    """Why the service is not ready."""
    answer = httpx.get(f"{world.halves.url}/readyz")
    return [str(reason) for reason in answer.json()["reasons"]]


@pytest.mark.usefixtures("hurried")
def test_a_token_that_is_no_good_is_named_and_nothing_fails(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = make_world()
    issue = world.issue("Crash", "stub: wait go\nstub: write app.py fixed")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    world.wait_for_label(issue, "kugetsu/running")
    token = fake.forge.state.tokens[world.token]
    good, token.scopes = token.scopes, ("read:repository", "write:issue", "read:user")
    _let_go(world, issue)
    world.wait_for(lambda: any("write:repository" in reason for reason in reasons(world)), "the scope to be named")
    fake.revoke(world.token)
    world.wait_for(lambda: any("(401)" in reason for reason in reasons(world)), "the token to be named")
    world.wait_for(lambda: [job.state for job in world.jobs()] == ["reporting"], "a result that waits")
    status = httpx.get(f"{world.halves.url}/admin/status").json()
    assert "(401)" in status["gitea"]["gitea"]["problem"]
    token.scopes = good
    fake.forge.state.tokens[world.token] = token
    world.wait_for_result(issue)
    told_once(world, [issue])


def test_a_machine_whose_clock_was_set_back_holds_nothing_up(world: World) -> None:
    issue = world.issue("Crash", "stub: write app.py fixed")
    world.halves.stop_worker()
    world.label(issue, "kugetsu/code")
    world.wait_for(lambda: len(world.deliveries()) > 1, "the label to be told of")
    later = time.time() + 7200.0
    with world.database() as database:
        Bookmark.update(at=int(later)).where(Bookmark.name.startswith("clock of ")).execute(database)
        Thread.update(desk_not_before=later).execute(database)
    world.halves.start_worker()
    world.wait_for_result(issue)
    told_once(world, [issue])


def test_what_is_to_be_told_on_a_server_that_left_the_settings_waits(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    issue = world.issue("Crash", "stub: write app.py fixed")
    world.halves.stop_worker()
    world.label(issue, "kugetsu/code")
    world.wait_for(lambda: len(world.deliveries()) > 1, "the label to be told of")
    belongs_to(world, "elsewhere")
    world.halves.start_worker()
    world.wait_for(lambda: "no address and token for the server" in problem(world), "a word on why it waits")
    assert "Traceback" not in caplog.text
    belongs_to(world, world.server)
    world.wait_for_result(issue)


def belongs_to(world: World, server: str) -> None:
    """The one conversation is on that server from now on."""
    with world.database() as database, database.atomic():
        Repo.update(server=server).execute(database)
        Thread.update(server=server, desk_not_before=0.0).execute(database)


def problem(world: World) -> str:
    with world.database() as database:
        return str(Thread.select(Thread.desk_problem).scalar(database))


@pytest.mark.usefixtures("hurried")
def test_a_report_that_breaks_off_before_its_last_step_is_finished_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = ledger.move
    broken: list[int] = []

    def break_off_once(db: Database, job_id: int, source: State, target: State, **more: Any) -> bool:
        if target is State.DONE and not broken:
            broken.append(job_id)
            raise RuntimeError("as if it had been killed here")
        return move(db, job_id, source, target, **more)

    monkeypatch.setattr(ledger, "move", break_off_once)
    issue = world.issue("Report it", "stub: write app.py done")
    world.label(issue, "kugetsu/code")
    world.wait_until(lambda: broken and world.jobs()[0].state == "done", "the job to be done")
    world.wait_for_result(issue)
    assert len(world.said(issue, "result")) == 1


def test_pushes_that_hang_leave_room_for_other_issues(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = make_world(MAX_CONCURRENT_AGENTS="4")
    held = fake.hold("POST /acme/widgets.git/git-receive-pack", times=None)
    stuck = [world.issue(f"Number {number}", f"stub: write f{number}.txt x") for number in range(3)]
    for issue in stuck:
        world.label(issue, "kugetsu/code")
    world.wait_until(lambda: held.hits >= 1, "a push to hang")
    world.wait_for(lambda: {job.state for job in world.jobs()} == {"reporting"}, "all agents to end")
    other = world.issue("Another one", "stub: say All well.")
    world.comment(other, "/kugetsu research it\nstub: say All well.")
    world.wait_until(lambda: world.said(other, "result"), "the other issue to be told")
    held.cancel()
    for issue in stuck:
        world.wait_for_result(issue)


def test_a_gitea_that_was_restored_from_a_backup_loses_no_words_of_others(
    make_world: MakeWorld, fake: FakeGitea
) -> None:
    """What we said since the backup is gone, and its number is somebody else's comment now; so are branch and pull."""
    world = make_world()
    issue = world.issue("Crash", "stub: append app.py fixed\\n")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.comment(issue, "/kugetsu more\nstub: wait go\nstub: append app.py more\\n")
    world.wait_for_agents(2)
    world.wait_for_label(issue, "kugetsu/running")
    world.wait_for(lambda: len(world.said(issue, "live")) == 2, "the comment that follows the second job")
    ours = fake.comments_of(world.repo, issue, BOT)[-1]
    fake.delete_comment(world.repo, ours, BOT)
    theirs = world.comment(issue, "This is what I think.")
    theirs.id = ours.id
    fake.delete_branch(world.repo, f"kugetsu/issue-{issue}", WRITER)
    world.let_go(issue, "go")
    world.wait_for_result(issue, 2)
    assert theirs.body == "This is what I think."
    assert [job.outcome for job in world.jobs()] == ["completed"] * 2
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") is not None
