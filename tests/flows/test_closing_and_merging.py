"""How a conversation ends, and how it goes on or begins anew."""

import pytest

from tests.flows.conftest import MakeWorld
from tests.world import WRITER, World


def test_closing_the_issue_cancels_what_runs_and_says_so(world: World) -> None:
    issue = world.issue("Long", "stub: spawn 300\nstub: sleep 300")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    world.close(issue)
    world.wait_for(lambda: not world.agent_processes(), "no process of the agent's")
    assert f"{WRITER} closed the issue" in world.wait_for_result(issue)
    assert f"{WRITER} closed the issue" in world.said(issue, "live")[0]
    assert world.labels(issue) == ["kugetsu/cancelled"]


def test_closing_the_issue_cancels_what_waits(make_world: MakeWorld) -> None:
    world = make_world(MAX_CONCURRENT_AGENTS="1")
    first, second = world.issue("Long", "stub: wait go"), world.issue("Never", "stub: write app.py two")
    world.label(first, "kugetsu/code")
    world.wait_for_agents(1)
    world.label(second, "kugetsu/code")
    world.wait_for_label(second, "kugetsu/queued")
    world.close(second)
    world.wait_for_label(second, "kugetsu/cancelled")
    world.let_go(first, "go")
    world.wait_for_result(first)
    assert [job.outcome for job in world.jobs()] == ["completed", "cancelled"]


def test_reopening_lets_the_same_conversation_continue(world: World) -> None:
    issue = world.issue("Two halves", "stub: write app.py one\nstub: wait go\nstub: append app.py two")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    world.wait_for(lambda: world.session_known(issue), "the session to be known")
    world.close(issue)
    world.wait_for_result(issue)
    world.reopen(issue)
    world.let_go(issue, "go")
    world.comment(issue, "/kugetsu retry\nstub: append app.py two")
    assert "opened the pull request" in world.wait_for_result(issue, 2)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "onetwo"
    assert len({run.session for run in world.agent_runs()}) == 1


def test_a_label_on_a_closed_issue_waits_for_it_to_be_reopened(world: World) -> None:
    issue = world.issue("Not now", "stub: write app.py fixed")
    world.close(issue)
    world.label(issue, "kugetsu/code")
    world.wait_quiet()
    assert world.jobs() == []
    world.reopen(issue)
    world.next_pull(issue)
    world.wait_for_result(issue)


def test_what_is_asked_on_a_closed_issue_is_done(world: World) -> None:
    issue = world.issue("Done?", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.close(issue)
    world.wait_quiet()
    world.comment(issue, "/kugetsu one more thing\nstub: write README.md two")
    assert "updated the pull request" in world.wait_for_result(issue, 2)
    world.label(issue, "bug")
    world.wait_quiet()
    assert [job.outcome for job in world.jobs()] == ["completed", "completed"]


@pytest.mark.parametrize("how", ["merge", "squash", "squash, branch deleted"])
def test_after_the_merge_the_next_ask_begins_anew(world: World, how: str) -> None:
    issue = world.issue("Crash", "The first words.\nstub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    first = world.next_pull(issue)
    assert len(world.places()) == 1
    world.merge(first.number, how=how.partition(",")[0], delete_branch="," in how)
    world.wait_for(lambda: not world.places(), "the place to be freed")
    world.wait_quiet()
    world.gitea.push(world.repo, "main", {"later.txt": "later\n"}, WRITER)
    world.comment(issue, "/kugetsu more\nstub: write README.md two\nstub: run cp later.txt seen.txt")
    world.wait_for_result(issue, 2)
    run = world.agent_runs()[-1]
    assert "--session" not in run.argv
    assert "The first words." in run.prompt
    second = next(pull for pull in world.gitea.pulls_of(world.repo, "open"))
    assert second.number != first.number
    branch = f"kugetsu/issue-{issue}"
    assert world.gitea.file_at(world.repo, branch, "seen.txt") == "later\n"
    assert f"#{second.number}" in world.said(issue, "result")[1]


def test_merging_cancels_what_runs_and_then_frees_the_place(world: World) -> None:
    issue = world.issue("Crash", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    pull = world.next_pull(issue)
    world.comment(issue, "/kugetsu more\nstub: sleep 300")
    world.wait_for_agents(2)
    world.merge(pull.number)
    world.wait_for(lambda: not world.agent_processes(), "no process of the agent's")
    assert "cancelled" in world.wait_for_result(issue, 2)
    world.wait_for(lambda: not world.places(), "the place to be freed")


def test_nothing_new_to_do_after_a_squash_makes_no_pull_request(world: World) -> None:
    issue = world.issue("Crash", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.merge(world.next_pull(issue).number, how="squash")
    world.wait_for(lambda: not world.places(), "the place to be freed")
    world.comment(issue, "/kugetsu anything left?\nstub: say No.")
    assert "nothing to change" in world.wait_for_result(issue, 2)
    assert world.gitea.pulls_of(world.repo, "open") == []


def test_closing_the_pull_request_cancels_and_the_next_ask_opens_another(world: World) -> None:
    issue = world.issue("Crash", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    pull = world.next_pull(issue)
    world.comment(issue, "/kugetsu more\nstub: sleep 300")
    world.wait_for_agents(2)
    world.close(pull.number)
    assert f"{WRITER} closed the pull request" in world.wait_for_result(issue, 2)
    world.comment(issue, "/kugetsu differently\nstub: write app.py other")
    assert "opened the pull request" in world.wait_for_result(issue, 3)
    assert [found.state for found in world.gitea.pulls_of(world.repo)] == ["closed", "open"]


def test_fresh_forgets_the_conversation_and_keeps_the_branch(world: World) -> None:
    issue = world.issue("Crash", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.comment(issue, "/kugetsu --fresh look again\nstub: write README.md two")
    assert "updated the pull request" in world.wait_for_result(issue, 2)
    first, second = world.agent_runs()
    assert first.session != second.session
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "one"


def test_an_edited_comment_speaks_only_if_it_had_not_spoken(world: World) -> None:
    issue = world.issue("Crash")
    comment = world.comment(issue, "Somebody should mend this.")
    world.wait_quiet()
    assert world.jobs() == []
    world.edit(comment, "/kugetsu mend this\nstub: write app.py fixed")
    world.wait_for_result(issue)
    world.edit(comment, "/kugetsu mend that, too\nstub: write app.py broken")
    world.wait_quiet()
    assert len(world.jobs()) == 1
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "fixed"


def test_a_comment_deleted_before_it_was_admitted_is_dropped_without_a_word(world: World) -> None:
    issue = world.issue("Crash", "stub: write app.py one")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    world.halves.stop_worker()
    comment = world.comment(issue, "/kugetsu no, wait")
    world.gitea.settle()
    world.gitea.delete_comment(world.repo, comment, WRITER)
    before = len(world.said(issue))
    world.halves.start_worker()
    world.wait_quiet()
    assert len(world.said(issue)) == before
    assert world.labels(issue) == ["kugetsu/done"]
    assert [job.outcome for job in world.jobs()] == ["completed", "cancelled"]
