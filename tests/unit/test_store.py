"""Opening the database, bringing it up to date, and storing what arrives."""

import json
import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from peewee import Database, IntegrityError, OperationalError, Select, SqliteDatabase, Table, fn

from models import opening, store, threads
from models.events import Person
from models.intake import Ignore
from models.schema import TABLES
from models.store import Incoming
from models.tables import Ask, Delivery, Intake, Job, Repo, Server, Thread
from tests.unit.storing import ANN, APP, LIB, all_jobs, comment, delivery, hear, look, new_ask, say


def schema_of(db: Database) -> set[tuple[str, ...]]:
    """Every table and index as the database keeps it, without its record of migrations; spaces do not count."""
    table = Table("sqlite_master")
    rows = Select([table], [table.c.type, table.c.name, table.c.tbl_name, fn.COALESCE(table.c.sql, "")])
    found = {(kind, name, of, " ".join(sql.split())) for kind, name, of, sql in rows.tuples().execute(db)}
    return {row for row in found if row[2] != "schema_migration"}


def migrate_there(home: str, capacity: int) -> list[str]:
    """Bring the database of that folder up to date, in a process of its own."""
    folder = Path(home)
    return opening.migrate(opening.open_database(folder / "kugetsu.db"), folder / "migrate.lock", capacity=capacity)


def all_migrations() -> list[str]:
    """Their names, in order."""
    return sorted(path.stem for path in opening.MIGRATIONS.glob("0*.py"))


def causes_of(error: BaseException | None) -> list[str]:
    """What an error says, and what those say while which it was raised."""
    return [str(error), *causes_of(error.__context__)] if error else []


def test_a_migrated_database_is_what_the_tables_describe(db: SqliteDatabase, tmp_path: Path) -> None:
    """Else a migration is missing, or the first one, which stays as it is, was changed."""
    described = opening.open_database(tmp_path / "described.db")
    with described.connection_context(), described.bind_ctx(TABLES):
        described.create_tables(TABLES, safe=False)
        assert schema_of(db) == schema_of(described)
    assert {"job_one_running", "job_in_line", "thread_due"} <= {name for _, name, *_ in schema_of(db)}


def test_a_second_migration_changes_nothing(tmp_path: Path) -> None:
    assert migrate_there(str(tmp_path), 3) == all_migrations()
    db = opening.open_database(tmp_path / "kugetsu.db")
    with db.connection_context():
        Intake.update(capacity=5, paused=True).execute(db)
        before = schema_of(db)
    assert migrate_there(str(tmp_path), 4) == []
    with db.connection_context():
        assert schema_of(db) == before
        intake = [(row.capacity, row.paused) for row in Intake.select().execute(db)]
    assert intake == [(5, True)], "what somebody set while running stays"


def test_four_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        ran = pool.starmap(migrate_there, [(str(tmp_path), 3)] * 4)
    assert sorted(ran) == [[], [], [], all_migrations()]
    db = opening.open_database(tmp_path / "kugetsu.db")
    with db.connection_context():
        assert Intake.select().count(db) == 1


def test_a_commit_has_reached_the_disk(db: SqliteDatabase) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys")
    assert [db.pragma(name) for name in names] == ["wal", 2, 1]


def test_a_transaction_takes_its_lock_when_it_begins(db: SqliteDatabase, tmp_path: Path) -> None:
    """A lock taken later, at the first write, fails at once where somebody wrote in between."""
    other = opening.open_database(tmp_path / "kugetsu.db", busy_timeout=0.01)
    with other.connection_context(), db.atomic(), pytest.raises(OperationalError, match="locked"), other.atomic():
        pass


def test_a_comment_becomes_an_ask_a_job_and_a_wish_to_the_desk(db: SqliteDatabase) -> None:
    said = new_ask("code", 5, instructions="mend it", model="some/model", may_write=True, said_at=3.0)
    accepted = hear(db, comment(said), received_at=4.0)
    assert (accepted.verdict, accepted.detail) == ("accepted", "code on acme/app#7")
    ask: Ask = Ask.select().get(db)
    assert (ask.key, ask.author, ask.author_id, ask.delivery_id) == ("gitea:comment:5:0", "ann", 1, 1)
    assert (ask.instructions, ask.may_write, ask.verdict) == ("mend it", True, None)
    job = all_jobs(db)[0]
    assert (job.state, job.recipe, job.asked_by, job.asked_at) == ("asked", "code", "ann", 3.0)
    thread = threads.load(db, job.thread_id)
    assert (thread.repo.name, thread.issue, thread.title, thread.desk_wanted) == (APP, 7, "Crash", 1)


