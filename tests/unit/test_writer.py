import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from peewee import SqliteDatabase

from models import opening
from models.intake import Ignore, Look
from models.store import Accepted, Incoming, NewDelivery
from models.tables import Delivery
from tests.unit.website import Bell, open_store
from webhook.writer import BATCH, CannotStore, Writer, WriterFull

POISON = "a row the database refuses"
LIMIT = 10.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    """A store that waits for a lock only briefly, with a trigger that refuses one kind of row."""
    opened = open_store(tmp_path, busy_timeout=0.2)
    with opened.connection_context():
        opened.execute_sql(  # type: ignore[no-untyped-call]  # the stubs leave it untyped
            "CREATE TRIGGER poison BEFORE INSERT ON delivery WHEN NEW.uuid = "
            f"'{POISON}' BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
        )
    yield opened
    opened.close()


@contextmanager
def started(writer: Writer) -> Iterator[Writer]:
    writer.start()
    try:
        yield writer
    finally:
        assert writer.close(), "the writer did not end"


@contextmanager
def locked(database: SqliteDatabase) -> Iterator[None]:
    """Another connection holds the write lock."""
    other = opening.open_database(Path(str(database.database)))
    with other.connection_context(), other.atomic():
        yield


def incoming(uuid: str, *, ignored: bool = False, body: str = "{}") -> Incoming:
    delivery = NewDelivery(
        server="gitea",
        source="webhook",
        uuid=uuid,
        event_type="issue_label",
        headers={},
        body=body,
        received_at=1.0,
    )
    return Incoming(delivery, Ignore("no reason") if ignored else Look("acme/widgets", 12, is_pull=False))


def stored(database: SqliteDatabase) -> list[str]:
    with database.connection_context():
        return [row.uuid for row in Delivery.select().order_by(Delivery.id).execute(database)]


async def submit_all(writer: Writer, *items: Incoming) -> list[Accepted | BaseException]:
    return await asyncio.gather(*(writer.submit(item) for item in items), return_exceptions=True)


def test_what_is_submitted_is_stored_and_rung_for(database: SqliteDatabase) -> None:
    bell = Bell()
    with started(Writer(database, bell)) as writer:
        accepted = asyncio.run(writer.submit(incoming("one")))
    assert accepted.verdict == "accepted"
    assert stored(database) == ["one"]
    assert bell.rung == 1


def test_what_is_ignored_is_stored_and_not_rung_for(database: SqliteDatabase) -> None:
    bell = Bell()
    with started(Writer(database, bell)) as writer:
        accepted = asyncio.run(writer.submit(incoming("one", ignored=True)))
    assert (accepted.verdict, accepted.detail) == ("ignored", "no reason")
    assert stored(database) == ["one"]
    assert bell.rung == 0


def test_what_waits_is_stored_together_and_rung_for_once(database: SqliteDatabase) -> None:
    """The thread starts only when all of it waits."""
    bell = Bell()
    writer = Writer(database, bell)

    async def burst() -> list[Accepted | BaseException]:
        waiting = [asyncio.ensure_future(writer.submit(incoming(str(number)))) for number in range(2 * BATCH)]
        await asyncio.sleep(0)
        writer.start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    outcomes = asyncio.run(burst())
    assert writer.close()
    assert [type(outcome) for outcome in outcomes] == [Accepted] * (2 * BATCH)
    assert stored(database) == [str(number) for number in range(2 * BATCH)]
    assert bell.rung == 2


def test_a_bad_row_does_not_fail_its_neighbours(database: SqliteDatabase, caplog: pytest.LogCaptureFixture) -> None:
    writer = Writer(database, Bell())

    async def burst() -> list[Accepted | BaseException]:
        names = ["before", POISON, "after"]
        waiting = [asyncio.ensure_future(writer.submit(incoming(name))) for name in names]
        await asyncio.sleep(0)
        writer.start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    with caplog.at_level(logging.CRITICAL):
        before, poisoned, after = asyncio.run(burst())
    assert writer.close()
    assert isinstance(before, Accepted)
    assert isinstance(after, Accepted)
    assert isinstance(poisoned, CannotStore)
    assert stored(database) == ["before", "after"]


