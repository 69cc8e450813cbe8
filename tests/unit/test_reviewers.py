"""What a review of a pull request asks, and how it reads."""

from datetime import UTC, datetime

from jobs.linenotes import review_text
from jobs.reviewers import PART, Heard, asks_of
from models.events import Person
from models.intake import UNCLEAR
from models.wire import Review, ReviewComment, User

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PAGE = "https://git.example/acme/app/pulls/3"


def note(number: int, body: str, path: str = "app.py", line: int = 1) -> ReviewComment:
    return ReviewComment(number, body, path, line)


def heard(body: str = "", *notes: ReviewComment, asks_changes: bool = False, page: str = PAGE) -> Heard:
    address = f"{page}#issuecomment-50"
    review = Review(8, "COMMENT", WHEN, User(1, "ann"), body, html_url=address)
    return Heard(review, Person(1, "ann"), notes, "kugetsu", asks_changes)


def test_a_command_in_the_text_has_the_lines_as_instructions() -> None:
    (ask,) = asks_of(heard("/kugetsu code mend this", note(61, "Here.")))
    assert (ask.key, ask.verb, ask.comment_id, ask.entry_id) == ("comment:50:0", "code", 50, 50)
    assert ask.instructions == "mend this\n\nOn `app.py`, line 1:\n\nHere."
    assert (ask.author, ask.said_at, ask.may_write) == (Person(1, "ann"), WHEN.timestamp(), None)


def test_a_word_on_a_line_asks_for_the_whole_review() -> None:
    first, second = asks_of(heard("See below.", note(61, "/kugetsu rename it"), note(62, "@kugetsu and this", line=9)))
    assert (first.key, first.verb, first.comment_id, first.entry_id) == ("comment:61:0", "continue", 61, 50)
    assert first.instructions.startswith("See below.\n\nOn `app.py`, line 1:\n\n/kugetsu rename it")
    assert first.instructions.endswith("@kugetsu and this")
    assert (second.key, second.verb) == ("comment:62:0", PART)


def test_requested_changes_ask_without_a_command_where_they_may() -> None:
    (ask,) = asks_of(heard("Not yet.", note(61, "Here."), asks_changes=True))
    assert (ask.key, ask.verb) == ("comment:50:0", "continue")
    assert ask.instructions == "Not yet.\n\nOn `app.py`, line 1:\n\nHere."
    assert asks_of(heard("Not yet.", note(61, "Here."))) == []
    assert asks_of(heard(asks_changes=True)) == []


def test_what_is_no_work_gets_no_lines() -> None:
    (cancel,) = asks_of(heard("/kugetsu cancel", note(61, "Here.")))
    assert (cancel.verb, cancel.instructions) == ("cancel", "")
    (unclear,) = asks_of(heard("", note(61, "/kugetsu cancle")))
    assert unclear.verb == UNCLEAR
    assert "Did you mean" in unclear.instructions


def test_a_review_that_has_no_place_among_the_comments_is_named_by_its_number() -> None:
    review = Review(8, "COMMENT", WHEN, User(1, "ann"), "/kugetsu code")
    (ask,) = asks_of(Heard(review, Person(1, "ann"), (), "kugetsu", asks_changes=False))
    assert (ask.key, ask.comment_id, ask.entry_id) == ("review:8:0", None, None)


def test_a_review_is_as_late_as_it_was_sent() -> None:
    later = WHEN.replace(hour=9)
    assert Review(8, "COMMENT", WHEN, updated_at=later).said_at == later
    assert Review(8, "COMMENT", WHEN).said_at == WHEN


def test_lines_are_told_in_the_order_of_files() -> None:
    text = review_text("", [note(1, "c", "b.py"), note(2, "b", "a.py", 30), note(3, "a", "a.py", 4)])
    assert [line for line in text.splitlines() if len(line) == 1] == ["a", "b", "c"]


def test_a_line_that_is_gone_is_named_as_such() -> None:
    text = review_text("", [ReviewComment(1, "why?", "a.py", 0, 7)])
    assert text == "On `a.py`, line 7 of the file as it was before:\n\nwhy?"


def test_nothing_in_a_diff_closes_its_fence() -> None:
    hunk = "@@ -1 +1 @@\n+````\n+```"
    text = review_text("", [ReviewComment(1, "hm", "a.md", 2, diff_hunk=hunk)])
    assert f"`````diff\n{hunk}\n`````\n\nhm" in text


def test_of_a_long_diff_the_end_is_kept() -> None:
    text = review_text("", [ReviewComment(1, "hm", "a.md", 2, diff_hunk="x" * 10_000 + "the line")])
    assert "the line\n```" in text
    assert len(text) < 5_000