def test_a_delivery_is_stored_as_it_came(db: SqliteDatabase) -> None:
    text, headers = '{"a": "ü\\u0000"}', {"X-Gitea-Event": "issues"}
    accepted = hear(db, look(), body=text, headers=headers, uuid="u-1", source="reconcile", received_at=9.5)
    stored: Delivery = Delivery.select().get(db)
    assert stored.id == accepted.delivery_id
    assert (stored.body, json.loads(stored.headers), stored.uuid) == (text, headers, "u-1")
    assert (stored.source, stored.received_at, stored.repo, stored.issue) == ("reconcile", 9.5, APP, 7)


@pytest.mark.parametrize("verb", ["cancel", "status", "help", "unclear"])
def test_what_the_desk_answers_itself_makes_no_job_and_is_urgent(db: SqliteDatabase, verb: str) -> None:
    hear(db, comment(new_ask(verb, 5)))
    thread: Thread = Thread.select().get(db)
    assert (all_jobs(db), thread.urgent, thread.desk_wanted) == ([], True, 1)


@pytest.mark.parametrize("verb", ["code", "research", "review", "continue", "retry", "recipe:docs"])
def test_work_makes_a_job_and_is_not_urgent(db: SqliteDatabase, verb: str) -> None:
    hear(db, comment(new_ask(verb, 5)))
    thread: Thread = Thread.select().get(db)
    assert (len(all_jobs(db)), thread.urgent) == (1, False)


def test_a_comment_that_two_hooks_deliver_is_one_ask(db: SqliteDatabase) -> None:
    both = [Incoming(delivery(uuid=uuid), comment(new_ask("code", 5))) for uuid in ("one", "two")]
    assert [accepted.verdict for accepted in store.accept_many(db, both)] == ["accepted", "duplicate"]
    details = [(row.uuid, row.verdict, row.detail) for row in Delivery.select().order_by(Delivery.id).execute(db)]
    heard = "this comment on acme/app#7 has already been heard"
    assert details == [("one", "accepted", "code on acme/app#7"), ("two", "duplicate", heard)]
    assert Thread.select(Thread.desk_wanted).scalar(db) == 1, "there is nothing new to see to"


def test_a_resent_delivery_is_a_duplicate_however_late(db: SqliteDatabase) -> None:
    first = hear(db, comment(new_ask("code", 5)), uuid="same")
    job = all_jobs(db)[0]
    threads.refuse(db, Ask.select().get(db), "may not", now=2.0)
    again = hear(db, comment(new_ask("code", 5)), uuid="same")
    assert again.verdict == "duplicate"
    assert again.delivery_id != first.delivery_id
    assert [row.id for row in all_jobs(db)] == [job.id]


def test_a_comment_that_has_spoken_does_not_speak_again_when_edited(db: SqliteDatabase) -> None:
    hear(db, comment(new_ask("code", 5)))
    edited = hear(db, comment(new_ask("code", 5, instructions="more"), new_ask("research", 5, 1)))
    assert edited.verdict == "duplicate"
    assert [(ask.verb, ask.instructions) for ask in Ask.select().execute(db)] == [("code", "")]


def test_a_comment_that_had_not_spoken_speaks_when_edited(db: SqliteDatabase) -> None:
    hear(db, Ignore("the comment does not speak to us", APP, 7))
    assert hear(db, comment(new_ask("code", 5))).verdict == "accepted"


def test_a_comment_may_ask_several_things(db: SqliteDatabase) -> None:
    several = comment(new_ask("cancel", 5), new_ask("code", 5, 1), new_ask("research", 5, 2))
    assert hear(db, several).detail == "cancel, code, research on acme/app#7"
    assert [job.recipe for job in all_jobs(db)] == ["code", "research"]


def test_the_same_number_on_another_server_is_another_comment(db: SqliteDatabase) -> None:
    asks = comment(new_ask("code", 5))
    assert [hear(db, asks, server=server).verdict for server in ("gitea", "codeberg")] == ["accepted", "accepted"]
    assert Repo.select().count(db) == Thread.select().count(db) == len(all_jobs(db)) == 2


def test_what_is_ignored_is_stored_with_the_reason(db: SqliteDatabase) -> None:
    accepted = hear(db, Ignore("a wiki page changed"))
    assert (accepted.verdict, accepted.detail) == ("ignored", "a wiki page changed")
    hear(db, Ignore("this is our own doing", APP, 7))
    stored = [(row.verdict, row.repo, row.issue) for row in Delivery.select().order_by(Delivery.id).execute(db)]
    assert stored == [("ignored", "", None), ("ignored", APP, 7)]
    assert Thread.select().count(db) == 0