def test_a_locked_database_fails_what_waits_and_is_used_again_when_free(database: SqliteDatabase) -> None:
    with started(Writer(database, Bell())) as writer:
        with locked(database):
            refused = asyncio.run(submit_all(writer, *(incoming(str(number)) for number in range(10))))
        accepted = asyncio.run(writer.submit(incoming("later")))
    assert [type(outcome) for outcome in refused] == [CannotStore] * 10
    assert accepted.verdict == "accepted"
    assert stored(database) == ["later"]


def test_a_full_queue_refuses_at_once(database: SqliteDatabase) -> None:
    """Nothing takes from the queue before the thread has started."""
    writer = Writer(database, Bell(), limit=2)

    async def three() -> tuple[Accepted, Accepted]:
        first, second = (asyncio.ensure_future(writer.submit(incoming(name))) for name in ("one", "two"))
        await asyncio.sleep(0)
        with pytest.raises(WriterFull):
            await writer.submit(incoming("three"))
        writer.start()
        return await first, await second

    asyncio.run(three())
    assert writer.close()
    assert stored(database) == ["one", "two"]


def test_few_large_deliveries_fill_the_queue_too(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhook.writer.LIMIT_BYTES", 1000)
    writer = Writer(database, Bell())

    async def two() -> None:
        first = asyncio.ensure_future(writer.submit(incoming("one", body="x" * 1000)))
        await asyncio.sleep(0)
        with pytest.raises(WriterFull):
            await writer.submit(incoming("two"))
        writer.start()
        await first
        await writer.submit(incoming("three"))

    asyncio.run(two())
    assert writer.close()
    assert stored(database) == ["one", "three"]


def test_an_answer_is_due_even_when_storing_takes_longer(database: SqliteDatabase) -> None:
    """The delivery is stored all the same, once it can be."""
    writer = Writer(database, Bell(), patience=0.05)

    async def impatient() -> None:
        with pytest.raises(CannotStore, match="busy"):
            await writer.submit(incoming("one"))
        writer.start()

    asyncio.run(impatient())
    assert writer.close()
    assert stored(database) == ["one"]


def test_closing_stores_what_waits_and_takes_no_more(database: SqliteDatabase) -> None:
    writer = Writer(database, Bell())

    async def closing() -> None:
        waiting = [asyncio.ensure_future(writer.submit(incoming(str(number)))) for number in range(100)]
        await asyncio.sleep(0)
        writer.start()
        assert await asyncio.to_thread(writer.close)
        await asyncio.gather(*waiting)
        with pytest.raises(CannotStore, match="stopping"):
            await writer.submit(incoming("late"))

    asyncio.run(closing())
    assert len(stored(database)) == 100
    assert not writer.alive


def test_a_bell_that_fails_fails_no_delivery(database: SqliteDatabase, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise OSError("no queue")

    with started(Writer(database, broken)) as writer:
        assert asyncio.run(writer.submit(incoming("one"))).verdict == "accepted"
        assert asyncio.run(writer.submit(incoming("two"))).verdict == "accepted"
    assert "the bell could not be rung" in caplog.text


def test_a_request_that_has_gone_disturbs_nobody(database: SqliteDatabase) -> None:
    writer = Writer(database, Bell())

    async def one_goes() -> Accepted:
        gone, stays = (asyncio.ensure_future(writer.submit(incoming(name))) for name in ("gone", "stays"))
        await asyncio.sleep(0)
        gone.cancel()
        writer.start()
        return await stays

    assert asyncio.run(one_goes()).verdict == "accepted"
    assert writer.close()
    assert stored(database) == ["gone", "stays"]


def test_the_thread_outlives_a_loop_that_has_ended(database: SqliteDatabase) -> None:
    hold, entered = threading.Event(), threading.Event()

    def slow_bell() -> None:
        entered.set()
        assert hold.wait(LIMIT), "nobody let the bell go"

    async def leaves_early(writer: Writer) -> None:
        waiting = asyncio.ensure_future(writer.submit(incoming("one")))
        assert await asyncio.to_thread(entered.wait, LIMIT), "the bell was never rung"
        waiting.cancel()

    with started(Writer(database, slow_bell)) as writer:
        asyncio.run(leaves_early(writer))
        hold.set()
        assert asyncio.run(writer.submit(incoming("two"))).verdict == "accepted"
