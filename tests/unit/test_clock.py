"""A clock that is set back: what was put off does not wait for the time that has been taken back."""

from peewee import SqliteDatabase

from models import clock, ledger, threads
from models.side_tables import Watch
from models.tables import Job
from tests.unit.storing import queue, say

HOUR = 3600.0


def put_off(db: SqliteDatabase, *, now: float, until: float) -> None:
    """The one thread was taken at `now`, and it did not go well."""
    thread = threads.take_thread(db, "one", now=now, lease=60.0)
    assert thread is not None
    threads.thread_failed(db, thread, problem="Gitea is away", not_before=until)


def test_what_was_put_off_comes_as_soon_as_it_was_meant_to(db: SqliteDatabase) -> None:
    say(db)
    assert clock.went_back(db, "here", now=2 * HOUR) == 0.0
    put_off(db, now=2 * HOUR, until=2 * HOUR + 60.0)
    assert clock.went_back(db, "here", now=HOUR) == HOUR
    assert not threads.any_due(db, now=HOUR + 59.0)
    assert threads.any_due(db, now=HOUR + 60.0)
    assert clock.went_back(db, "here", now=HOUR + 5.0) == 0.0
    assert not threads.any_due(db, now=HOUR + 59.0), "that was done once"


def test_a_look_comes_as_soon_as_well_and_what_is_due_stays_so(db: SqliteDatabase) -> None:
    say(db)
    clock.went_back(db, "here", now=2 * HOUR)
    Watch.update(due_at=2 * HOUR + 300.0).execute(db)
    clock.went_back(db, "here", now=HOUR)
    assert [watch.due_at for watch in Watch.select().execute(db)] == [HOUR + 300.0]
    assert threads.any_due(db, now=HOUR)


def test_small_steps_and_the_clocks_of_other_machines_change_nothing(db: SqliteDatabase) -> None:
    say(db)
    clock.went_back(db, "here", now=2 * HOUR)
    put_off(db, now=2 * HOUR, until=2 * HOUR + 60.0)
    assert clock.went_back(db, "here", now=2 * HOUR - clock.SLACK_SECONDS) == 0.0
    assert clock.went_back(db, "there", now=HOUR) == 0.0
    assert not threads.any_due(db, now=2 * HOUR + 59.0)


def test_a_lease_that_was_renewed_since_does_not_lapse(db: SqliteDatabase) -> None:
    queue(db)
    clock.went_back(db, "here", now=2 * HOUR)
    claimed = ledger.claim_next(db, "one", now=2 * HOUR, lease=30.0)
    assert claimed is not None
    ledger.renew(db, claimed, until=HOUR + 30.0)
    clock.went_back(db, "here", now=HOUR + 2.0)
    assert [job.lease_until for job in Job.select().execute(db)] == [HOUR + 30.0]


def test_a_lease_of_before_lapses_soon(db: SqliteDatabase) -> None:
    queue(db)
    clock.went_back(db, "here", now=2 * HOUR)
    assert ledger.claim_next(db, "one", now=2 * HOUR, lease=30.0)
    clock.went_back(db, "here", now=HOUR)
    assert [job.lease_until for job in Job.select().execute(db)] == [HOUR + clock.LONGEST_LEASE]
