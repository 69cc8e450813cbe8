"""What a person says while an agent works: cancel, status, help, more to do."""

import time

import pytest

from models.tables import Job
from tests.flows.conftest import MakeWorld
from tests.world import READER, WRITER, World

CANCEL_LIMIT = 2.0
"""Seconds from the comment to the end of every process of the agent's."""


def test_cancel_ends_the_agent_and_all_it_began(world: World) -> None:
    issue = world.issue("Count to a million", "stub: spawn 300\nstub: sleep 300")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    running = world.agent_processes()
    assert len(running) >= 2
    asked = time.monotonic()
    world.comment(issue, "/kugetsu cancel")
    world.wait_for(lambda: not world.agent_processes(), "no process of the agent's")
    assert time.monotonic() - asked < CANCEL_LIMIT
    result = world.wait_for_result(issue)
    assert "cancelled" in result
    assert world.labels(issue) == ["kugetsu/cancelled"]
    assert [job.outcome for job in world.jobs()] == ["cancelled"]


def test_what_waits_can_be_cancelled(make_world: MakeWorld) -> None:
    world = make_world(MAX_CONCURRENT_AGENTS="1")
    first = world.issue("Long", "stub: wait go\nstub: write app.py one")
    world.label(first, "kugetsu/code")
    world.wait_for_agents(1)
    second = world.issue("Never", "stub: write app.py two")
    world.label(second, "kugetsu/code")
    world.wait_for_label(second, "kugetsu/queued")
    world.comment(second, "/kugetsu cancel")
    world.wait_for_label(second, "kugetsu/cancelled")
    world.let_go(first, "go")
    world.wait_for_result(first)
    assert [job.outcome for job in world.jobs()] == ["completed", "cancelled"]


def test_status_and_help_answer_while_every_slot_is_busy(make_world: MakeWorld) -> None:
    world = make_world(MAX_CONCURRENT_AGENTS="1")
    busy = world.issue("Long", "stub: wait go")
    world.label(busy, "kugetsu/code")
    world.wait_for_agents(1)
    other = world.issue("What now?")
    world.comment(other, "/kugetsu help")
    world.comment(busy, "/kugetsu status")
    world.wait_until(lambda: world.said(other, "answer"), "help")
    world.wait_until(lambda: world.said(busy, "answer"), "status")
    assert "/kugetsu" in world.said(other, "answer")[0]
    assert "Working on it" in world.said(busy, "answer")[0]
    world.let_go(busy, "go")
    world.wait_for_result(busy)


def test_a_reader_cannot_cancel(world: World) -> None:
    issue = world.issue("Long", "stub: wait go\nstub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    comment = world.comment(issue, "/kugetsu cancel", by=READER)
    world.wait_for_reaction(comment, "-1")
    world.let_go(issue, "go")
    assert "opened the pull request" in world.wait_for_result(issue)


def test_asks_made_meanwhile_gather_in_one_next_job_in_order(world: World) -> None:
    issue = world.issue("Start", "stub: wait go\nstub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    asks = [world.comment(issue, f"/kugetsu then\nstub: append order.txt {word}\\n") for word in ("a", "b", "c")]
    for ask in asks:
        world.wait_for_reaction(ask, "eyes")
    world.let_go(issue, "go")
    world.wait_for_result(issue, 2)
    assert len(world.jobs()) == 2
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "order.txt") == "a\nb\nc\n"
    sessions = {run.session for run in world.agent_runs()}
    assert len(sessions) == 1


def test_a_follow_up_is_told_only_what_is_new(world: World) -> None:
    issue = world.issue("Start", "The first words.\nstub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.comment(issue, "Something said in between.")
    world.comment(issue, "/kugetsu now more\nstub: write app.py two")
    world.wait_for_result(issue, 2)
    first, second = world.agent_runs()
    assert "The first words." in first.prompt
    assert "The first words." not in second.prompt
    assert "Something said in between." in second.prompt
    assert "now more" in second.prompt


def test_retry_goes_on_where_a_failed_job_stopped(make_world: MakeWorld) -> None:
    world = make_world(MAX_ATTEMPTS="1")
    issue = world.issue("Trouble", "stub: write app.py half\nstub: once fail 429 slow down\nstub: write app.py whole")
    world.label(issue, "kugetsu/code")
    assert "failed" in world.wait_for_result(issue)
    assert world.labels(issue) == ["kugetsu/failed"]
    world.comment(issue, "/kugetsu retry\nstub: append app.py whole")
    world.wait_for_result(issue, 2)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "halfwhole"


def test_what_is_asked_while_a_broken_off_job_waits_replaces_nothing(world: World) -> None:
    issue = world.issue("Start", "stub: once fail 429 slow down\nstub: write one.txt one")
    world.label(issue, "kugetsu/code")
    world.wait_until(lambda: [job for job in world.jobs() if job.not_before], "the job to wait for its second attempt")
    world.wait_for_reaction(world.comment(issue, "/kugetsu and this\nstub: write two.txt two"), "eyes")
    with world.database() as db:
        Job.update(not_before=0.0).execute(db)
    world.wait_for_result(issue)
    assert len(world.jobs()) == 1
    assert len({run.session for run in world.agent_runs()}) == 1
    assert [world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", f"{n}.txt") for n in ("one", "two")] == [
        "one",
        "two",
    ]


def test_a_misspelt_command_gets_a_question_and_no_agent(world: World) -> None:
    issue = world.issue("Oops")
    world.comment(issue, "/kugetsu cancle")
    world.wait_until(lambda: world.said(issue, "answer"), "did you mean")
    assert "Did you mean" in world.said(issue, "answer")[0]
    world.wait_quiet()
    assert world.jobs() == []


@pytest.mark.parametrize("text", ["> /kugetsu do it", "```\n/kugetsu do it\n```", "<!-- /kugetsu do it -->"])
def test_quotes_code_and_html_comments_never_speak(world: World, text: str) -> None:
    issue = world.issue("Quiet")
    world.comment(issue, text)
    world.wait_quiet()
    assert world.jobs() == []
    assert world.said(issue) == []


def test_the_closing_word_goes_to_everyone_who_asked(world: World) -> None:
    world.gitea.let(world.repo, "eve", "write")
    issue = world.issue("Start", "stub: wait go")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    for person in (WRITER, "eve"):
        world.wait_for_reaction(world.comment(issue, "/kugetsu and this", by=person), "eyes")
    world.let_go(issue, "go")
    second = world.wait_for_result(issue, 2)
    assert f"@{WRITER} @eve" in second


def test_no_process_is_left_after_a_job(world: World) -> None:
    issue = world.issue("Leaves something behind", "stub: spawn 300\nstub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    assert world.agent_processes() == []
