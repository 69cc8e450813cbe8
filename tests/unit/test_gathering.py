"""Which job an ask belongs to, and what of it reaches the job."""

from typing import Any

import pytest
from peewee import SqliteDatabase

from models import ledger, threads
from models.moves import State
from models.tables import Ask
from tests.unit.storing import ANN, BOB, LIB, admit, all_jobs, finish, job_of, queue, say, start


def verdicts(db: SqliteDatabase) -> list[str | None]:
    return [ask.verdict for ask in Ask.select().order_by(Ask.id).execute(db)]


def test_asks_gather_in_the_job_that_waits(db: SqliteDatabase) -> None:
    first, second = say(db), say(db, by=BOB)
    assert first.job_id == second.job_id
    admit(db, first)
    third = say(db, verb="continue")
    assert third.job_id == first.job_id, "it is queued, and has not started"
    assert len(all_jobs(db)) == 1


def test_what_gathers_is_to_be_reported(db: SqliteDatabase) -> None:
    job = queue(db)
    say(db)
    assert ledger.job_of(db, job.id).report_wanted == job.report_wanted + 1


@pytest.mark.parametrize("other", [{"verb": "research"}, {"fresh": True}, {"issue": 8}, {"repo": LIB}])
def test_what_is_something_else_does_not_gather(db: SqliteDatabase, other: dict[str, Any]) -> None:
    assert say(db).job_id != say(db, **other).job_id


def test_asks_do_not_gather_in_a_cancelled_job(db: SqliteDatabase) -> None:
    job = queue(db)
    ledger.request_cancel(db, job.id, "ann", now=2.0)
    assert say(db).job_id != job.id


def test_what_is_said_after_a_fresh_start_is_done_after_it(db: SqliteDatabase) -> None:
    say(db)
    fresh = say(db, fresh=True)
    assert say(db).job_id == fresh.job_id


def test_while_a_job_runs_all_asks_gather_in_the_next(db: SqliteDatabase) -> None:
    queue(db)
    claimed = start(db)
    asks = [say(db, verb="continue"), say(db, verb="continue", by=BOB)]
    assert {ask.job_id for ask in asks} == {2}
    for ask in asks:
        admit(db, ask)
    finish(db, claimed)
    assert start(db).job_id == 2


def test_to_continue_is_to_do_what_was_last_done(db: SqliteDatabase) -> None:
    assert job_of(db, say(db, verb="continue", issue=1)).recipe == "code"
    queue(db, verb="research")
    finish(db, start(db))
    assert job_of(db, say(db, verb="continue")).recipe == "research"
    assert job_of(db, say(db, verb="retry")).recipe == "research"
    assert job_of(db, say(db, verb="recipe:docs", issue=2)).recipe == "docs"


def test_to_continue_is_not_to_do_what_was_refused(db: SqliteDatabase) -> None:
    queue(db)
    finish(db, start(db))
    threads.refuse(db, say(db, verb="research", by=BOB), "may not", now=1.0)
    assert job_of(db, say(db, verb="continue")).recipe == "code"


def test_an_ask_whose_job_has_started_goes_to_a_new_one(db: SqliteDatabase) -> None:
    admit(db, say(db))
    late = say(db, by=BOB)
    claimed = start(db)
    assert late.job_id == claimed.job_id
    job = admit(db, late, now=12.0)
    assert (job.id, job.state, job.asked_by) == (2, "queued", "bob")
    assert [ask.author for ask in ledger.asks_of(db, claimed.job_id)] == ["ann"]


def test_an_ask_is_decided_once(db: SqliteDatabase) -> None:
    """Two desk workers may hold the same ask in their hands when a lease has lapsed."""
    ask = say(db)
    admit(db, ask)
    start(db)
    admit(db, ask)
    threads.refuse(db, ask, "may not", now=2.0)
    threads.answered(db, ask, "help")
    assert len(all_jobs(db)) == 1
    assert verdicts(db) == ["admitted"]


def test_nothing_of_a_refused_ask_reaches_the_job(db: SqliteDatabase) -> None:
    """Whoever may not ask must not choose the model, the priority or a fresh start for who may."""
    theirs = say(db, by=BOB, model="dear/model", priority=1, fresh=True)
    mine = say(db, by=ANN)
    assert mine.job_id == theirs.job_id
    threads.refuse(db, theirs, "may not", now=1.0)
    assert job_of(db, mine).state == State.ASKED
    job = admit(db, mine)
    assert (job.asked_by, job.model, job.priority, job.fresh) == ("ann", None, 0, False)


def test_a_later_ask_changes_what_it_names(db: SqliteDatabase) -> None:
    queue(db, model="dear/model", priority=1)
    assert queue(db, by=BOB).priority == 1
    job = queue(db, by=BOB, model="other/model", priority=-1)
    assert (job.id, job.model, job.priority, job.asked_by) == (1, "other/model", -1, "ann")
