"""Budgets: a warning, an end that keeps the work, and what a spent month holds back."""

from typing import Any

import httpx
import pytest

from jobs.workspace import Made, MirrorBusy, Workspace
from models.side_tables import Spending
from tests.flows.conftest import MakeWorld


def test_a_spent_budget_ends_the_agent_and_its_work_becomes_a_draft(make_world: MakeWorld) -> None:
    world = make_world(MAX_TOKENS_PER_JOB="1000")
    issue = world.issue("Do much", "stub: tokens 900 300 0.5\nstub: write a.txt one\nstub: wait for ever")
    world.label(issue, "kugetsu/code")
    result = world.wait_for_result(issue)
    assert "cut short: the budget of one job, 1,000 tokens, is spent (1,200 tokens used)." in result
    pull = world.next_pull(issue)
    assert f"in the pull request #{pull.number}, a draft" in result
    assert pull.title.startswith("WIP: ")
    assert "**Not ready to be merged**: the work was cut short." in pull.body
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "a.txt") == "one"
    assert world.labels(issue) == ["kugetsu/failed"]
    assert "**Cut short**" in world.said(issue, "live")[0]


def test_a_retry_goes_on_with_a_budget_of_its_own_and_ends_the_draft(make_world: MakeWorld) -> None:
    world = make_world(MAX_TOKENS_PER_JOB="1000")
    issue = world.issue("Do much", "stub: once tokens 900 300 0.5\nstub: write a.txt one\nstub: wait go")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.let_go(issue, "go")
    world.comment(issue, "/kugetsu retry")
    world.wait_for_result(issue, 2)
    assert world.next_pull(issue).title == "Do much"
    assert [job.outcome for job in world.jobs()] == ["failed", "completed"]


def test_people_are_warned_before(make_world: MakeWorld) -> None:
    world = make_world(MAX_COST_PER_JOB="0.60")
    script = "stub: tokens 10 5 0.5\nstub: write a.txt one\nstub: tokens 1 1 0\nstub: wait go"
    issue = world.issue("Do something", script)
    world.label(issue, "kugetsu/code")
    world.wait_until(lambda: "More than 80 %" in "".join(world.said(issue, "live")), "the warning")
    assert "the budget of one job, $0.60, is used" in world.said(issue, "live")[0]
    world.let_go(issue, "go")
    assert "opened the pull request" in world.wait_for_result(issue)
    assert "80 %" not in world.said(issue, "live")[0]


def test_an_issue_whose_budget_is_spent_takes_no_more(make_world: MakeWorld) -> None:
    world = make_world(MAX_TOKENS_PER_ISSUE="100")
    issue = world.issue("Do something", "stub: tokens 100 20 0.1\nstub: say done")
    world.label(issue, "kugetsu/code")
    assert "nothing to change" in world.wait_for_result(issue), "what is finished is finished"
    asked = world.comment(issue, "/kugetsu more")
    world.wait_for_reaction(asked, "-1")
    (refused,) = world.wait_until(lambda: world.said(issue, "refused"), "the reason")
    assert "the budget of one issue, 100 tokens, is spent (240 tokens used)" in refused
    assert len(world.agent_runs()) == 1


def test_a_spent_month_holds_the_repository_until_the_next_one(make_world: MakeWorld) -> None:
    world = make_world(MAX_COST_PER_REPO_MONTH="1")
    first = world.issue("First", "stub: tokens 10 5 1.5\nstub: say done")
    world.label(first, "kugetsu/code")
    world.wait_for_result(first)
    second = world.issue("Second", "stub: say done")
    world.label(second, "kugetsu/code")
    world.wait_until(lambda: "held: " in "".join(world.said(second, "live")), "the reason")
    live = world.said(second, "live")[0]
    assert "held: the budget of this repository in a month, $1.00, is spent; it starts on 1 " in live
    assert len(world.agent_runs()) == 1
    with world.database() as database:
        Spending.update(day="2000-01-01").execute(database)
    world.wait_for_result(second)
    assert len(world.agent_runs()) == 2, "a new month, or a higher limit, lets it start by itself"


def test_the_status_says_what_was_spent(make_world: MakeWorld) -> None:
    world = make_world(MAX_COST_PER_MONTH="100")
    issue = world.issue("Do something", "stub: tokens 50 10 0.125\nstub: say done")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    status = httpx.get(f"{world.halves.url}/admin/status", trust_env=False).json()
    assert status["spending"]["today"] == status["spending"]["month"] == {"tokens": 120, "cost": 0.25}
    assert status["spending"]["repos"] == {"gitea/acme/widgets": {"tokens": 120, "cost": 0.25}}
    assert status["spending"]["limits"] == {"all_cost": 100.0}


@pytest.mark.usefixtures("hurried")
def test_what_was_done_is_brought_also_where_it_cannot_be_taken_at_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, collect, busy = make_world(MAX_TOKENS_PER_JOB="1000"), Workspace.collect, [True]

    def collect_later(*args: Any, **more: Any) -> Made:
        if busy:
            busy.clear()
            raise MirrorBusy("busy")
        return collect(*args, **more)

    monkeypatch.setattr(Workspace, "collect", collect_later)
    issue = world.issue("Do much", "stub: tokens 900 300 0.5\nstub: write a.txt one\nstub: wait for ever")
    world.label(issue, "kugetsu/code")
    assert "a draft" in world.wait_for_result(issue)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "a.txt") == "one"
