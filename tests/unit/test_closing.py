"""Closing, merging, and what is said on a pull request of ours, in the tables."""

import pytest
from peewee import SqliteDatabase

from models import closing, speakers, store, threads
from models.events import Person
from models.intake import Asks, Look, NewAsk
from models.tables import Ask, Job, Thread
from tests.unit.storing import ANN, APP, BOB, SERVER, admit, all_jobs, comment, hear, new_ask, queue, say, start

PULL = 13


def ending(db: SqliteDatabase, thread_id: int, entry: int, verb: str = closing.CLOSED) -> Ask:
    """Somebody closed it, at that place among the comments."""
    ask = NewAsk(key=f"{verb}:{entry}", verb=verb, author=BOB, said_at=2.0, entry_id=entry)
    assert store.add_ask(db, threads.load(db, thread_id), ask, SERVER, None)
    found: Ask = Ask.select().where(Ask.entry_id == entry).get(db)
    return found


def delivered(db: SqliteDatabase, pull: int = PULL) -> Thread:
    """A thread whose work went to a pull request."""
    job = queue(db)
    Job.update(pull=pull).where(Job.id == job.id).execute(db)
    Thread.update(pull=pull).where(Thread.id == job.thread_id).execute(db)
    return threads.load(db, job.thread_id)


def on_pull(db: SqliteDatabase, verb: str = "code", pull: int = PULL, number: int = 500) -> Ask:
    """Somebody comments on the pull request."""
    asks = comment(new_ask(verb, number, entry_id=number), issue=pull)
    hear(db, Asks(asks.repo, asks.issue, True, "The pull request", asks.asks))
    found: Ask = Ask.select().where(Ask.comment_id == number).get(db)
    return found


def test_closing_means_what_was_asked_before(db: SqliteDatabase) -> None:
    before = queue(db, entry_id=10)
    start(db)
    after = queue(db, entry_id=30)
    ask = ending(db, before.thread_id, 20)
    assert [job.id for job in closing.asked_before(db, before.thread_id, ask)] == [before.id]
    assert after.id != before.id


def test_a_job_that_holds_something_said_afterwards_goes_on(db: SqliteDatabase) -> None:
    job = queue(db, entry_id=10)
    admit(db, say(db, entry_id=30))
    assert closing.asked_before(db, job.thread_id, ending(db, job.thread_id, 20)) == []


def test_what_has_ended_is_not_meant(db: SqliteDatabase) -> None:
    job = queue(db, entry_id=10)
    Job.update(state="reporting", outcome="completed").where(Job.id == job.id).execute(db)
    assert closing.asked_before(db, job.thread_id, ending(db, job.thread_id, 20)) == []


def test_what_is_heard_of_late_has_ended_with_what_was_asked_before(db: SqliteDatabase) -> None:
    before, after, edited = say(db, entry_id=10), say(db, entry_id=30), say(db, entry_id=15, said_at=3.0)
    ask = ending(db, before.thread_id, 20)
    assert closing.ended_since(db, before) is None, "the closing is not followed yet"
    threads.answered(db, ask, "closed")
    assert [closing.ended_since(db, each) for each in (before, after, edited)] == [ask, None, None]


def test_a_thread_ends_with_its_pull_request_and_begins_anew_once(db: SqliteDatabase) -> None:
    thread = delivered(db)
    Thread.update(session="ses_1", told_until=9).where(Thread.id == thread.id).execute(db)
    closing.end(db, thread, PULL + 1, spent="abc")
    assert not threads.load(db, thread.id).over
    closing.end(db, thread, PULL, spent="abc")
    ended = threads.load(db, thread.id)
    assert (ended.over, ended.pull, ended.spent_sha, ended.session) == (True, None, "abc", "ses_1")
    closing.begin_anew(db, thread.id)
    anew = threads.load(db, thread.id)
    assert (anew.over, anew.session, anew.told_until, anew.spent_sha) == (False, None, 0, "abc")
    Thread.update(session="ses_2").where(Thread.id == thread.id).execute(db)
    closing.begin_anew(db, thread.id)
    assert threads.load(db, thread.id).session == "ses_2"


def test_what_is_said_on_a_pull_request_of_ours_belongs_to_its_issue(db: SqliteDatabase) -> None:
    thread = delivered(db)
    ask = on_pull(db)
    assert (ask.thread_id, ask.said_on) == (thread.id, PULL)
    assert threads.load(db, thread.id).title == "Crash"
    closing.end(db, thread, PULL, spent="abc")
    later = on_pull(db, number=501)
    assert later.thread_id == thread.id


