"""Counting deliveries without counting all of them each time."""

from peewee import SqliteDatabase

from models.tables import Delivery
from webhook.counting import GOOD_FOR, DeliveryCounts


def put(db: SqliteDatabase, verdict: str, times: int = 1) -> None:
    row = {"server": "gitea", "source": "webhook", "uuid": "", "event_type": "push", "headers": "{}", "body": ""}
    for _ in range(times):
        Delivery.insert(**row, verdict=verdict, detail="", received_at=1.0).execute(db)


def test_new_ones_count_at_once_and_removed_ones_within_a_minute(db: SqliteDatabase) -> None:
    now = 0.0
    counts = DeliveryCounts(clock=lambda: now)
    assert counts.read(db) == {"accepted": 0, "duplicate": 0, "ignored": 0}
    put(db, "ignored", 3)
    assert counts.read(db) == {"accepted": 0, "duplicate": 0, "ignored": 3}
    put(db, "accepted")
    put(db, "duplicate")
    assert counts.read(db) == counts.read(db) == {"accepted": 1, "duplicate": 1, "ignored": 3}
    Delivery.delete().where(Delivery.verdict == "ignored").execute(db)
    now = GOOD_FOR
    assert counts.read(db) == {"accepted": 1, "duplicate": 1, "ignored": 0}
