"""The moves of a job, one by one."""

from typing import Any

import pytest
from peewee import IntegrityError, SqliteDatabase

from models import ledger, limits, threads
from models.ledger import Claimed
from models.moves import MOVES, NoSuchMove, Outcome, State, check
from models.tables import Ask, Job, Move, Thread
from tests.unit.storing import BOB, FOREVER, admit, claim, finish, job_of, limit, queue, replayed, say, start


def moves_of(db: SqliteDatabase, job_id: int) -> list[tuple[str | None, str, str]]:
    rows = Move.select(Move.source, Move.target, Move.reason).where(Move.job == job_id).order_by(Move.id)
    return list(rows.tuples().execute(db))


def test_a_job_goes_from_asked_to_done(db: SqliteDatabase) -> None:
    ask = say(db)
    assert job_of(db, ask).state == State.ASKED
    assert admit(db, ask, now=2.0).state == State.QUEUED
    claimed = start(db, now=3.0)
    assert finish(db, claimed, now=4.0)
    assert ledger.move(db, claimed.job_id, State.REPORTING, State.DONE, at=5.0, reason="told")
    job = job_of(db, ask)
    assert (job.state, job.outcome) == replayed(db, job.id) == ("done", "completed")
    assert (job.asked_at, job.queued_at, job.started_at, job.finished_at) == (1.0, 2.0, 3.0, 4.0)
    assert moves_of(db, job.id) == [
        (None, "asked", "ann asked"),
        ("asked", "queued", "ann may ask"),
        ("queued", "running", "claimed"),
        ("running", "reporting", "the agent ended"),
        ("reporting", "done", "told"),
    ]


def test_only_the_moves_of_the_table_exist(db: SqliteDatabase) -> None:
    job = queue(db)
    for source in State:
        for target in set(State) - MOVES[source]:
            with pytest.raises(NoSuchMove, match=f"from {source} to {target}"):
                check(source, target)
    with pytest.raises(NoSuchMove):
        ledger.move(db, job.id, State.QUEUED, State.DONE, at=1.0, reason="")
    assert job.state == State.QUEUED


def test_a_move_from_a_state_that_is_over_changes_nothing(db: SqliteDatabase) -> None:
    job = queue(db)
    before = (moves_of(db, job.id), job.report_wanted)
    assert not ledger.move(db, job.id, State.ASKED, State.QUEUED, at=9.0, reason="again", queued_at=9.0)
    after = ledger.job_of(db, job.id)
    assert (moves_of(db, job.id), after.report_wanted) == before
    assert after.queued_at == 1.0


def test_a_move_can_be_bound_to_a_condition(db: SqliteDatabase) -> None:
    job = queue(db)
    ends = ledger.ending(Outcome.EXPIRED, 9.0)
    gone, same = Job.queued_at > 5.0, Job.queued_at < 5.0
    assert not ledger.move(db, job.id, State.QUEUED, State.REPORTING, at=9.0, reason="", where=gone, **ends)
    assert ledger.move(db, job.id, State.QUEUED, State.REPORTING, at=9.0, reason="", where=same, **ends)


def test_every_move_is_to_be_reported_and_wakes_the_desk(db: SqliteDatabase) -> None:
    job = queue(db)
    desk = Thread.select(Thread.desk_wanted).where(Thread.id == job.thread_id)
    wanted = desk.scalar(db)
    start(db)
    assert ledger.job_of(db, job.id).report_wanted == job.report_wanted + 1
    assert desk.scalar(db) == wanted + 1
    ledger.want_report(db, job.id)
    assert ledger.job_of(db, job.id).report_wanted == job.report_wanted + 2
    assert desk.scalar(db) == wanted + 2


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "waiting"},
        {"state": "running"},
        {"state": "running", "worker": "one"},
        {"worker": "one"},
        {"lease_until": 5.0},
        {"outcome": "completed"},
        {"state": "done"},
        {"state": "reporting", "outcome": "well"},
        {"priority": 2},
        {"report_seen": 99},
    ],
)
def test_the_schema_refuses_a_row_that_makes_no_sense(db: SqliteDatabase, changes: dict[str, Any]) -> None:
    job = queue(db)
    with pytest.raises(IntegrityError, match="CHECK"):
        Job.update(**changes).where(Job.id == job.id).execute(db)


def test_the_schema_refuses_a_second_running_job_on_an_issue(db: SqliteDatabase) -> None:
    first, second = queue(db), queue(db, verb="research")
    running = {"state": State.RUNNING, "worker": "one", "lease_until": 5.0}
    Job.update(**running).where(Job.id == first.id).execute(db)
    with pytest.raises(IntegrityError, match="UNIQUE"):
        Job.update(**running).where(Job.id == second.id).execute(db)


