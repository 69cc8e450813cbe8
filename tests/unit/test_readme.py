"""The README's tables of what a person can do on an issue, and of what can fail: each row is held by tests."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ASKED = {
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


FAILED = {
    "a worker is killed, or crashes": [
        "test_a_killed_worker_costs_its_agent_nothing",
        "test_a_killed_worker_costs_a_check_nothing",
        "test_a_half_that_dies_is_started_again",
        "test_a_worker_that_is_killed_costs_no_answer_and_the_agent_finds_no_key",
    ],
    "the HTTP side is killed": [
        "test_who_calls_while_the_http_side_starts_again_waits_and_is_answered",
        "test_twenty_asks_without_a_webhook_run_once_each_and_resends_add_nothing",
    ],
    "the agent is killed, by the kernel for want of memory, say": ["test_all_is_well_after_a_kill_at_any_point"],
    "all is killed: the power fails, the container is replaced": [
        "test_a_container_that_is_killed_resumes_in_the_session",
        "test_a_job_whose_worker_dies_again_and_again_is_given_up",
    ],
    "the service is stopped, restarted or updated": [
        "test_all_that_is_told_to_end_ends_and_the_next_start_takes_the_agent_over",
        "test_where_agents_are_told_to_end_as_well_they_resume_and_it_counts_as_nothing",
        "test_agents_that_are_killed_after_a_planned_end_count_as_nothing",
        "test_what_hangs_keeps_nobody_from_ending",
        "test_a_new_version_takes_over_what_the_old_one_left_running",
    ],
    "the database is locked by another program": [
        "test_while_another_program_holds_the_database_webhooks_are_refused_and_jobs_wait"
    ],
    "a disk of `KUGETSU_HOME`, or of `KUGETSU_TEMP_DIR`, is nearly full (a fiftieth free, at least 512 MiB and at most "
    "2 GiB), or can hold hardly any more files": [
        "test_before_the_disk_is_full_nothing_new_starts_and_the_issue_says_why",
        "test_a_disk_that_can_hold_no_more_files_is_full_whatever_is_free_on_it",
        "test_the_disk_of_the_agents_places_counts_where_that_is_another",
    ],
    "one issue's folder takes more than a quarter of the disk, or of the files that it can hold": [
        "test_an_agent_whose_folder_takes_too_much_is_ended_and_what_it_took_is_given_back"
    ],
    "the disk is full, or a folder of the service read-only": [
        "test_on_a_full_disk_a_webhook_is_refused_with_words_and_taken_later",
        "test_a_disk_that_fills_while_agents_work_costs_no_job",
        "test_on_a_read_only_disk_it_starts_says_so_and_works_once_it_can",
    ],
    "the disk fills with what is old": [
        "test_a_closed_and_quiet_conversation_goes_and_an_open_one_keeps_its_unpushed_work",
        "test_old_deliveries_go_and_the_file_gets_smaller",
    ],
    "the power, in the middle of a write": ["test_after_kill_9_and_with_a_torn_wal_everything_acknowledged_is_there"],
    "the machine, or its disk, is lost": [
        "test_from_a_backup_of_a_service_at_work_the_running_conversation_goes_on",
        "test_in_another_home_places_point_to_it_and_sessions_begin_anew",
    ],
    "the database is damaged": ["test_what_comes_while_the_database_is_damaged_is_refused_with_words"],
    "`queue.db` is locked, damaged or gone": [
        "test_while_another_program_holds_the_doorbell_webhooks_are_taken_and_seen_to_afterwards",
        "test_a_file_that_is_spoilt_while_both_sides_use_it_is_begun_anew",
    ],
    "`kugetsu.db` is moved or deleted": [
        "test_what_comes_while_the_database_is_gone_is_refused_and_taken_once_it_is_back",
        "test_a_service_that_has_lost_its_database_does_not_begin_anew_among_old_jobs",
    ],
    "an update is interrupted while it changes the database": [
        "test_killed_at_any_statement_of_any_migration_nothing_is_lost_and_the_next_start_ends_it",
        "test_of_two_that_migrate_at_once_each_migration_is_done_by_one",
    ],
    "an older version is started on the database of a newer one": [
        "test_a_database_of_a_newer_version_is_refused_in_one_line"
    ],
    "a webhook is changed, switched off or deleted in Gitea": ["test_it_is_kept_right"],
    "Gitea may not call Kugetsu's address, or does not reach it": [
        "test_a_test_delivery_that_gitea_will_not_send_is_seen",
        "test_gitea_may_not_call_our_address",
    ],
    "the webhook secret is changed": ["test_the_secret_has_changed_so_another_one_is_made"],
    "a delivery was ignored because of a setting": ["test_what_a_setting_kept_out_counts_once_the_setting_is_changed"],
    "a setting is wrong": ["test_what_is_set_wrong_ends_the_start_with_one_line"],
    "Gitea loses a webhook, or there is none": [
        "test_twenty_asks_without_a_webhook_run_once_each_and_resends_add_nothing",
        "test_what_was_said_in_more_than_a_week_without_us_is_found",
    ],
    "the clock of the machine is set back": ["test_a_machine_whose_clock_was_set_back_holds_nothing_up"],
    "Gitea is down, slow, answers 5xx or half, drops connections, cannot be resolved": [
        "test_every_request_meets_every_trouble",
        "test_an_outage_in_the_middle_of_jobs",
        "test_a_server_whose_name_nobody_knows_in_the_middle_of_jobs",
    ],
    "Gitea, or a proxy, answers 429": ["test_every_request_meets_every_trouble"],
    "Gitea, or a proxy before it, answers a byte a second, or with a page of its own": [
        "test_an_answer_that_does_not_come_is_given_up",
        "test_what_is_not_giteas_is_no_success",
        "test_what_a_proxy_says_is_no_empty_repository",
    ],
    "git hangs, while the rest of Gitea answers": [
        "test_pushes_that_hang_leave_room_for_other_issues",
        "test_a_transfer_that_hangs_is_given_up_by_git_itself",
    ],
    "Gitea is restored from an older backup": ["test_a_gitea_that_was_restored_from_a_backup_loses_no_words_of_others"],
    "the machine, or one worker of several, stands still for minutes": ["test_what_it_does_late_changes_nothing"],
    "Gitea will never take the pull request, or its repository takes none": [
        "test_where_gitea_will_never_take_the_pull_request_somebody_is_told",
        "test_where_pull_requests_are_switched_off_somebody_is_told",
    ],
    "Kugetsu itself stumbles over one ask": [
        "test_an_ask_on_which_kugetsu_itself_stumbles_keeps_no_other_waiting",
    ],
    "somebody deletes Kugetsu's pull request": [
        "test_what_is_asked_when_our_pull_request_was_deleted_gets_another",
        "test_where_our_pull_request_was_deleted_the_issue_is_still_heard",
    ],
    "the token is revoked, or lacks a scope": [
        "test_a_token_that_is_no_good_is_named_and_nothing_fails",
        "test_one_that_is_refused_to_a_bad_token_waits_for_a_better_one",
    ],
    "a repository is renamed or moved": [
        "test_a_renamed_repository_is_followed_and_one_that_is_gone_is_given_up",
        "test_a_renamed_repository_keeps_its_unpushed_work",
        "test_what_an_agent_makes_while_its_repository_is_renamed_becomes_a_pull_request",
        "test_a_worker_that_starts_after_the_renaming_takes_the_agent_over",
        "test_a_conversation_goes_on_in_its_session_and_with_work_that_was_not_pushed",
        "test_another_repository_under_the_old_name_has_folders_of_its_own",
    ],
    "a repository or an issue is gone, or out of the bot's sight": [
        "test_a_renamed_repository_is_followed_and_one_that_is_gone_is_given_up",
        "test_work_on_an_issue_that_is_gone_is_given_up",
    ],
    "a repository is archived": ["test_what_is_to_be_told_in_an_archived_repository_waits"],
}

TABLES = {
    "All there is to say": ("| you do |", ASKED),
    "When something fails": ("| what can fail |", FAILED),
}


def rows_of_the_readme(heading: str, first: str) -> list[str]:
    section = (ROOT / "README.md").read_text().split(f"### {heading}", 1)[1].split("\n### ", 1)[0]
    table = section.split(first, 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


@pytest.fixture(scope="module")
def tests() -> set[str]:
    files = (ROOT / "tests").glob("*/test_*.py")
    return {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("heading", TABLES)
def test_each_row_has_its_tests_and_none_is_forgotten(heading: str) -> None:
    first, rows = TABLES[heading]
    assert rows_of_the_readme(heading, first) == list(rows)


@pytest.mark.parametrize(("row", "named"), [*ASKED.items(), *FAILED.items()])
def test_the_tests_of_a_row_are_there(row: str, named: list[str], tests: set[str]) -> None:
    assert named
    assert set(named) <= tests
