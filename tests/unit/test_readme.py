"""The README's table of what a person can do on an issue: each row is held by flow tests, and each row has some."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ROWS = {
    "put the label `kugetsu/code` on an issue": ["test_a_label_becomes_a_pull_request"],
    "comment `/kugetsu`, `/oc`, `/opencode` or `@bot`, then what you want": [
        "test_a_comment_becomes_a_pull_request",
        "test_every_name_it_answers_to",
    ],
    "comment again, later or while it runs": [
        "test_a_follow_up_continues_on_the_same_branch",
        "test_asks_made_meanwhile_gather_in_one_next_job_in_order",
        "test_a_follow_up_is_told_only_what_is_new",
    ],
    "ask for more than can be done at once": [
        "test_five_labels_and_one_slot",
        "test_a_pause_is_told_and_lets_what_runs_run",
    ],
    "put `priority/high` or `priority/low` on the issue, or ask with `--priority high`": [
        "test_what_is_urgent_goes_first"
    ],
    "`/kugetsu cancel`": ["test_cancel_ends_the_agent_and_all_it_began", "test_what_waits_can_be_cancelled"],
    "`/kugetsu retry`": ["test_retry_goes_on_where_a_failed_job_stopped"],
    "close the issue, or its pull request": [
        "test_closing_the_issue_cancels_what_runs_and_says_so",
        "test_closing_the_issue_cancels_what_waits",
        "test_closing_the_pull_request_cancels_and_the_next_ask_opens_another",
    ],
    "reopen it": [
        "test_reopening_lets_the_same_conversation_continue",
        "test_a_label_on_a_closed_issue_waits_for_it_to_be_reopened",
    ],
    "merge the pull request": [
        "test_merging_cancels_what_runs_and_then_frees_the_place",
        "test_after_the_merge_the_next_ask_begins_anew",
    ],
    "comment `/kugetsu` on Kugetsu's pull request": [
        "test_a_comment_on_our_pull_request_continues_its_issue",
        "test_asks_from_both_places_are_answered_in_both",
    ],
    "review Kugetsu's pull request and request changes, or write `/kugetsu` in a review or on one of its lines": [
        "test_a_review_is_one_job_however_many_lines",
        "test_a_word_on_a_single_line_is_enough",
        "test_requested_changes_are_made_without_a_command",
    ],
    "review it without either": [
        "test_other_reviews_are_no_asks",
        "test_a_review_that_did_not_ask_is_told_to_the_agent_with_the_next_ask",
    ],
    "comment or review with `/kugetsu` on somebody else's pull request": [
        "test_work_on_somebodys_pull_request_goes_to_its_branch",
        "test_nothing_is_pushed_to_a_fork",
        "test_nothing_is_pushed_to_the_default_branch",
    ],
    "`/kugetsu --fresh`": ["test_fresh_forgets_the_conversation_and_keeps_the_branch"],
    "edit a comment": ["test_an_edited_comment_speaks_only_if_it_had_not_spoken"],
    "delete a comment before it was read": ["test_a_comment_deleted_before_it_was_admitted_is_dropped_without_a_word"],
    "`/kugetsu status`, `/kugetsu help`": ["test_status_and_help_answer_while_every_slot_is_busy"],
    "`/kugetsu cancle`": ["test_a_misspelt_command_gets_a_question_and_no_agent"],
    "put `kugetsu/research` on an issue, or comment `/kugetsu research …`": [
        "test_a_label_brings_findings_and_pushes_nothing",
        "test_long_findings_are_attached",
    ],
    "answer a question with `/kugetsu …`": ["test_an_answer_goes_on_in_the_same_conversation"],
    "put `kugetsu/review` on a pull request, or comment `/kugetsu review …`": [
        "test_a_label_on_a_pull_request_brings_one_review",
        "test_a_comment_asks_for_a_review_and_nothing_is_pushed",
        "test_a_pull_request_from_a_fork_is_read_and_not_run",
    ],
    "ask for a review again": [
        "test_a_second_ask_reviews_only_what_is_new",
        "test_where_nothing_is_new_no_agent_runs",
    ],
    "put `kugetsu/NAME` on, for a recipe of the repository's own": [
        "test_a_label_of_its_own_recipe_is_an_ask",
        "test_a_recipe_nobody_knows_is_refused_with_those_there_are",
    ],
    "break `.kugetsu.toml`": ["test_a_broken_file_is_told_once_and_the_last_good_one_holds"],
    "let the agent touch what the gate closes: `forbidden` paths, workflows, hooks, submodules, links that lead out, "
    "secrets, more than 3,000 files or 100 MiB": [
        "test_a_workflow_is_not_pushed",
        "test_what_it_forbids_is_not_pushed",
    ],
    "name a `verify` command in `.kugetsu.toml`": ["test_a_green_check_stands_in_the_pull_request"],
    "(the check fails)": [
        "test_red_goes_back_to_the_agent_in_the_same_session",
        "test_still_red_makes_a_draft_that_says_so",
        "test_a_later_green_run_makes_a_draft_ready",
    ],
    "name a `setup` command there": [
        "test_the_setup_runs_once_in_a_place_and_before_the_agent",
        "test_a_setup_that_fails_is_told_and_no_agent_starts",
    ],
    "let a budget run out (`KUGETSU_MAX_TOKENS_PER_JOB` and its like)": [
        "test_a_spent_budget_ends_the_agent_and_its_work_becomes_a_draft",
        "test_people_are_warned_before",
    ],
    "ask where the month's budget is spent": ["test_a_spent_month_holds_the_repository_until_the_next_one"],
    "set `KUGETSU_VERBOSITY`": [
        "test_quiet_is_only_the_closing_word",
        "test_default_follows_the_job_and_closes_with_a_word",
        "test_verbose_shows_the_steps_as_they_come",
    ],
    "ask without the right to write to the repository": ["test_a_reader_may_not_ask_and_is_told_once"],
    "lose that right while the agent works": ["test_nothing_is_pushed_for_who_may_not_write_any_more"],
}


def rows_of_the_readme() -> list[str]:
    section = (ROOT / "README.md").read_text().split("### All there is to say", 1)[1].split("\n### ", 1)[0]
    table = section.split("| you do |", 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


@pytest.fixture(scope="module")
def flows() -> set[str]:
    files = [path for folder in ("flows", "attacks") for path in (ROOT / "tests" / folder).glob("test_*.py")]
    return {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}


def test_each_row_has_its_flow_tests_and_none_is_forgotten() -> None:
    assert rows_of_the_readme() == list(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_the_flow_tests_of_a_row_are_there(row: str, flows: set[str]) -> None:
    assert ROWS[row]
    assert set(ROWS[row]) <= flows