def test_a_claim_takes_the_job_under_an_epoch_of_its_own(db: SqliteDatabase) -> None:
    job = queue(db)
    claimed = ledger.claim_next(db, "one", now=10.0, lease=30.0)
    assert claimed == Claimed(job.id, 1)
    job = ledger.job_of(db, job.id)
    assert (job.state, job.worker, job.lease_until, job.run, job.started_at) == ("running", "one", 40.0, 1, 10.0)


def test_a_job_that_comes_back_keeps_its_age(db: SqliteDatabase) -> None:
    first = queue(db, issue=1, now=1.0)
    queue(db, issue=2, now=2.0)
    limit(db, capacity=1)
    assert ledger.requeue(db, start(db), now=10.0, reason="its worker was lost", crashes=1)
    job = ledger.job_of(db, first.id)
    assert (job.state, job.worker, job.lease_until, job.crashes) == ("queued", None, None, 1)
    assert start(db) == Claimed(first.id, 2)
    assert ledger.job_of(db, first.id).run == 2


def test_an_old_epoch_changes_nothing(db: SqliteDatabase) -> None:
    queue(db)
    old = start(db)
    new = ledger.adopt(db, old.job_id, old.epoch, "two", now=50.0, lease=30.0)
    assert new == Claimed(old.job_id, 2)
    before = (ledger.job_of(db, old.job_id).__data__, moves_of(db, old.job_id))
    assert not ledger.renew(db, old, until=FOREVER)
    assert not finish(db, old)
    assert not ledger.requeue(db, old, now=50.0, reason="")
    assert ledger.adopt(db, old.job_id, old.epoch, "three", now=50.0, lease=30.0) is None
    ledger.note_progress(db, old, step="late")
    ledger.release(db, old)
    assert (ledger.job_of(db, old.job_id).__data__, moves_of(db, old.job_id)) == before
    assert finish(db, new)


def test_what_is_over_cannot_be_adopted(db: SqliteDatabase) -> None:
    queue(db)
    claimed = start(db)
    finish(db, claimed)
    assert ledger.adopt(db, claimed.job_id, claimed.epoch, "two", now=50.0, lease=30.0) is None


def test_a_worker_that_stops_lets_its_lease_lapse(db: SqliteDatabase) -> None:
    queue(db)
    claimed = start(db)
    ledger.release(db, claimed)
    job = ledger.job_of(db, claimed.job_id)
    assert (job.state, job.lease_until, job.worker) == ("running", 0.0, "one")
    assert not ledger.renew(db, claimed, until=100.0), "a thread that still hangs took it back"
    assert ledger.job_of(db, claimed.job_id).lease_until == ledger.RELEASED


def test_progress_is_stored_while_the_job_runs_and_not_after(db: SqliteDatabase) -> None:
    queue(db)
    claimed = start(db)
    ledger.note_progress(db, claimed, step="reads app.py", steps=3)
    assert ledger.job_of(db, claimed.job_id).step == "reads app.py"
    finish(db, claimed)
    ledger.note_progress(db, claimed, step="late", steps=4)
    assert ledger.job_of(db, claimed.job_id).steps == 3


def test_a_job_settles_once(db: SqliteDatabase) -> None:
    queue(db)
    claimed = start(db)
    assert ledger.settle(db, claimed, Outcome.COMPLETED, now=20.0, reason="done", head_sha="abc", changed=True)
    assert not ledger.settle(db, claimed, Outcome.FAILED, now=21.0, reason="late")
    job = ledger.job_of(db, claimed.job_id)
    assert (job.outcome, job.head_sha, job.changed, job.finished_at) == ("completed", "abc", True, 20.0)
    assert (job.worker, job.lease_until) == (None, None)


def test_the_log_names_the_worker_that_ran_the_job(db: SqliteDatabase) -> None:
    queue(db)
    finish(db, start(db, "two"))
    logged = [row.worker for row in Move.select().order_by(Move.id).execute(db)]
    assert logged == [None, None, "two", "two"]


def test_a_waiting_job_is_cancelled_at_once(db: SqliteDatabase) -> None:
    for waiting in (job_of(db, say(db, issue=1)), queue(db, issue=2)):
        assert ledger.request_cancel(db, waiting.id, "bob", now=5.0)
        job = ledger.job_of(db, waiting.id)
        assert (job.state, job.outcome) == ("reporting", "cancelled")
        assert (job.cancelled_by, job.cancel_requested_at) == ("bob", 5.0)
    assert claim(db) is None


def test_a_running_job_is_cancelled_by_its_worker(db: SqliteDatabase) -> None:
    queue(db)
    claimed = start(db)
    assert not ledger.cancel_requested(db, claimed.job_id)
    assert ledger.request_cancel(db, claimed.job_id, "bob", now=11.0)
    assert ledger.cancel_requested(db, claimed.job_id)
    assert ledger.request_cancel(db, claimed.job_id, "ann", now=12.0)
    job = ledger.job_of(db, claimed.job_id)
    assert (job.state, job.cancel_requested_at, job.cancelled_by) == ("running", 11.0, "bob")
    assert finish(db, claimed, Outcome.CANCELLED)


