"""What the desk takes up, and what becomes of each ask."""

import pytest
from peewee import SqliteDatabase

from models import threads
from models.moves import Outcome, State
from models.tables import Ask, Job, Thread
from tests.unit.storing import (
    ANN,
    BOB,
    admit,
    all_jobs,
    comment,
    finish,
    hear,
    job_of,
    look,
    new_ask,
    queue,
    replayed,
    say,
    start,
    thread_of,
)


def take(db: SqliteDatabase, worker: str = "one", *, now: float = 10.0) -> Thread | None:
    return threads.take_thread(db, worker, now=now, lease=60.0)


def taken(db: SqliteDatabase, worker: str = "one", *, now: float = 10.0) -> Thread:
    """The next thread, which there is."""
    thread = take(db, worker, now=now)
    assert thread is not None
    return thread


def verdicts(db: SqliteDatabase) -> list[str | None]:
    return [ask.verdict for ask in Ask.select().order_by(Ask.id).execute(db)]


def test_a_refused_ask_ends_its_job(db: SqliteDatabase) -> None:
    ask = say(db)
    threads.refuse(db, ask, "you may not", now=3.0)
    job = job_of(db, ask)
    assert (job.state, job.outcome, job.error, job.finished_at) == ("reporting", "refused", "you may not", 3.0)
    assert replayed(db, job.id) == ("reporting", "refused")


def test_a_refused_ask_leaves_the_job_to_others(db: SqliteDatabase) -> None:
    asks = [say(db, by=BOB), say(db), say(db, by=BOB)]
    threads.refuse(db, asks[0], "may not", now=1.0)
    assert job_of(db, asks[0]).state == State.ASKED
    admit(db, asks[1])
    threads.refuse(db, asks[2], "may not", now=1.0)
    assert job_of(db, asks[0]).state == State.QUEUED
    assert verdicts(db) == ["refused", "admitted", "refused"]


def test_the_last_refusal_ends_the_job(db: SqliteDatabase) -> None:
    asks = [say(db, by=BOB), say(db)]
    for ask in asks:
        threads.refuse(db, ask, "may not", now=1.0)
    assert job_of(db, asks[0]).outcome == Outcome.REFUSED


def test_an_ask_without_a_job_is_refused_alone(db: SqliteDatabase) -> None:
    ask = say(db, verb="cancel")
    threads.refuse(db, ask, "may not", now=1.0)
    assert (verdicts(db), all_jobs(db)) == (["refused"], [])


def test_a_reason_is_said_once_to_a_person_on_an_issue(db: SqliteDatabase) -> None:
    first, second = say(db, by=BOB), say(db, by=BOB)
    others = [say(db, by=ANN), say(db, by=BOB, issue=8)]
    assert not threads.refused_before(db, first, "may not")
    threads.refuse(db, first, "may not", now=1.0)
    assert not threads.refused_before(db, first, "may not")
    assert threads.refused_before(db, second, "may not")
    assert not any(threads.refused_before(db, ask, "may not") for ask in others)
    assert not threads.refused_before(db, second, "no room")


def test_asks_wait_in_the_order_in_which_they_were_said(db: SqliteDatabase) -> None:
    cancel = say(db, verb="cancel", said_at=9.0)
    label = say(db, said_at=5.0)
    say(db, issue=8)
    assert [ask.id for ask in threads.pending_asks(db, cancel.thread_id)] == [label.id, cancel.id]
    threads.answered(db, cancel, "cancel")
    assert [ask.id for ask in threads.pending_asks(db, cancel.thread_id)] == [label.id]


def test_a_cancel_means_what_was_admitted_before_it(db: SqliteDatabase) -> None:
    done = queue(db)
    finish(db, start(db))
    running = queue(db)
    start(db)
    waiting = queue(db, verb="research")
    later = say(db, verb="code")
    open_ones = [job.id for job in threads.open_jobs(db, done.thread_id)]
    assert open_ones == [running.id, waiting.id]
    assert later.job_id not in open_ones


def test_recent_jobs_come_newest_first(db: SqliteDatabase) -> None:
    jobs = [queue(db, fresh=True) for _ in range(3)]
    queue(db, issue=8)
    assert [job.id for job in threads.recent_jobs(db, jobs[0].thread_id, 2)] == [3, 2]


def test_a_job_is_unreported_until_what_was_seen_is_told(db: SqliteDatabase) -> None:
    job = queue(db)
    read = threads.unreported(db, job.thread_id)
    assert [unread.id for unread in read] == [job.id]
    start(db)
    threads.reported(db, read[0], place_shown=", position 1")
    again = threads.unreported(db, job.thread_id)
    assert [(unread.state, unread.place_shown) for unread in again] == [("running", ", position 1")]
    threads.reported(db, again[0])
    assert threads.unreported(db, job.thread_id) == []


def test_a_thread_is_taken_by_one_worker(db: SqliteDatabase) -> None:
    ask = say(db)
    assert threads.any_due(db, now=10.0)
    thread = taken(db)
    assert (thread.id, thread.repo.name, thread.issue, thread.desk_worker) == (ask.thread_id, "acme/app", 7, "one")
    assert take(db, "two") is None
    assert not threads.any_due(db, now=10.0)


