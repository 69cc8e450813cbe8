"""Limits by hand and by settings, what a queued job has to expect, and doing a job again."""

import pytest
from peewee import SqliteDatabase

from models import ledger, limits, threads
from models.moves import Outcome, State
from models.outlook import outlooks
from models.retrying import CannotRetry, retry
from models.tables import Ask, Job
from tests.unit.storing import APP, BOB, LIB, claim, finish, job_of, limit, queue, say, start, thread_of


def report_all(db: SqliteDatabase) -> None:
    """The reporter tells of every job that has ended."""
    for job in Job.select().where(Job.state == State.REPORTING).execute(db):
        ledger.move(db, job.id, State.REPORTING, State.DONE, at=99.0, reason="told")


def test_a_repository_has_a_limit_of_its_own(db: SqliteDatabase) -> None:
    limit(db, capacity=3, per_repo=1)
    first, second = (queue(db, issue=issue, repo=APP) for issue in (1, 2))
    other = queue(db, issue=1, repo=LIB)
    claims = [start(db), start(db)]
    assert {claimed.job_id for claimed in claims} == {first.id, other.id}
    assert claim(db) is None, "one runs in each repository"
    assert outlooks(db, now=10.0)[second.id].repo_full
    finish(db, next(claimed for claimed in claims if claimed.job_id == first.id))
    assert start(db).job_id == second.id


def test_the_settings_are_followed_until_somebody_changes_the_limit_by_hand(db: SqliteDatabase) -> None:
    limits.follow_settings(db, capacity=5, per_repo=2)
    assert (limits.of(db).capacity, limits.of(db).per_repo) == (5, 2)
    limits.set_capacity(db, 7)
    limits.follow_settings(db, capacity=4, per_repo=None)
    assert (limits.of(db).capacity, limits.of(db).per_repo) == (7, None)
    limits.set_capacity(db, 5)
    limits.follow_settings(db, capacity=4, per_repo=None)
    assert limits.of(db).capacity == 4, "it had been set back"


def test_the_estimate_comes_from_what_ran_before(db: SqliteDatabase) -> None:
    limit(db, capacity=1)
    queue(db, issue=1)
    assert [each.eta_seconds for each in outlooks(db, now=5.0).values()] == [None]
    finish(db, start(db, now=10.0), now=110.0)
    for issue in (2, 3, 4):
        queue(db, issue=issue, now=float(issue))
    start(db, now=200.0)
    found = outlooks(db, now=240.0)
    assert [(each.position, each.eta_seconds) for each in found.values()] == [(1, 60), (2, 160)]


def test_a_pause_is_told_with_its_reason_and_without_a_time(db: SqliteDatabase) -> None:
    finish(db, start_one(db), now=20.0)
    waits = queue(db, issue=2)
    limits.pause(db, "the disk is full")
    found = outlooks(db, now=30.0)[waits.id]
    assert (found.paused, found.eta_seconds) == ("the disk is full", None)
    limits.resume(db)
    assert outlooks(db, now=30.0)[waits.id].paused is None


def start_one(db: SqliteDatabase) -> ledger.Claimed:
    queue(db, issue=1)
    return start(db, now=10.0)


def test_what_is_put_off_says_until_when(db: SqliteDatabase) -> None:
    claimed = start_one(db)
    ledger.requeue(db, claimed, now=20.0, reason="429", not_before=80.0, attempt=1)
    assert outlooks(db, now=30.0)[claimed.job_id].put_off_until == 80.0
    assert outlooks(db, now=90.0)[claimed.job_id].put_off_until is None


def test_labels_set_the_priority_of_what_does_not_say_otherwise(db: SqliteDatabase) -> None:
    plain, said = say(db, issue=1), say(db, issue=2, priority=-1)
    for ask in (plain, said):
        threads.admit(db, ask, thread_of(db, ask), now=1.0, usual=1)
    assert (job_of(db, plain).priority, job_of(db, said).priority) == (1, -1)


def test_a_job_is_done_again_for_those_who_asked_for_it(db: SqliteDatabase) -> None:
    queue(db, issue=1, instructions="be quick", priority=1)
    ask = say(db, issue=1, by=BOB, instructions="and neat")
    threads.admit(db, ask, thread_of(db, ask), now=2.0)
    claimed = start(db)
    ledger.mark_told(db, claimed.job_id, 1, now=5.0)
    finish(db, claimed, Outcome.FAILED)
    report_all(db)
    again = ledger.job_of(db, retry(db, claimed.job_id, "admin", now=50.0))
    assert (again.state, again.asked_by, again.priority, again.recipe) == ("queued", "admin", 1, "code")
    asks = ledger.asks_of(db, again.id)
    assert [(each.author, each.instructions) for each in asks] == [("ann", ""), ("bob", "")], "the agent knows them"
    assert start(db, now=60.0).job_id == again.id


def test_what_the_agent_never_heard_is_said_again(db: SqliteDatabase) -> None:
    job = queue(db, issue=1, instructions="be quick")
    ledger.end_waiting(db, job.id, Outcome.EXPIRED, now=5.0, reason="waited too long")
    report_all(db)
    again = retry(db, job.id, "admin", now=50.0)
    assert [each.instructions for each in ledger.asks_of(db, again)] == ["be quick"]
    assert Ask.select().where(Ask.verdict.is_null()).count(db) == 0


def test_not_every_job_can_be_done_again(db: SqliteDatabase) -> None:
    running = start_one(db)
    with pytest.raises(CannotRetry, match="job 1 has not ended yet"):
        retry(db, running.job_id, "admin", now=20.0)
    finish(db, running, Outcome.FAILED)
    waiting = queue(db, issue=1)
    with pytest.raises(CannotRetry, match=f"job {waiting.id} of the same issue waits or runs already"):
        retry(db, running.job_id, "admin", now=20.0)
    refused = say(db, issue=5)
    threads.refuse(db, refused, "may not", now=3.0)
    with pytest.raises(CannotRetry, match="never admitted"):
        retry(db, job_of(db, refused).id, "admin", now=20.0)
