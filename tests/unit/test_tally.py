"""Figures that only grow: counted with the change itself, kept when what they were counted from is gone."""

from peewee import SqliteDatabase

from models import ledger, store, tally, threads
from models.events import Person
from models.intake import Asks, Ignore, NewAsk
from models.moves import Outcome, State
from models.store import Incoming, NewDelivery
from models.tables import Job


def delivery(source: str = "webhook") -> NewDelivery:
    return NewDelivery(
        server="gitea", source=source, uuid="u", event_type="issue_comment", headers={}, body="", received_at=1.0
    )


def asked(db: SqliteDatabase, issue: int = 7) -> int:
    """A job of that issue, queued at 100."""
    word = NewAsk(key=f"comment:{issue}:0", verb="code", author=Person(7, "ada"), said_at=1.0)
    asks = Asks("acme/widgets", issue, is_pull=False, title="Title", asks=(word,))
    store.accept_many(db, [Incoming(delivery(), asks)])
    thread = threads.take_thread(db, "desk", now=100.0, lease=10)
    assert thread is not None
    (pending,) = threads.pending_asks(db, thread.id)
    threads.admit(db, pending, thread, now=100.0)
    threads.thread_done(db, thread, now=100.0)
    return int(Job.select(Job.id).order_by(Job.id.desc()).scalar(db))


def test_deliveries_are_counted_by_verdict_and_source(db: SqliteDatabase) -> None:
    store.accept_many(db, [Incoming(delivery(), Ignore("no")) for _ in range(3)])
    store.accept_many(db, [Incoming(delivery("reconcile"), Ignore("no"))])
    assert tally.read(db)["kugetsu_deliveries"] == {
        (("server", "gitea"), ("source", "reconcile"), ("verdict", "ignored")): 1,
        (("server", "gitea"), ("source", "webhook"), ("verdict", "ignored")): 3,
    }


def test_what_could_not_be_stored_is_not_counted(db: SqliteDatabase) -> None:
    with db.atomic() as transaction:
        store.accept_many(db, [Incoming(delivery(), Ignore("no"))])
        transaction.rollback()
    assert tally.read(db) == {}


def test_a_job_is_counted_on_its_way(db: SqliteDatabase) -> None:
    job = asked(db)
    claimed = ledger.claim_next(db, "w", now=103.0, lease=60)
    assert claimed is not None
    ledger.requeue(db, claimed, now=110.0, reason="the provider answered 503", queued_at=110.0)
    claimed = ledger.claim_next(db, "w", now=120.0, lease=60)
    assert claimed is not None
    used = {"tokens_in": 1000, "tokens_out": 50, "cost": 0.25}
    ledger.settle(db, claimed, Outcome.COMPLETED, now=160.0, reason="done", **used)
    assert "kugetsu_jobs_ended" not in tally.read(db)
    ledger.move(db, job, State.REPORTING, State.DONE, at=161.0, reason="told")
    found = tally.read(db)
    of = (("recipe", "code"), ("repo", "acme/widgets"), ("server", "gitea"))
    assert found["kugetsu_jobs_ended"] == {(("outcome", "completed"), *of): 1}
    assert found["kugetsu_job_retries"] == {of: 1}
    assert found["kugetsu_agent_tokens"] == {(("direction", "in"), *of): 1000, (("direction", "out"), *of): 50}
    assert found["kugetsu_agent_cost_usd"] == {of: 0.25}
    waited, ran = found["kugetsu_job_wait_seconds_bucket"], found["kugetsu_job_run_seconds_bucket"]
    assert waited == {
        (("le", "5"), ("recipe", "code"), ("server", "gitea")): 1,
        (("le", "15"), ("recipe", "code"), ("server", "gitea")): 1,
    }
    assert found["kugetsu_job_wait_seconds_sum"] == {(("recipe", "code"), ("server", "gitea")): 13}
    assert ran == {(("le", "60"), ("recipe", "code"), ("server", "gitea")): 1}
    assert found["kugetsu_job_run_seconds_sum"] == {(("recipe", "code"), ("server", "gitea")): 40}


def test_a_figure_outlives_what_it_was_counted_from(db: SqliteDatabase) -> None:
    job = asked(db)
    ledger.end_waiting(db, job, Outcome.CANCELLED, now=105.0, reason="cancelled by ada")
    ledger.move(db, job, State.REPORTING, State.DONE, at=106.0, reason="told")
    Job.delete().execute(db)
    of = (("outcome", "cancelled"), ("recipe", "code"), ("repo", "acme/widgets"), ("server", "gitea"))
    assert tally.read(db)["kugetsu_jobs_ended"] == {of: 1}


def test_what_is_put_off_is_counted(db: SqliteDatabase) -> None:
    asked(db)
    for moment in (200.0, 300.0):
        ledger.want_report(db, 1)
        thread = threads.take_thread(db, "desk", now=moment, lease=10)
        assert thread is not None
        threads.thread_failed(db, thread, problem="no connection", not_before=moment + 1)
    assert tally.read(db)["kugetsu_gitea_retries"] == {(("server", "gitea"),): 2}
