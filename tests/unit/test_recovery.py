"""What reconciliation finds, beside what webhooks tell: heard once, and counted as missed only where it was."""

import json

from peewee import SqliteDatabase

from models import recovery, repos, tally, threads
from models.events import Person
from models.intake import FOREIGN_EDIT, Asks, Decision, Ignore, Look
from models.repos import Seen
from models.side_tables import Watch
from models.store import Incoming
from models.tables import Delivery, Repo, Thread
from tests.unit.storing import ANN, APP, all_jobs, comment, delivery, hear, look, new_ask

HERE = Look(APP, 7, is_pull=False)


def find(db: SqliteDatabase, decision: Decision, **more: object) -> bool:
    """Reconciliation finds this."""
    return recovery.accept(db, Incoming(delivery(source="reconcile", **more), decision))


def desk_finds(db: SqliteDatabase, entry: int) -> None:
    """The desk looks at the thread, and there is a label."""
    taken = threads.take_thread(db, "one", now=10.0, lease=60.0)
    assert taken is not None
    ask = new_ask("code", entry, key=f"label:{entry}", comment_id=None)
    recovery.heard(db, taken, ask, HERE, now=10.0)
    threads.look_done(db, taken)
    threads.thread_done(db, taken, now=10.0)


def missed(db: SqliteDatabase) -> int:
    return sum(found.count for found in recovery.missed_since(db, 0.0).values())


def test_a_comment_that_a_webhook_told_of_is_neither_heard_nor_stored_again(db: SqliteDatabase) -> None:
    hear(db, comment(new_ask("code", 5)))
    assert not find(db, comment(new_ask("code", 5)))
    assert (Delivery.select().count(db), len(all_jobs(db)), missed(db)) == (1, 1, 0)


def test_a_comment_that_was_missed_is_heard_and_its_webhook_is_late(db: SqliteDatabase) -> None:
    assert find(db, comment(new_ask("code", 5)))
    assert hear(db, comment(new_ask("code", 5))).verdict == "duplicate"
    assert (len(all_jobs(db)), missed(db)) == (1, 1)


def test_a_label_that_only_a_look_finds_was_missed(db: SqliteDatabase) -> None:
    assert find(db, HERE)
    desk_finds(db, 1)
    assert (len(all_jobs(db)), missed(db)) == (1, 1)
    assert Delivery.select(Delivery.detail).scalar(db) == f"code on {APP}#7, which no webhook told of"


def test_a_label_of_which_a_webhook_told_before_or_after_the_look_was_not_missed(db: SqliteDatabase) -> None:
    hear(db, look())
    find(db, HERE)
    desk_finds(db, 1)
    find(db, HERE)
    hear(db, look())
    desk_finds(db, 2)
    assert (len(all_jobs(db)), missed(db)) == (1, 0)


def test_two_looks_before_the_desk_comes_do_not_make_it_told(db: SqliteDatabase) -> None:
    find(db, HERE)
    find(db, HERE)
    desk_finds(db, 1)
    assert missed(db) == 1


def test_a_look_that_is_wanted_while_the_desk_is_at_it_does_not_make_it_told(db: SqliteDatabase) -> None:
    find(db, HERE)
    taken = threads.take_thread(db, "one", now=10.0, lease=60.0)
    assert taken is not None
    find(db, HERE)
    recovery.heard(db, taken, new_ask("code", 1, key="label:1", comment_id=None), HERE, now=10.0)
    assert missed(db) == 1


def test_all_that_was_missed_is_counted_once_and_for_good(db: SqliteDatabase) -> None:
    find(db, HERE)
    desk_finds(db, 1)
    find(db, comment(new_ask("code", 5), new_ask("status", 5, 1)))
    (figure,) = tally.read(db)[tally.DELIVERIES.name].items()
    assert figure == ((("server", "gitea"), ("source", "reconcile"), ("verdict", "accepted")), 2.0)
    assert missed(db) == 2


