"""Which job starts next, and which place in the queue people are told."""

from peewee import SqliteDatabase

from models import ledger, outlook, turns
from models.ledger import Claimed
from models.tables import Server
from tests.unit.storing import LIB, admit, claim, finish, limit, queue, say, start


def test_nothing_is_claimed_of_an_empty_queue(db: SqliteDatabase) -> None:
    assert claim(db) is None
    say(db)
    assert claim(db) is None, "nobody has admitted it yet"


def test_never_more_run_than_may(db: SqliteDatabase) -> None:
    for issue in range(5):
        queue(db, issue=issue)
    claims = [start(db) for _ in range(3)]
    assert claim(db) is None
    limit(db, capacity=4)
    start(db)
    assert claim(db) is None
    limit(db, capacity=3)
    finish(db, claims[0])
    assert claim(db) is None, "three of the four still run"
    finish(db, claims[1])
    assert start(db).job_id == 5


def test_a_pause_lets_what_runs_run_and_starts_nothing(db: SqliteDatabase) -> None:
    queue(db, issue=1)
    queue(db, issue=2)
    claimed = start(db)
    limit(db, paused=True)
    assert claim(db) is None
    assert ledger.renew(db, claimed, until=99.0)
    limit(db, paused=False)
    assert claim(db) is not None


def test_one_issue_runs_one_job_at_a_time(db: SqliteDatabase) -> None:
    first, second = queue(db), queue(db, verb="research")
    claimed = start(db)
    assert claimed.job_id == first.id
    assert claim(db) is None
    finish(db, claimed)
    assert start(db).job_id == second.id


def test_the_highest_priority_starts_first(db: SqliteDatabase) -> None:
    limit(db, capacity=9)
    jobs = {priority: queue(db, issue=issue, priority=priority).id for issue, priority in enumerate((-1, 0, 1, None))}
    assert [start(db).job_id for _ in range(4)] == [jobs[1], jobs[0], jobs[None], jobs[-1]]


def test_repositories_take_turns(db: SqliteDatabase) -> None:
    limit(db, capacity=9)
    app = [queue(db, issue=issue, now=float(issue)).id for issue in range(3)]
    lib = [queue(db, issue=issue, repo=LIB, now=5.0 + issue).id for issue in range(2)]
    assert [start(db).job_id for _ in range(5)] == [app[0], lib[0], app[1], lib[1], app[2]]


def test_a_repository_that_comes_later_has_its_turn_at_once(db: SqliteDatabase) -> None:
    limit(db, capacity=9)
    app = [queue(db, issue=issue).id for issue in range(4)]
    assert [start(db).job_id, start(db).job_id] == app[:2]
    new = queue(db, repo="zoo/web", now=9.0)
    assert start(db).job_id == new.id


def test_the_oldest_starts_first_whatever_its_number(db: SqliteDatabase) -> None:
    late, early = say(db, issue=1), say(db, issue=2)
    admit(db, early, now=1.0)
    admit(db, late, now=2.0)
    assert start(db).job_id == early.job_id


def test_a_job_that_is_put_off_lets_others_pass(db: SqliteDatabase) -> None:
    first, second = queue(db, issue=1), queue(db, issue=2)
    ledger.requeue(db, start(db), now=10.0, reason="Gitea is down", not_before=60.0)
    assert start(db, now=11.0).job_id == second.id
    assert claim(db, now=59.0) is None
    assert start(db, now=60.0) == Claimed(first.id, 2)


def test_a_job_that_waits_longer_than_its_issues_next_is_overtaken(db: SqliteDatabase) -> None:
    first, second = queue(db), queue(db, verb="research")
    claimed = start(db)
    ledger.mark_told(db, first.id, 1, now=9.0)
    ledger.requeue(db, claimed, now=10.0, reason="down", not_before=60.0)
    ledger.requeue(db, start(db, now=60.0), now=61.0, reason="down", not_before=90.0)
    claimed = start(db, now=62.0)
    assert claimed.job_id == second.id
    finish(db, claimed)
    assert start(db, now=90.0).job_id == first.id
    assert turns.overtaken(db, first)
    assert not turns.overtaken(db, second)


def test_places_in_the_queue_are_the_order_of_the_claims(db: SqliteDatabase) -> None:
    for issue in range(4):
        queue(db, issue=issue, now=float(issue), priority=issue % 2)
    for issue in range(4):
        queue(db, issue=issue, repo=LIB, now=9.0 + issue)
    queue(db, issue=9, repo="zoo/web", now=0.5, priority=-1)
    places = ledger.positions(db, now=20.0)
    order = []
    while claimed := claim(db, now=20.0):
        order.append(claimed.job_id)
        finish(db, claimed)
    assert order == sorted(places, key=lambda job: places[job])
    assert ledger.positions(db, now=20.0) == {}


def test_jobs_that_are_put_off_stand_at_the_end_of_the_queue(db: SqliteDatabase) -> None:
    first = queue(db, issue=1, priority=1)
    second, third = queue(db, issue=2), queue(db, issue=3)
    for pause in (500.0, 100.0):
        ledger.requeue(db, start(db), now=10.0, reason="down", not_before=pause)
    assert ledger.positions(db, now=20.0) == {third.id: 1, second.id: 2, first.id: 3}
    assert ledger.positions(db, now=500.0) == {first.id: 1, second.id: 2, third.id: 3}


def test_only_queued_jobs_have_a_place(db: SqliteDatabase) -> None:
    say(db, issue=1)
    queue(db, issue=2)
    start(db)
    waiting = queue(db, issue=3)
    assert ledger.positions(db, now=20.0) == {waiting.id: 1}


def test_a_server_that_cannot_be_worked_with_holds_no_slot_and_no_place(db: SqliteDatabase) -> None:
    limit(db, capacity=1)
    waits, goes = queue(db, issue=1), queue(db, issue=2, server="codeberg")
    Server.insert(name="gitea", url="https://gitea.example.com", ok=False).execute(db)
    Server.insert(name="codeberg", url="https://codeberg.example.com", ok=True).execute(db)
    assert ledger.positions(db, now=10.0) == {goes.id: 1, waits.id: 2}
    assert {number: found.paused for number, found in outlook.outlooks(db, now=10.0).items()} == {
        goes.id: None,
        waits.id: "gitea cannot be worked with now",
    }
    claimed = start(db)
    assert claimed.job_id == goes.id
    finish(db, claimed)
    assert claim(db) is None
    Server.update(ok=True).where(Server.name == "gitea").execute(db)
    assert start(db).job_id == waits.id