def test_urgent_threads_are_taken_first(db: SqliteDatabase) -> None:
    say(db, issue=1)
    say(db, issue=2)
    say(db, issue=3, verb="cancel")
    assert [taken(db).issue for _ in range(3)] == [3, 1, 2]


def test_work_is_not_urgent_whatever_its_recipe(db: SqliteDatabase) -> None:
    say(db, issue=1, verb="recipe:docs")
    say(db, issue=2, verb="unclear")
    assert [taken(db).issue for _ in range(2)] == [2, 1]


def test_the_thread_seen_to_longest_ago_comes_first(db: SqliteDatabase) -> None:
    """An issue with much going on must not keep the desk from the others."""
    say(db, issue=1)
    say(db, issue=2)
    busy = taken(db)
    threads.thread_done(db, busy, now=11.0)
    say(db, issue=busy.issue)
    assert taken(db).issue != busy.issue


def test_a_thread_is_done_when_all_that_was_wanted_is_seen(db: SqliteDatabase) -> None:
    say(db, verb="cancel")
    threads.thread_done(db, taken(db), now=11.0)
    thread: Thread = Thread.select().get(db)
    assert (thread.desk_worker, thread.desk_lease_until, thread.urgent, thread.updated_at) == (None, None, False, 11.0)
    assert take(db) is None


def test_what_is_wanted_meanwhile_stays_due_and_urgent(db: SqliteDatabase) -> None:
    say(db)
    thread = taken(db)
    say(db, verb="cancel")
    say(db, issue=8)
    threads.thread_done(db, thread, now=11.0)
    again = taken(db, now=12.0)
    assert (again.id, again.urgent) == (thread.id, True)


def test_a_thread_that_failed_comes_again_later_and_behind_others(db: SqliteDatabase) -> None:
    say(db, issue=1)
    threads.thread_failed(db, taken(db), problem="Gitea is down", not_before=50.0)
    assert take(db, now=49.0) is None
    say(db, issue=2)
    assert [taken(db, now=50.0).issue for _ in range(2)] == [2, 1]
    threads.free_threads_of(db, "one")
    failed: Thread = Thread.select().where(Thread.issue == 1).get(db)
    assert (failed.desk_failures, failed.desk_problem) == (1, "Gitea is down")


def test_a_thread_that_works_again_forgets_its_failures(db: SqliteDatabase) -> None:
    say(db)
    threads.thread_failed(db, taken(db), problem="Gitea is down", not_before=50.0)
    threads.thread_done(db, taken(db, now=60.0), now=61.0)
    thread: Thread = Thread.select().get(db)
    assert (thread.desk_failures, thread.desk_problem, thread.desk_not_before) == (0, "", 0.0)


def test_a_lease_that_lapsed_goes_to_the_next(db: SqliteDatabase) -> None:
    say(db)
    thread = taken(db, now=10.0)
    assert threads.renew_thread(db, thread.id, "one", until=90.0)
    assert take(db, "two", now=90.0) is None
    assert taken(db, "two", now=91.0).desk_worker == "two"
    assert not threads.renew_thread(db, thread.id, "one", until=200.0)


@pytest.mark.parametrize("other", ["one", "two"])
def test_who_lost_a_lease_changes_nothing(db: SqliteDatabase, other: str) -> None:
    """Two desk workers of one process have the same name."""
    say(db)
    old = taken(db, "one", now=10.0)
    taken(db, other, now=90.0)
    threads.thread_done(db, old, now=91.0)
    threads.thread_failed(db, old, problem="down", not_before=500.0)
    thread: Thread = Thread.select().get(db)
    assert (thread.desk_worker, thread.desk_seen, thread.desk_failures) == (other, 0, 0)


def test_threads_of_a_worker_that_is_gone_are_free(db: SqliteDatabase) -> None:
    for issue in (1, 2, 3):
        say(db, issue=issue)
    gone = [taken(db, "one").issue, taken(db, "one").issue]
    taken(db, "two")
    assert threads.free_threads_of(db, "one") == 2
    assert {taken(db, "three").issue for _ in range(2)} == set(gone)


def test_labels_are_looked_at_until_nothing_more_was_wanted(db: SqliteDatabase) -> None:
    hear(db, look())
    thread = taken(db)
    assert (thread.look_wanted, thread.look_seen) == (1, 0)
    hear(db, look())
    threads.look_done(db, thread)
    threads.thread_done(db, thread, now=11.0)
    again = taken(db)
    assert (again.look_wanted, again.look_seen) == (2, 1)
    threads.look_done(db, again)
    threads.thread_done(db, again, now=12.0)
    assert take(db) is None


def test_the_commands_of_a_comment_are_decided_each(db: SqliteDatabase) -> None:
    hear(db, comment(new_ask("cancel", 5), new_ask("code", 5, 1)))
    cancel, code = threads.pending_asks(db, 1)
    assert (cancel.verb, cancel.job_id, code.verb) == ("cancel", None, "code")
    threads.answered(db, cancel, "cancel")
    assert admit(db, code).state == State.QUEUED
    assert thread_of(db, code).title == "Crash"
    assert Job.select().count(db) == 1
