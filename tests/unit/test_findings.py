"""How findings are parted and shown."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.findings import QUESTIONS_BYTES, SHOWN_BYTES, Findings, shown, split


def test_the_last_section_of_questions_is_parted_off() -> None:
    text = "# Found\n\nThis.\n\n## Open questions\n\n1. Which?\n2. When?\n"
    assert split(text) == Findings("# Found\n\nThis.", "1. Which?\n2. When?")


def test_questions_in_the_middle_move_to_the_end() -> None:
    text = "A.\n\n## Questions\n\nWhy?\n\n### In detail\n\nReally, why?\n\n## Sources\n\nB."
    assert split(text) == Findings("A.\n\n## Sources\n\nB.", "Why?\n\n### In detail\n\nReally, why?")


def test_only_a_heading_begins_questions() -> None:
    for text in ("Questions\n\nWhy?", "```\n## Questions\n```\n\nWhy?", "## Unquestionable\n\nWhy?"):
        assert split(text).questions == ""


def test_what_is_emphasised_or_closed_is_a_heading_too() -> None:
    assert split("A.\n\n## **Questions** ##\n\nWhy?").questions == "Why?"


def test_short_findings_are_shown_whole() -> None:
    seen = shown("A.\n\n## Questions\n\nWhy?")
    assert (seen.report, seen.questions, seen.whole) == ("A.", "Why?", True)


def test_of_long_findings_the_beginning_and_the_questions_are_shown() -> None:
    seen = shown("word " * 10_000 + "\n\n## Questions\n\nWhy?")
    assert not seen.whole
    assert seen.report.startswith("word word")
    assert seen.questions == "Why?"


@given(st.text(alphabet=st.sampled_from("# qQuestions\n\r`~ä1.?-*_\t")))
def test_nothing_is_lost_and_the_size_is_kept(text: str) -> None:
    seen = shown(text)
    assert seen.whole
    assert len(seen.report) + len(seen.questions) <= len(text) + 2


@given(st.integers(1, 40_000), st.integers(1, 20_000))
def test_what_is_shown_has_a_limit(report: int, questions: int) -> None:
    seen = shown("x" * report + "\n\n## Questions\n\n" + "y" * questions)
    assert len(seen.report.encode()) <= SHOWN_BYTES
    assert len(seen.questions.encode()) <= (SHOWN_BYTES if seen.whole else QUESTIONS_BYTES)