def test_labels_are_to_be_looked_at_as_often_as_they_change(db: SqliteDatabase) -> None:
    assert hear(db, look()).detail == "will look at acme/app#7"
    hear(db, look())
    thread: Thread = Thread.select().get(db)
    assert (thread.look_wanted, thread.look_seen, thread.desk_wanted, thread.urgent) == (2, 0, 2, False)


def test_a_look_can_be_wanted_without_a_delivery(db: SqliteDatabase) -> None:
    store.want_look(db, "gitea", look(repo=LIB), now=5.0)
    thread: Thread = Thread.select().get(db)
    assert (thread.look_wanted, thread.desk_wanted, thread.updated_at) == (1, 1, 5.0)
    assert Delivery.select().count(db) == 0


def test_the_newest_title_is_kept(db: SqliteDatabase) -> None:
    titles = []
    for number, title in enumerate(["Crash", "Crash on start", ""]):
        hear(db, comment(new_ask("help", number), title=title))
        titles.append(Thread.select(Thread.title).scalar(db))
    assert titles == ["Crash", "Crash on start", "Crash on start"]


def test_a_batch_is_stored_whole_or_not_at_all(db: SqliteDatabase) -> None:
    good = Incoming(delivery(), comment(new_ask("code", 5)))
    bad = Incoming(delivery(), comment(new_ask("code", 6, priority=7), issue=8))
    with pytest.raises(IntegrityError, match="CHECK"):
        store.accept_many(db, [good, bad])
    assert [model.select().count(db) for model in (Delivery, Ask, Job, Thread)] == [0, 0, 0, 0]
    assert store.accept_many(db, [good])[0].verdict == "accepted"


def test_what_cannot_be_stored_is_not_taken_for_a_duplicate(db: SqliteDatabase) -> None:
    with pytest.raises(IntegrityError, match="NOT NULL"):
        hear(db, comment(new_ask("code", 5, instructions=None)))
    assert Delivery.select().count(db) == 0


def test_a_locked_database_says_so(db: SqliteDatabase, tmp_path: Path) -> None:
    impatient = opening.open_database(tmp_path / "kugetsu.db", busy_timeout=0.01)
    with impatient.connection_context(), db.atomic(), pytest.raises(OperationalError, match="locked"):
        store.accept_many(impatient, [Incoming(delivery(), look())])
    assert Delivery.select().count(db) == 0


def test_a_full_disk_says_so_and_leaves_nothing_half_done(db: SqliteDatabase) -> None:
    db.pragma("max_page_count", db.pragma("page_count"))
    with pytest.raises(OperationalError) as failure:
        store.accept_many(db, [Incoming(delivery(body="x" * 1_000_000), comment(new_ask("code", 5)))])
    assert "full" in str(causes_of(failure.value)), "the last error is that SQLite has rolled back by itself"
    db.pragma("max_page_count", 1_000_000)
    assert Ask.select().count(db) == Delivery.select().count(db) == 0
    assert hear(db, comment(new_ask("code", 5))).verdict == "accepted"


def test_the_account_of_the_bot_is_known_once_a_worker_saw_it(db: SqliteDatabase) -> None:
    assert store.bot_of(db, "gitea") is None
    Server.insert(name="gitea", url="https://gitea.example.com").execute(db)
    assert store.bot_of(db, "gitea") is None
    Server.update(bot_id=9, bot_login="kugetsu").execute(db)
    assert store.bot_of(db, "gitea") == Person(9, "kugetsu")


def test_rows_are_counted_by_what_they_say(db: SqliteDatabase) -> None:
    say(db, by=ANN)
    say(db, issue=8)
    hear(db, Ignore("nothing"))
    assert store.count_by(db, Delivery.verdict) == {"accepted": 2, "ignored": 1}
    assert store.count_by(db, Job.state) == {"asked": 2}


def test_a_forgotten_repository_takes_all_of_its_own_along(db: SqliteDatabase) -> None:
    say(db)
    say(db, repo=LIB)
    Repo.delete().where(Repo.name == APP).execute(db)
    assert Thread.select().count(db) == Ask.select().count(db) == len(all_jobs(db)) == 1
    assert Delivery.select().count(db) == 2


def test_a_forgotten_delivery_leaves_its_ask(db: SqliteDatabase) -> None:
    ask = say(db)
    Delivery.delete().execute(db)
    assert Ask.select(Ask.delivery).where(Ask.id == ask.id).scalar(db) is None


def test_the_database_is_plain_sqlite_that_other_tools_can_read(db: SqliteDatabase, tmp_path: Path) -> None:
    say(db)
    with sqlite3.connect(tmp_path / "kugetsu.db") as other:
        assert other.execute("SELECT count(*) FROM job").fetchone() == (1,)
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    other.close()
