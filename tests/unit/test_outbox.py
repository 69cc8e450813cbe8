"""Notifications: which are made of the log of moves, and that each is sent until it has arrived."""

import pytest
from peewee import SqliteDatabase
from pydantic import SecretStr, ValidationError

from models import ledger, outbox, retention
from models.moves import Outcome, State
from models.notices import Event, Notice, all_notices
from models.outbox import PAUSES, Told
from models.side_tables import Notification
from models.tables import Job, Move
from tests.unit.test_tally import asked

NOTICES = all_notices(["json://127.0.0.1"], {})


def say(event: Event, job: Job) -> Told:
    return Told(f"{event} {job.repo.name}#{job.thread.issue}", "", {"event": str(event)})


def gather(db: SqliteDatabase, notices: dict[str, Notice] | None = None) -> None:
    while outbox.gather(db, NOTICES if notices is None else notices, say, now=1000.0):
        pass


def made(db: SqliteDatabase) -> list[tuple[str, str]]:
    rows = Notification.select().order_by(Notification.id).execute(db)
    return [(row.target, row.event) for row in rows]


def run_through(db: SqliteDatabase, outcome: Outcome = Outcome.COMPLETED) -> int:
    """A job from the ask to its end."""
    job = asked(db)
    claimed = ledger.claim_next(db, "w", now=103.0, lease=60)
    assert claimed is not None
    for _ in range(2):
        ledger.mark_told(db, job, 1, now=104.0)
    ledger.settle(db, claimed, outcome, now=160.0, reason="ended")
    ledger.move(db, job, State.REPORTING, State.DONE, at=161.0, reason="told")
    return job


@pytest.mark.parametrize(
    ("outcome", "last"),
    [
        (Outcome.COMPLETED, "task_completed"),
        (Outcome.FAILED, "task_error"),
        (Outcome.CANCELLED, "task_cancelled"),
        (Outcome.EXPIRED, "task_expired"),
    ],
)
def test_each_event_of_a_job_is_told_once_and_in_order(db: SqliteDatabase, outcome: Outcome, last: str) -> None:
    outbox.begin(db)
    run_through(db, outcome)
    gather(db)
    gather(db)
    events = ["task_queued", "task_dequeued", "task_started", last]
    assert made(db) == [("notify-1", event) for event in events]


def test_nothing_is_told_of_a_refusal_nor_of_what_was_before(db: SqliteDatabase) -> None:
    run_through(db)
    outbox.begin(db)
    job = asked(db, 8)
    ledger.end_waiting(db, job, Outcome.REFUSED, now=105.0, reason="no")
    ledger.move(db, job, State.REPORTING, State.DONE, at=106.0, reason="told")
    gather(db)
    assert made(db) == [("notify-1", "task_queued")]


def test_a_failure_found_while_reporting_is_told_as_one(db: SqliteDatabase) -> None:
    outbox.begin(db)
    job = asked(db)
    claimed = ledger.claim_next(db, "w", now=103.0, lease=60)
    assert claimed is not None
    ledger.settle(db, claimed, Outcome.COMPLETED, now=160.0, reason="ended")
    gather(db)
    ledger.spoil(db, job, now=161.0, error="the push was refused")
    ledger.move(db, job, State.REPORTING, State.DONE, at=162.0, reason="told")
    gather(db)
    assert made(db)[-1] == ("notify-1", "task_error")
    assert ("notify-1", "task_completed") not in made(db)


def test_rules_say_which_goes_where(db: SqliteDatabase) -> None:
    to = SecretStr("json://127.0.0.1")
    notices = {
        "ends": Notice(to=to, events=(Event.COMPLETED, Event.ERROR)),
        "ours": Notice(to=to, repos=("acme/*", "!acme/secret"), events=(Event.QUEUED,)),
        "theirs": Notice(to=to, repos=("other/*",)),
    }
    outbox.begin(db)
    run_through(db)
    gather(db, notices)
    assert made(db) == [("ours", "task_queued"), ("ends", "task_completed")]


def test_numbers_of_moves_given_again_are_looked_at(db: SqliteDatabase) -> None:
    outbox.begin(db)
    run_through(db)
    gather(db)
    Notification.delete().execute(db)
    Move.delete().execute(db)
    gather(db)
    asked(db, 8)
    gather(db)
    assert made(db) == [("notify-1", "task_queued")]


def test_what_does_not_arrive_is_tried_again_with_growing_pauses_and_then_given_up(db: SqliteDatabase) -> None:
    outbox.begin(db)
    asked(db)
    gather(db)
    now, pauses = 1000.0, []
    while (waiting := outbox.take(db, now=now)) is not None:
        assert outbox.take(db, now=now) is None, "nobody else takes it meanwhile"
        outbox.failed(db, waiting, "answered 500", now=now)
        row = Notification.select().get(db)
        pauses.append(row.due_at - now)
        now = row.due_at
    assert pauses == [*PAUSES, *[PAUSES[-1]] * 5]
    assert (row.given_up, row.problem, row.sent_at) == (True, "answered 500", None)


def test_what_a_dead_worker_was_sending_is_sent_again(db: SqliteDatabase) -> None:
    outbox.begin(db)
    asked(db)
    gather(db)
    first = outbox.take(db, now=1000.0)
    again = outbox.take(db, now=1000.0 + outbox.TAKEN)
    assert first is not None
    assert again is not None
    assert (again.uuid, again.attempts) == (first.uuid, 2)
    outbox.sent(db, again, now=1200.0)
    assert outbox.take(db, now=10**6) is None


def test_old_ones_go_but_for_those_that_are_still_to_arrive(db: SqliteDatabase) -> None:
    outbox.begin(db)
    run_through(db)
    gather(db)
    for end in ("sent", "given up", "failed"):
        waiting = outbox.take(db, now=1000.0)
        assert waiting is not None
        if end == "sent":
            outbox.sent(db, waiting, now=1000.0)
        elif end == "given up":
            outbox.give_up(db, waiting, "this address is no longer in the settings")
        else:
            outbox.failed(db, waiting, "answered 500", now=1000.0)
    assert retention.drop_notifications(db, before=1000.0) == 0
    assert retention.drop_notifications(db, before=1001.0) == 2
    assert made(db) == [("notify-1", "task_started"), ("notify-1", "task_completed")]


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"to": "json://a", "webhook": "https://example.com", "secret": "s"},
        {"webhook": "https://example.com"},
        {"to": "json://a", "secret": "s"},
        {"to": "json://a", "events": "task_queued,task_eaten"},
        {"to": "json://a", "repos": "acme"},
        {"webhook": "ftp://example.com", "secret": "s"},
    ],
)
def test_a_table_that_cannot_be_right_is_refused(table: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Notice.model_validate(table)
