"""What an event asks of us."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events import Closed, CommentAdded, Event, Ignored, LabelsChanged, Person, Reopened, Reviewed
from models.intake import ANSWERS, PRIORITIES, UNCLEAR, Asks, Decision, Ignore, Look, decide, is_ask_label

ANN, BOB, BOT = Person(1, "ann"), Person(2, "bob"), Person(9, "kugetsu")
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def comment(text: str = "/kugetsu code", **more: Any) -> CommentAdded:
    about = {"repo": "acme/app", "issue": 7, "comment_id": 5, "title": "Crash", "said_at": WHEN}
    how = {"author": ANN, "sender": ANN, "edited": False, "is_pull": False, "may_write": True}
    return CommentAdded(**{**about, **how, "text": text, **more})


def labels(*names: str, sender: Person = ANN, **more: Any) -> LabelsChanged:
    return LabelsChanged(repo="acme/app", issue=7, sender=sender, labels=names, **more)


def decided(event: Event, *, bot: Person | None = BOT, allowed: bool = True) -> Decision:
    return decide(event, bot=bot, repo_allowed=lambda _: allowed)


def asks_of(event: CommentAdded, *, bot: Person | None = BOT) -> Asks:
    decision = decided(event, bot=bot)
    assert isinstance(decision, Asks), decision
    return decision


def test_a_command_is_an_ask_of_its_author() -> None:
    asks = asks_of(comment("/kugetsu research --model some/model --priority high --fresh why does it crash?"))
    assert (asks.repo, asks.issue, asks.is_pull, asks.title) == ("acme/app", 7, False, "Crash")
    (ask,) = asks.asks
    assert (ask.key, ask.verb, ask.author, ask.said_at) == ("comment:5:0", "research", ANN, WHEN.timestamp())
    assert (ask.model, ask.priority, ask.fresh) == ("some/model", 1, True)
    assert (ask.instructions, ask.comment_id, ask.may_write) == ("why does it crash?", 5, True)


def test_nothing_is_assumed_that_was_not_said() -> None:
    (ask,) = asks_of(comment("/kugetsu")).asks
    assert (ask.verb, ask.instructions, ask.model, ask.priority, ask.fresh) == ("continue", "", None, None, False)


@pytest.mark.parametrize(("word", "number"), [("low", -1), ("normal", 0), ("high", 1)])
def test_each_priority_has_its_number(word: str, number: int) -> None:
    (ask,) = asks_of(comment(f"/kugetsu code --priority {word}")).asks
    assert ask.priority == number
    assert sorted(PRIORITIES.values()) == [-1, 0, 1]


def test_several_commands_are_several_asks_in_their_order() -> None:
    asks = asks_of(comment("/kugetsu cancel\n/kugetsu code again\nplease")).asks
    assert [(ask.key, ask.verb, ask.instructions) for ask in asks] == [
        ("comment:5:0", "cancel", ""),
        ("comment:5:1", "code", "again\nplease"),
    ]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("/kugetsu cdoe", "“cdoe” is no command of mine. Did you mean `code`?"),
        ("/kugetsu code --priority urgent", "I cannot read the option `--priority`: "),
    ],
)
def test_what_cannot_be_read_is_an_ask_that_is_answered(text: str, answer: str) -> None:
    (ask,) = asks_of(comment(text)).asks
    assert ask.verb == UNCLEAR
    assert ask.instructions.startswith(answer)
    assert (ask.author, ask.comment_id) == (ANN, 5)


def test_the_bot_is_spoken_to_by_name_once_its_name_is_known() -> None:
    assert asks_of(comment("@kugetsu code")).asks[0].verb == "code"
    assert isinstance(decided(comment("@kugetsu code"), bot=None), Ignore)
    assert asks_of(comment("/kugetsu code"), bot=None).asks[0].verb == "code"


@pytest.mark.parametrize("text", ["", "looks good", "> /kugetsu code", "please /kugetsu code"])
def test_a_comment_that_does_not_speak_to_us_is_ignored(text: str) -> None:
    assert decided(comment(text)) == Ignore("the comment does not speak to us", "acme/app", 7)


@pytest.mark.parametrize("event", [comment(sender=BOT), labels("kugetsu/code", sender=BOT)])
def test_our_own_doing_is_ignored(event: Event) -> None:
    assert decided(event) == Ignore("this is our own doing", "acme/app", 7)


def test_the_bot_is_known_by_its_number_not_its_name() -> None:
    renamed = Person(BOT.id, "kugetsu-2")
    assert isinstance(decided(comment(author=renamed, sender=renamed)), Ignore)
    namesake = Person(BOB.id, BOT.login)
    assert isinstance(decided(comment(author=namesake, sender=namesake)), Asks)


def test_a_comment_of_ours_never_speaks_whoever_edits_it() -> None:
    edited = comment(author=BOT, sender=ANN, edited=True)
    assert decided(edited) == Ignore("this is a comment of our own", "acme/app", 7)


def test_nobody_speaks_in_the_comment_of_another() -> None:
    edited = decided(comment(author=ANN, sender=BOB, edited=True))
    assert edited == Ignore("somebody else edited this comment: only its author speaks in it", "acme/app", 7)
    assert isinstance(decided(comment(edited=True)), Asks)


def test_the_right_to_write_is_that_of_the_sender_and_of_nobody_else() -> None:
    assert asks_of(comment(author=ANN, sender=BOB)).asks[0].may_write is None
    assert asks_of(comment(may_write=False)).asks[0].may_write is False
    assert asks_of(comment(may_write=None)).asks[0].may_write is None


def closed(sender: Person = ANN, **more: Any) -> Closed:
    return Closed(repo="acme/app", issue=7, sender=sender, **more)


def reopened(*names: str, sender: Person = ANN) -> Reopened:
    return Reopened(repo="acme/app", issue=7, sender=sender, labels=names)


def reviewed(since: datetime | None = WHEN, sender: Person = ANN) -> Reviewed:
    return Reviewed(repo="acme/app", issue=7, sender=sender, since=since)


@pytest.mark.parametrize(
    ("event", "decision"),
    [
        (closed(), Look("acme/app", 7, False, only_known=True)),
        (closed(is_pull=True, merged=True), Look("acme/app", 7, True, only_known=True)),
        (reopened(), Look("acme/app", 7, False, only_known=True)),
        (reopened("bug", "kugetsu/done"), Look("acme/app", 7, False, only_known=True)),
        (reopened("bug", "kugetsu/code"), Look("acme/app", 7, False)),
        (reviewed(), Look("acme/app", 7, True, reviews_from=WHEN.timestamp())),
        (reviewed(None), Look("acme/app", 7, True, reviews_from=0.0)),
    ],
)
def test_what_is_state_is_looked_at(event: Event, decision: Decision) -> None:
    assert decided(event) == decision


@pytest.mark.parametrize("event", [closed(BOT), reopened("kugetsu/code", sender=BOT), reviewed(sender=BOT)])
def test_what_the_bot_closes_opens_or_reviews_is_its_own_doing(event: Event) -> None:
    assert decided(event) == Ignore("this is our own doing", "acme/app", 7)


@pytest.mark.parametrize("event", [comment(), labels("kugetsu/code"), labels(), closed(), reopened(), reviewed()])
def test_a_repository_that_is_not_allowed_is_ignored(event: Event) -> None:
    reason = "acme/app is not among the repositories in KUGETSU_REPOS"
    assert decided(event, allowed=False) == Ignore(reason, "acme/app", 7)


def test_the_repository_that_is_asked_about_is_the_one_of_the_event() -> None:
    event = comment(repo="Acme/Lib")
    assert isinstance(decide(event, bot=None, repo_allowed=lambda repo: repo == "Acme/Lib"), Asks)
    assert isinstance(decide(event, bot=None, repo_allowed=lambda repo: repo != "Acme/Lib"), Ignore)


def test_an_ignored_event_stays_ignored_with_its_reason() -> None:
    assert decided(Ignored("a wiki page changed"), allowed=False) == Ignore("a wiki page changed")


@pytest.mark.parametrize("names", [("kugetsu/code",), ("bug", "kugetsu/docs"), (), ("kugetsu/done", "kugetsu/review")])
def test_labels_that_ask_or_may_have_are_looked_at(names: tuple[str, ...]) -> None:
    assert decided(labels(*names)) == Look("acme/app", 7, False)


@pytest.mark.parametrize("names", [("bug",), ("kugetsu/done",), ("kugetsu/running", "bug")])
def test_labels_that_ask_for_nothing_are_ignored(names: tuple[str, ...]) -> None:
    assert decided(labels(*names)) == Ignore("none of the issue's labels asks for anything", "acme/app", 7)


@pytest.mark.parametrize("names", [("priority/high",), ("kugetsu/queued", "priority/low")])
def test_a_priority_is_looked_at_where_something_was_asked_before(names: tuple[str, ...]) -> None:
    assert decided(labels(*names)) == Look("acme/app", 7, False, only_known=True)


def test_a_look_says_whether_it_is_a_pull_request() -> None:
    assert decided(labels("kugetsu/review", is_pull=True)) == Look("acme/app", 7, True)
    assert asks_of(comment(is_pull=True)).is_pull


def test_every_label_of_the_scope_asks_but_for_the_answers() -> None:
    assert all(is_ask_label(f"kugetsu/{name}") for name in ("code", "research", "review", "docs"))
    assert not any(is_ask_label(f"kugetsu/{name}") for name in ANSWERS)
    assert not any(is_ask_label(name) for name in ("code", "kugetsu", "other/kugetsu/code", ""))


@given(text=st.text(), edited=st.booleans(), bot=st.sampled_from([None, BOT]))
def test_whatever_is_written_can_be_decided_and_repeated(text: str, edited: bool, bot: Person | None) -> None:
    event = comment(f"/kugetsu {text}", edited=edited)
    first = decided(event, bot=bot)
    assert first == decided(event, bot=bot)
    asks = first.asks if isinstance(first, Asks) else ()
    assert [ask.key for ask in asks] == [f"comment:5:{number}" for number in range(len(asks))]
    assert all(msgspec.json.encode(ask) for ask in asks)