def test_a_cancelled_job_is_never_tried_again(db: SqliteDatabase) -> None:
    queue(db)
    claimed = start(db)
    ledger.request_cancel(db, claimed.job_id, "bob", now=11.0)
    assert ledger.requeue(db, claimed, now=12.0, reason="its worker was lost", error="lost")
    job = ledger.job_of(db, claimed.job_id)
    assert (job.state, job.outcome, job.error) == ("reporting", "cancelled", "")
    assert replayed(db, job.id) == ("reporting", "cancelled")


def test_what_has_ended_cannot_be_cancelled(db: SqliteDatabase) -> None:
    job = queue(db)
    finish(db, start(db))
    assert not ledger.request_cancel(db, job.id, "bob", now=30.0)
    ledger.move(db, job.id, State.REPORTING, State.DONE, at=31.0, reason="told")
    assert not ledger.request_cancel(db, job.id, "bob", now=32.0)
    assert not ledger.request_cancel(db, 999, "bob", now=32.0)
    assert ledger.job_of(db, job.id).cancelled_by is None


def test_a_job_that_waited_too_long_expires(db: SqliteDatabase) -> None:
    job = queue(db)
    assert ledger.end_waiting(db, job.id, Outcome.EXPIRED, now=90.0, reason="waited too long")
    assert not ledger.end_waiting(db, job.id, Outcome.EXPIRED, now=91.0, reason="waited too long")
    job = ledger.job_of(db, job.id)
    assert (job.outcome, job.error, job.finished_at) == ("expired", "waited too long", 90.0)


def test_a_running_job_does_not_expire(db: SqliteDatabase) -> None:
    job = queue(db)
    start(db)
    assert not ledger.end_waiting(db, job.id, Outcome.EXPIRED, now=90.0, reason="waited too long")


def test_a_result_that_cannot_be_delivered_spoils_a_completed_job(db: SqliteDatabase) -> None:
    job = queue(db)
    assert not ledger.spoil(db, job.id, now=9.0, error="the branch is protected")
    finish(db, start(db))
    assert ledger.spoil(db, job.id, now=30.0, error="the branch is protected")
    assert not ledger.spoil(db, job.id, now=31.0, error="again")
    job = ledger.job_of(db, job.id)
    assert (job.state, job.outcome, job.error) == ("reporting", "failed", "the branch is protected")
    assert replayed(db, job.id) == ("reporting", "failed")


def test_a_run_is_told_every_ask_of_its_job_once(db: SqliteDatabase) -> None:
    asks = [say(db), say(db, verb="continue", by=BOB), say(db)]
    admit(db, asks[0])
    admit(db, asks[1])
    threads.refuse(db, asks[2], "may not", now=1.0)
    claimed = start(db)
    assert [ask.id for ask in ledger.asks_of(db, claimed.job_id)] == [asks[0].id, asks[1].id]
    ledger.mark_told(db, claimed.job_id, 1, now=5.0)
    told = Ask.select(Ask.told_run).order_by(Ask.id).tuples().execute(db)
    assert list(told) == [(1,), (1,), (None,)]


def test_a_run_that_is_over_is_told_nothing(db: SqliteDatabase) -> None:
    """A worker that lags behind must not keep from the next run what was asked since."""
    queue(db)
    ledger.requeue(db, start(db), now=10.0, reason="lost")
    later = say(db, verb="continue")
    job = admit(db, later)
    ledger.mark_told(db, job.id, 1, now=5.0)
    start(db)
    ledger.mark_told(db, job.id, 1, now=5.0)
    assert Ask.select(Ask.told_run).where(Ask.id == later.id).scalar(db) is None
    ledger.mark_told(db, job.id, 2, now=5.0)
    assert Ask.select(Ask.told_run).where(Ask.id == later.id).scalar(db) == 2


def test_waiting_counts_from_when_the_job_last_came_into_the_queue(db: SqliteDatabase) -> None:
    """One that was put back after a long run has not waited all that time."""
    queue(db, issue=1, now=1.0)
    ran = start(db, now=100.0)
    waits = queue(db, issue=2, now=2.0)
    assert ledger.waiting_since(db, 50.0) == [waits.id]
    assert ledger.requeue(db, ran, now=100_000.0, reason="Gitea was down")
    assert ledger.waiting_since(db, 50_000.0) == [waits.id]
    assert ledger.waiting_since(db, 100_001.0) == [ran.job_id, waits.id]


def test_nothing_starts_while_it_is_held_whatever_an_administrator_says(db: SqliteDatabase) -> None:
    queue(db)
    assert limits.hold(db, "the disk is full")
    assert not limits.hold(db, "the disk is full")
    limits.resume(db)
    assert claim(db) is None
    limits.pause(db, "tea")
    assert limits.hold(db, None)
    assert (claim(db), limits.why_nothing_starts(limits.of(db))) == (None, "tea")
    limits.resume(db)
    assert claim(db) is not None
