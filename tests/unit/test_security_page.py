"""The tables of deploy/SECURITY.md: each attack is made in the tests that are named here, in the files named there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "deploy/SECURITY.md"

ROWS = {
    "reads `/proc/*/environ`": [
        "test_our_processes_cannot_be_touched",
        "test_without_a_sandbox_they_can",
        "test_the_agent_gets_the_environment_of_its_spec_and_nothing_else",
    ],
    "reads the database": ["test_what_is_not_its_own_cannot_be_read", "test_without_a_sandbox_it_can"],
    "uses being root": ["test_it_is_not_root", "test_no_capability_is_left_and_none_can_be_had"],
    "writes outside its place": [
        "test_nothing_outside_its_place_can_be_changed",
        "test_no_program_can_be_planted_in_path",
    ],
    "makes namespaces": ["test_a_call_is_refused_and_would_be_served_without_the_filter"],
    "talks to abstract Unix sockets": ["test_an_abstract_socket_cannot_be_reached"],
    "calls the admin side": ["test_an_agent_is_shown_nothing", "test_it_would_steer_if_loopback_were_enough"],
    "leaves processes behind": [
        "test_children_that_fork_twice_and_leave_their_session_end_with_the_run",
        "test_they_would_stay_if_nobody_ended_them",
        "test_a_crowd_that_keeps_forking_ends_with_the_run",
    ],
    "takes all memory": [
        "test_who_takes_too_much_is_ended_and_the_reason_told",
        "test_without_a_limit_it_gets_it",
        "test_a_broken_limit_ends_the_run",
    ],
    "plants hooks, filters": [
        "test_nothing_planted_in_the_repository_runs_outside_the_sandbox",
        "test_the_theft_would_work_without_a_sandbox",
        "test_whatever_lies_where_the_commits_should_is_refused",
    ],
    "looks for a model's key": [
        "test_neither_environment_nor_files_nor_processes_hold_a_key",
        "test_a_worker_that_is_killed_costs_no_answer_and_the_agent_finds_no_key",
    ],
    "calls with no token": [
        "test_a_token_that_is_not_that_of_a_running_job",
        "test_without_the_look_at_the_token_it_would_go_through",
    ],
    "steals another job's token": ["test_the_token_of_another_job_is_out_of_sight"],
    "uses the gateway to reach": [
        "test_another_place_of_the_provider_or_another_host",
        "test_without_the_list_of_paths_everything_of_the_account_would_be_open",
    ],
    "has the provider repeat the key": [
        "test_an_answer_that_repeats_the_key_in_pieces",
        "test_without_the_veil_it_would_be_told",
    ],
    "takes the gateway's port": ["test_nobody_else_can_listen_on_its_port"],
    "spends without end": [
        "test_a_spent_budget_ends_it",
        "test_no_answer_is_for_nothing",
        "test_a_spent_budget_ends_the_agent_and_its_work_becomes_a_draft",
    ],
    "a stranger's issue is labelled": [
        "test_a_label_vouches_for_the_text_of_its_moment",
        "test_without_that_the_changed_text_would_be_obeyed",
    ],
    "a comment is changed": [
        "test_a_comment_changed_later_counts_as_it_was",
        "test_a_comment_whose_old_text_nobody_knows_is_left_out",
    ],
    "a stranger comments": [
        "test_a_stranger_s_comment_is_only_counted",
        "test_it_would_be_obeyed_if_everybody_were_heard",
    ],
    "a stranger answers": [
        "test_an_answer_is_not_the_reviewer_s_word",
        "test_it_would_be_if_the_list_were_taken_as_it_is",
    ],
    "orders in HTML comments": [
        "test_what_a_reader_cannot_see_is_not_told",
        "test_a_hidden_order_would_be_obeyed",
        "test_hidden_words",
        "test_no_text_ends_its_own_quotation",
        "test_nobody_can_end_his_own_quotation",
    ],
    "an attachment, or a link": ["test_a_file_is_fetched_from_the_forge_and_from_nowhere_else"],
    "AGENTS.md": [
        "test_the_branch_under_work_guides_nobody",
        "test_the_prelude_takes_a_repositorys_agent_files_away_and_git_does_not_mind",
        "test_the_repository_s_own_configuration_counts_where_its_default_branch_allows_it",
        "test_images_reach_the_model_and_nothing_of_the_branch_under_work_runs",
        "test_the_same_plugin_runs_where_nothing_takes_it_away",
    ],
    "changes a workflow": [
        "test_orders_to_a_server_that_builds",
        "test_evil_work_is_not_pushed_and_each_reason_is_told",
        "test_without_the_gate_it_would_be_pushed",
    ],
    "plants what runs": [
        "test_what_agents_hooks_and_editors_run",
        "test_a_filter_of_git_s",
        "test_a_submodule",
        "test_evil_work_is_not_pushed_and_each_reason_is_told",
    ],
    "a link to `/etc/shadow`": ["test_a_link_out_of_the_tree", "test_a_link_that_turns_another_one"],
    "names that fall together": [
        "test_a_name_that_falls_together_with_another",
        "test_a_name_that_is_not_what_it_seems",
        "test_trees_that_would_write_elsewhere_are_refused",
    ],
    "fills the repository": ["test_a_file_too_large_and_too_much_of_all"],
    "commits a secret": ["test_a_secret_of_ours_in_a_file", "test_a_secret_that_a_later_commit_takes_away"],
    "has work begun": [
        "test_nothing_is_pushed_for_who_may_not_write_any_more",
        "test_it_would_be_if_nobody_asked_again",
    ],
    "says, prints": [
        "test_no_secret_is_shown_in_any_form",
        "test_without_the_redactor_they_would_be",
        "test_a_secret_is_found_in_every_form",
        "test_all_of_them_are_known",
    ],
    "mentions people": ["test_an_error_tells_no_secret_and_calls_nobody", "test_others_are_not_notified"],
    "history of its own": [
        "test_a_history_that_descends_from_nothing",
        "test_a_commit_that_claims_to_be_somebody_s",
        "test_every_commit_becomes_the_bots_in_order_and_keeps_its_time",
    ],
    "a flood of forged": ["test_who_only_tries_is_turned_away_unread", "test_without_a_limit_everything_is_read"],
    "many large bodies": ["test_bodies_that_are_being_read_are_bounded", "test_what_holds_no_signature_is_not_read"],
    "a comment that is slow": ["test_a_hostile_comment_keeps_nobody_waiting", "test_on_the_event_loop_it_would"],
    "who may comment blocks the bot": [
        "test_who_blocks_the_bot_keeps_nobody_else_waiting",
        "test_many_long_comments_hide_nothing_else",
    ],
    "a forged or replayed": [
        "test_every_byte_of_the_text_counts",
        "test_the_same_comment_again_is_a_duplicate",
    ],
    "who administers one repository": [
        "test_it_tells_of_no_other",
        "test_with_the_number_of_another_it_tells_of_neither",
        "test_an_organisation_s_webhook_tells_of_its_own_repositories",
    ],
    "of several servers, the secret of one": [
        "test_the_secret_of_one_server_opens_nothing_at_the_address_of_the_other",
        "test_what_would_mix_them_up_is_refused",
    ],
    "somebody takes the login": [
        "test_who_may_ask_without_rights_on_one_server_is_a_stranger_on_the_other",
        "test_who_may_write_on_one_server_neither_sees_nor_steers_the_other",
        "test_without_the_look_at_the_server_the_other_job_would_be_seen",
    ],
    "a web page makes": [
        "test_without_a_token_a_name_of_elsewhere_is_not_served",
        "test_no_page_of_another_site_steers",
    ],
    "a visitor of a proxy on this machine": [
        "test_visitors_are_not_taken_for_this_machine",
        "test_nor_where_the_proxy_says_nothing_of_them",
        "test_they_would_be_if_loopback_were_enough",
    ],
    "who guesses the admin token through a proxy": [
        "test_who_guesses_the_token_shuts_nobody_else_out",
        "test_each_visitor_is_known_by_an_address_of_their_own",
        "test_without_trust_in_the_proxy_all_would_be_one",
        "test_only_a_trusted_proxy_says_for_whom_it_speaks",
    ],
    "somebody else takes over the first start": [
        "test_without_the_code_nothing_is_shown_and_nothing_done",
        "test_a_code_is_guessed_ten_times_and_no_more",
        "test_another_address_of_this_machine_has_no_tries_of_its_own",
        "test_without_a_limit_guessing_goes_on",
        "test_from_elsewhere_even_the_right_code_is_refused",
        "test_another_machine_is_refused",
        "test_without_the_look_at_where_it_comes_from_it_is_let_in",
        "test_an_agent_does_not_set_the_service_up_even_with_the_code",
    ],
    "a page of another site": ["test_a_page_of_another_site_steers_nothing", "test_without_that_defence_it_does"],
    "an address that leads elsewhere": [
        "test_what_is_no_address_is_asked_nothing",
        "test_the_token_is_not_sent_on_to_where_a_redirect_leads",
        "test_a_client_that_follows_every_redirect_sends_it_on",
    ],
    "a link in the place of `kugetsu.toml`": [
        "test_a_link_in_the_place_of_the_file_gets_nothing",
        "test_nothing_is_written_through_a_link",
    ],
}
"""How a row begins, and its tests."""


def rows() -> Iterator[tuple[str, set[str]]]:
    """Each attack, and the files in which it is tried: "the same" are those of the row above."""
    files: set[str] = set()
    for line in PAGE.read_text().splitlines():
        if line.startswith("| ") and not line.startswith("| attack |"):
            attack, _, tried = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            files = set(re.findall(r"`([\w/]+\.py)`", tried)) | (files if "the same" in tried else set())
            yield attack, files


def test_each_row_has_its_tests_and_none_is_forgotten() -> None:
    found = [attack for attack, _ in rows()]
    assert len(found) == len(ROWS)
    assert [start for start, attack in zip(ROWS, found, strict=True) if not attack.startswith(start)] == []


@pytest.mark.parametrize("start", ROWS)
def test_the_tests_of_a_row_are_in_its_files(start: str) -> None:
    (files,) = [files for attack, files in rows() if attack.startswith(start)]
    there: set[str] = set()
    for file in files:
        tests = set(re.findall(r"^def (test_\w+)", (TESTS / file).read_text(), re.MULTILINE))
        assert tests & set(ROWS[start]), f"none of the row's tests is in {file}"
        there |= tests
    assert set(ROWS[start]) <= there
