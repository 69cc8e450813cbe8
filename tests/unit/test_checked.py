"""What is said of a check, and when a pull request is a draft."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from jobs import checked
from jobs.checked import DRAFT, Check
from jobs.sentences import Facts, pull_body, pull_title
from jobs.wording import command, fenced
from models.moves import Outcome, State

GREEN = Check("make test", True, "exit 0", 12.4)
RED = Check("make test", False, "exit 2", 75.0, "E   assert 1 == 2", 2)


def facts(check: Check | None, title: str = "Crash") -> Facts:
    return Facts(
        job_id=3,
        recipe="code",
        state=State.REPORTING,
        outcome=Outcome.COMPLETED,
        issue=7,
        title=title,
        answer="I mended it.",
        check=check,
    )


def after(check: Check | None, title: str, body: str) -> tuple[str, str]:
    """The pull request after another job with this check."""
    return checked.next_title(check, title, body), pull_body(facts(check), title, body)


@pytest.mark.parametrize("title", ["Crash", "WIP: Crash", "[WIP] Crash"])
def test_red_makes_a_draft_once_and_green_gives_back_the_title(title: str) -> None:
    new = pull_title(facts(RED, title)), pull_body(facts(RED, title))
    assert new[0].upper().startswith(("WIP:", "[WIP]"))
    assert new[0].upper().count("WIP") == 1
    again = after(RED, *new)
    assert again[0] == new[0]
    assert after(GREEN, *again)[0] == title
    assert after(None, *again)[0] == title


def test_a_draft_of_a_persons_own_is_left_alone() -> None:
    body = pull_body(facts(GREEN))
    assert DRAFT not in body
    assert after(GREEN, "WIP: not yet", body)[0] == "WIP: not yet"
    red = after(RED, "WIP: not yet", body)
    assert red[0] == "WIP: not yet"
    assert after(GREEN, *red)[0] == "WIP: not yet"


def test_a_draft_that_a_person_declared_ready_is_one_again_when_it_is_red_again() -> None:
    body = pull_body(facts(RED))
    assert after(RED, "Crash", body)[0] == "WIP: Crash"


def test_a_new_check_alone_changes_its_row_and_its_warning_and_nothing_else() -> None:
    red, green = pull_body(facts(RED)), pull_body(facts(GREEN))
    assert checked.next_body(GREEN, "WIP: Crash", red) == green
    assert checked.next_body(RED, "Crash", green) == red
    assert checked.next_body(RED, "WIP: Crash", red) == red
    assert checked.next_body(GREEN, "Crash", "A text by hand.") == "A text by hand."


def test_the_table_names_command_exit_and_time() -> None:
    assert "| verification | `make test`: exit 0, 12 s |" in pull_body(facts(GREEN))
    assert "| verification | `make test`: exit 2, 1 min 15 s, after 2 repairs |" in pull_body(facts(RED))
    piped = Check("a | b `c`\nmore", True, "exit 0", 1)
    assert "| verification | `a \\| b 'c'` …: exit 0, 1 s |" in pull_body(facts(piped))


def test_somebody_elses_pull_request_is_no_draft_of_ours_so_the_comment_shows_what_was_printed() -> None:
    theirs = Check("make test", False, "exit 2", 75.0, "E   assert 1 == 2", ours=False)
    assert "draft" not in checked.sentence(theirs)
    assert "assert 1 == 2" in checked.sentence(theirs)
    assert "draft" in checked.sentence(RED)


@given(st.text(alphabet="`~ab\n<>-! ", max_size=80))
def test_no_output_ends_its_block_of_code(output: str) -> None:
    tokens = MarkdownIt("commonmark").parse(fenced(output))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content.rstrip("\n") == output.rstrip("\n")


@given(st.text(max_size=200))
def test_a_command_is_shown_in_one_line(text: str) -> None:
    shown = command(text)
    assert "\n" not in shown
    assert shown.count("`") == 2