@pytest.mark.parametrize(("verb", "pull"), [("review", PULL), ("code", PULL + 1)])
def test_a_review_and_what_is_said_elsewhere_belongs_to_the_pull_request(
    db: SqliteDatabase, verb: str, pull: int
) -> None:
    thread = delivered(db)
    ask = on_pull(db, verb, pull)
    assert ask.thread_id != thread.id
    assert threads.load(db, ask.thread_id).issue == pull == ask.said_on


def test_only_what_is_known_is_looked_at(db: SqliteDatabase) -> None:
    look = Look(APP, 40, is_pull=False, only_known=True)
    accepted = hear(db, look)
    assert (accepted.verdict, accepted.detail) == ("ignored", "nothing was ever asked of me on acme/app#40")
    assert list(Thread.select().execute(db)) == []
    say(db, issue=40)
    assert hear(db, look).verdict == "accepted"


def test_a_look_at_our_pull_request_is_one_at_its_thread(db: SqliteDatabase) -> None:
    thread = delivered(db)
    assert hear(db, Look(APP, PULL, is_pull=True, only_known=True)).verdict == "accepted"
    assert threads.load(db, thread.id).look_wanted == 1
    own = on_pull(db, "review").thread_id
    hear(db, Look(APP, PULL, is_pull=True, only_known=True))
    assert [threads.load(db, number).look_wanted for number in (thread.id, own)] == [2, 1]


def test_reviews_are_looked_at_from_the_first_that_was_not_seen(db: SqliteDatabase) -> None:
    thread = delivered(db)
    for since in (50.0, 40.0, 60.0, None):
        hear(db, Look(APP, PULL, is_pull=True, reviews_from=since))
    taken = threads.load(db, thread.id)
    assert taken.reviews_from == 40.0
    hear(db, Look(APP, PULL, is_pull=True, reviews_from=70.0))
    threads.look_done(db, taken)
    assert threads.load(db, thread.id).reviews_from == 40.0
    threads.look_done(db, threads.load(db, thread.id))
    assert threads.load(db, thread.id).reviews_from is None


def test_what_was_said_too_early_moves_to_its_thread(db: SqliteDatabase) -> None:
    early, review = on_pull(db), on_pull(db, "review", number=501)
    home = queue(db)
    source = threads.load(db, early.thread_id)
    closing.move_asks(db, source, threads.load(db, home.thread_id))
    moved = Ask.select().where(Ask.id == early.id).get(db)
    assert (moved.thread_id, moved.job_id, moved.said_on) == (home.thread_id, home.id, PULL)
    assert [job.thread_id for job in all_jobs(db)] == [source.id, home.thread_id]
    assert [ask.id for ask in threads.pending_asks(db, source.id)] == [review.id]
    assert threads.load(db, home.thread_id).look_wanted == 1


def test_a_withdrawn_ask_ends_its_job_if_nobody_else_wants_it(db: SqliteDatabase) -> None:
    first, second = say(db), say(db, by=BOB)
    threads.withdraw(db, first, "deleted", now=3.0)
    assert [job.state for job in all_jobs(db)] == ["asked"]
    threads.withdraw(db, second, "deleted", now=3.0)
    (job,) = all_jobs(db)
    assert (job.state, job.outcome, job.queued_at) == ("reporting", "cancelled", None)


def test_a_cancel_on_our_pull_request_means_its_review_too(db: SqliteDatabase) -> None:
    thread = delivered(db)
    review = on_pull(db, "review")
    cancel = on_pull(db, "cancel", number=501)
    assert cancel.thread_id == thread.id
    assert speakers.threads_at(db, cancel) == [thread.id, review.thread_id]
    assert speakers.threads_at(db, say(db, "cancel")) == [thread.id]


def test_people_are_answered_where_they_asked(db: SqliteDatabase) -> None:
    thread = delivered(db)
    job = admit(db, on_pull(db))
    admit(db, say(db, by=BOB))
    admit(db, say(db, by=Person(3, "eve")))
    again = threads.load(db, thread.id)
    assert speakers.places(db, job, again) == {7: ("ann", "bob", "eve"), PULL: (ANN.login,)}
    assert speakers.labelled(db, again) == [7]
    label = NewAsk(key="label:900", verb="code", author=ANN, said_at=3.0, entry_id=900)
    store.add_ask(db, again, label, SERVER, None, said_on=PULL)
    assert speakers.labelled(db, again) == [7, PULL]