def test_what_was_missed_goes_with_a_repository_that_is_renamed(db: SqliteDatabase) -> None:
    find(db, Asks(APP, 7, False, "Crash", (new_ask("code", 5),), repo_id=5))
    repos.seen(db, "gitea", Seen(5, "acme/renamed"))
    repos.seen(db, "gitea", Seen(6, APP))
    assert list(recovery.missed_since(db, 0.0)) == [("gitea", "acme/renamed")]


def test_a_look_that_finds_nothing_new_leaves_no_trace(db: SqliteDatabase) -> None:
    hear(db, look())
    desk_finds(db, 1)
    find(db, HERE)
    desk_finds(db, 1)
    assert (Delivery.select().count(db), missed(db)) == (1, 0)


def test_an_edit_by_somebody_else_of_which_a_webhook_told_does_not_speak(db: SqliteDatabase) -> None:
    def edit(updated: str, comment_id: int = 5) -> str:
        user = {"id": 1, "login": "ann"}
        said = {"id": comment_id, "body": "/kugetsu", "user": user, "created_at": updated, "updated_at": updated}
        where = {"repository": {"id": 1, "full_name": APP}, "issue": {"number": 7, "title": "x", "user": user}}
        return json.dumps({"action": "edited", "comment": said, "sender": {"id": 2, "login": "bob"}, **where})

    def asked(at: float) -> bool:
        return recovery.edited_by_another(db, "gitea", comment(new_ask("code", 5, said_at=at)))

    ignored = Ignore(FOREIGN_EDIT, APP, 7)
    hear(db, ignored, body=edit("1970-01-01T00:01:40Z", comment_id=6), received_at=100.0)
    assert not asked(100.0), "another comment was edited"
    hear(db, ignored, body=edit("1970-01-01T00:01:40Z"), received_at=100.0)
    assert asked(100.0)
    assert not asked(101.0), "its author has edited it since"


def name_of(db: SqliteDatabase, repo_id: int) -> str:
    return str(Repo.select(Repo.name).where(Repo.id == repo_id).scalar(db))


def test_a_renamed_repository_keeps_its_threads_whoever_tells_first(db: SqliteDatabase) -> None:
    hear(db, Look(APP, 7, is_pull=False, repo_id=5))
    hear(db, Look("acme/new", 7, is_pull=False, repo_id=5))
    assert (Repo.select().count(db), Thread.select().count(db)) == (1, 1)
    number = repos.seen(db, "gitea", Seen(5, "acme/new"))
    assert (name_of(db, number), Repo.select().count(db)) == ("acme/new", 1)
    hear(db, Look(APP, 7, is_pull=False, repo_id=5))
    assert name_of(db, number) == "acme/new", "an old delivery, sent again, renames nothing"


def test_another_repository_under_an_old_name_is_another(db: SqliteDatabase) -> None:
    hear(db, Look(APP, 7, is_pull=False, repo_id=5))
    hear(db, Look(APP, 7, is_pull=False, repo_id=9))
    assert Thread.select().count(db) == 2
    assert {name_of(db, 1), name_of(db, 2)} == {f"{APP}@5", APP}
    assert repos.seen(db, "gitea", Seen(5, "acme/moved")) == 1
    assert {name_of(db, 1), name_of(db, 2)} == {"acme/moved", APP}


def test_a_repository_first_known_by_name_gets_its_number(db: SqliteDatabase) -> None:
    hear(db, look())
    assert repos.seen(db, "gitea", Seen(5, APP)) == 1
    assert Watch.select(Watch.remote_id).scalar(db) == 5


def test_one_that_is_back_is_worked_on_at_once(db: SqliteDatabase) -> None:
    hear(db, comment(new_ask("code", 5, by=Person(ANN.id, "ann"))))
    row = repos.seen(db, "gitea", Seen(5, APP, archived=True))
    Thread.update(desk_not_before=1e9).execute(db)
    repos.seen(db, "gitea", Seen(5, APP, archived=True))
    assert not threads.any_due(db, now=1.0)
    repos.seen(db, "gitea", Seen(5, APP))
    assert threads.any_due(db, now=1.0)
    assert repos.lost(db, row, now=3.0) == repos.lost(db, row, now=4.0) == 3.0
