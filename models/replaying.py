"""A stored delivery once more: what is made of it now, with the settings and the tables as they are today."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from functools import partial

import msgspec
from peewee import Database

from models import payloads, store
from models.intake import decide
from models.store import Accepted, Incoming, NewDelivery
from models.tables import Delivery

REPLAY = "replay"
"""The source of what is stored by a replay."""


class NoSuchDelivery(Exception):
    """There is no delivery of this number (any more)."""


class CannotReplay(Exception):
    """The delivery cannot be understood today; the message says why."""


def replay(
    db: Database, number: int, *, servers: Collection[str], allows: Callable[[str, str], bool], now: float
) -> Accepted:
    """Take the stored delivery `number` in again, as one that has just come: what it asked and was heard then is the
    same ask still, so nothing is done twice. `allows` says of a server's repository whether it may be worked on. Raises
    NoSuchDelivery, CannotReplay.
    """
    row = Delivery.select().where(Delivery.id == number).first(db)
    if row is None:
        raise NoSuchDelivery(f"there is no delivery {number}; they are kept for a while only")
    if row.server not in servers:
        raise CannotReplay(f"it came from the server “{row.server}”, which the settings do not name any more")
    try:
        event = payloads.parse(row.event_type, row.body.encode())
    except payloads.Malformed as error:
        raise CannotReplay(f"it cannot be read: {error}") from error
    decision = decide(event, bot=store.bot_of(db, row.server), repo_allowed=partial(allows, row.server))
    again = NewDelivery(
        server=row.server,
        source=REPLAY,
        uuid=row.uuid,
        event_type=row.event_type,
        headers=msgspec.convert(json.loads(row.headers or "{}"), dict[str, str]),
        body=row.body,
        received_at=now,
    )
    return store.accept_many(db, [Incoming(again, decision)])[0]
