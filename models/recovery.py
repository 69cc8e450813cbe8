"""What reconciliation finds: stored like a webhook, but only where no webhook told of it.

A comment is stored with what it asks. Of labels, closings and reviews Gitea says too little, so they only have the desk
look at the issue; a hint remembers that no webhook wanted this look, and what it then finds was missed.
"""

from __future__ import annotations

import msgspec
from peewee import Database, fn

from models import store, tally
from models.intake import FOREIGN_EDIT, Asks, Look, NewAsk
from models.payloads import Malformed, parse
from models.side_tables import Hint
from models.store import Incoming, NewDelivery
from models.tables import Ask, Delivery, Heard, Repo, Thread

SOURCE = "reconcile"
"""The `source` of what no webhook brought."""

DAY_SECONDS = 86400.0


def is_new(db: Database, server: str, asks: Asks) -> bool:
    """Whether this comment has not spoken yet."""
    key = f"{server}:{asks.asks[0].key}"
    known = Ask.select().where(Ask.key == key).exists(db) or Heard.select().where(Heard.key == key).exists(db)
    return not known


def edited_by_another(db: Database, server: str, asks: Asks) -> bool:
    """Whether a webhook said that this text is not its author's. The API does not tell who edited a comment."""
    said_at = asks.asks[0].said_at
    told = (Delivery.server == server) & (Delivery.received_at >= said_at - DAY_SECONDS)
    here = (Delivery.issue == asks.issue) & (Delivery.detail == FOREIGN_EDIT)
    rows = Delivery.select(Delivery.event_type, Delivery.body).where(told & here).tuples().execute(db)
    return any(_tells_of(kind, body, asks.asks[0].comment_id, said_at) for kind, body in rows)


def _tells_of(kind: str, body: str, comment_id: int | None, said_at: float) -> bool:
    """Whether a delivery is of this comment, as it was changed at that time or later."""
    try:
        event = parse(kind, body.encode())
    except Malformed:
        return False
    moment = getattr(event, "said_at", None)
    return getattr(event, "comment_id", None) == comment_id and moment is not None and moment.timestamp() >= said_at


def accept(db: Database, incoming: Incoming) -> bool:
    """Store what reconciliation found; whether something comes of it."""
    decision, server = incoming.decision, incoming.delivery.server
    match decision:
        case Look():
            return _want_look(db, server, decision, incoming.delivery.received_at)
        case Asks():
            with db.atomic():
                return is_new(db, server, decision) and store.accept_many(db, [incoming])[0].verdict == "accepted"
        case _:
            return False


def _want_look(db: Database, server: str, look: Look, now: float) -> bool:
    """Have the desk look, and hint that no webhook wanted it, unless one did and the desk has not looked yet."""
    with db.atomic():
        told = {number for number in store.known_threads(db, server, look) if _is_told(db, number)}
        if not store.want_look(db, server, look, now=now):
            return False
        for number in store.known_threads(db, server, look):
            if number not in told:
                _hint(db, number)
        return True


def _is_told(db: Database, thread_id: int) -> bool:
    """Whether a look at this thread waits that a webhook wanted."""
    hinted = Hint.select(Hint.thread).where((Hint.thread == Thread.id) & (Hint.look == Thread.look_wanted))
    waits = (Thread.id == thread_id) & (Thread.look_wanted > Thread.look_seen)
    return bool(Thread.select().where(waits & ~fn.EXISTS(hinted)).exists(db))


def _hint(db: Database, thread_id: int) -> None:
    look = Thread.select(Thread.look_wanted).where(Thread.id == thread_id).scalar(db)
    hint = Hint.insert(thread=thread_id, look=look)
    hint.on_conflict(conflict_target=[Hint.thread], update={Hint.look: look}).execute(db)


def heard(db: Database, thread: Thread, ask: NewAsk, where: Look, *, now: float) -> None:
    """A look at `thread`, as it was loaded, found this. Where no webhook had wanted it, it counts as recovered."""
    with db.atomic():
        home = store.home_of(db, thread.server, where, ask.verb, now=now)
        if not store.add_ask(db, home, ask, thread.server, None, said_on=where.issue):
            return
        if Hint.select().where((Hint.thread == thread.id) & (Hint.look >= thread.look_wanted)).exists(db):
            _note(db, thread, ask, where, now)


def _note(db: Database, thread: Thread, ask: NewAsk, where: Look, now: float) -> None:
    """A delivery that was never made, so that it is seen where deliveries are."""
    missed = NewDelivery(
        server=thread.server,
        source=SOURCE,
        uuid="",
        event_type=ask.key.partition(":")[0],
        headers={},
        body="{}",
        received_at=now,
    )
    detail = f"{ask.verb} on {where.repo}#{where.issue}, which no webhook told of"
    kept = store.keep(db, missed, where, "accepted", detail)
    tally.stored(db, [(missed.server, missed.source, kept.verdict)])
    Ask.update(delivery=kept.delivery_id).where(Ask.key == f"{thread.server}:{ask.key}").execute(db)


class Missed(msgspec.Struct, frozen=True):
    """How many asks of a repository were recovered lately, and when the last one was."""

    count: int
    last_at: float


def missed_since(db: Database, since: float) -> dict[tuple[str, str], Missed]:
    """By server and repository, what no webhook told of since then (seconds since the epoch). A delivery has the name
    that its repository had; what it asked belongs to the repository, whatever that is called now.
    """
    found = (Delivery.source == SOURCE) & (Delivery.verdict == "accepted") & (Delivery.received_at >= since)
    columns = (Repo.server, Repo.name, fn.COUNT(Delivery.id.distinct()), fn.MAX(Delivery.received_at))
    asked = Delivery.select(*columns).join(Ask, on=(Ask.delivery == Delivery.id)).join(Thread).join(Repo)
    rows = asked.where(found).group_by(Repo.id).tuples().execute(db)
    return {(server, repo): Missed(int(count), float(last)) for server, repo, count, last in rows}
