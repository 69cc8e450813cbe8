"""Storing what arrives: deliveries, and the jobs they ask for."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from peewee import SQL, Case, Database, fn

from models import repos, saying, tally
from models.events import Person
from models.gathering import OWN, gather
from models.intake import Asks, Decision, Ignore, Look, NewAsk
from models.moves import State
from models.numbering import next_number
from models.prepared import Prepared, slot, slots
from models.tables import Ask, Delivery, Heard, Job, Server, Thread

log = logging.getLogger(__name__)

NOT_DONE = tuple(state for state in State if state != State.DONE)

WORK_VERBS = frozenset({"code", "research", "review", "continue", "retry"})
"""Verbs that become a job at once; the desk answers the others itself."""


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A verified delivery as it came. `source` is `webhook`, `reconcile` or `replay`."""

    server: str
    source: str
    uuid: str
    event_type: str
    headers: dict[str, str]
    body: str
    received_at: float


class Incoming(msgspec.Struct, frozen=True):
    """A delivery and what it asks."""

    delivery: NewDelivery
    decision: Decision


class Accepted(msgspec.Struct, frozen=True):
    """What became of a delivery: `accepted`, `duplicate` or `ignored`, and a sentence."""

    delivery_id: int
    verdict: str
    detail: str


def bot_of(db: Database, server: str) -> Person | None:
    """Our own account on `server`, as a worker last saw it."""
    row = Server.select().where(Server.name == server).first(db)
    if row is None or row.bot_id is None:
        return None
    return Person(row.bot_id, row.bot_login or "")


def accept_many(db: Database, items: Sequence[Incoming]) -> list[Accepted]:
    """Store all `items` with what they ask, in one transaction. Raises peewee's OperationalError where it cannot."""
    with db.atomic():
        accepted = [_accept(db, item) for item in items]
        found = zip(items, accepted, strict=True)
        tally.stored(db, ((item.delivery.server, item.delivery.source, made.verdict) for item, made in found))
    for item, made in zip(items, accepted, strict=True):
        _say(item, made)
    return accepted


def _say(item: Incoming, made: Accepted) -> None:
    saying.stored(
        made.delivery_id,
        server=item.delivery.server,
        source=item.delivery.source,
        repo=item.decision.repo,
        issue=item.decision.issue,
        verdict=made.verdict,
        detail=made.detail,
    )


def _accept(db: Database, item: Incoming) -> Accepted:
    decision = item.decision
    match decision:
        case Ignore(reason):
            return keep(db, item.delivery, decision, "ignored", reason)
        case Look(repo, issue):
            if want_look(db, item.delivery.server, decision, now=item.delivery.received_at):
                return keep(db, item.delivery, decision, "accepted", f"will look at {repo}#{issue}")
            detail = f"nothing was ever asked of me on {repo}#{issue}"
            return keep(db, item.delivery, decision, "ignored", detail)
        case Asks():
            return _accept_asks(db, item.delivery, decision)


def _accept_asks(db: Database, delivery: NewDelivery, asks: Asks) -> Accepted:
    where = f"{asks.repo}#{asks.issue}"
    stored = keep(db, delivery, asks, "accepted", f"{', '.join(ask.verb for ask in asks.asks)} on {where}")
    new = _heard(db, delivery, asks, stored.delivery_id)
    if len(new) == len(asks.asks):
        return stored
    verdict = "accepted" if new else "duplicate"
    words = ", ".join(ask.verb for ask in new)
    detail = f"{words} on {where}" if new else f"this comment on {where} has already been heard"
    _CORRECT_DELIVERY.run(db, id=stored.delivery_id, verdict=verdict, detail=detail)
    return Accepted(stored.delivery_id, verdict, detail)


def _heard(db: Database, delivery: NewDelivery, asks: Asks, delivery_id: int) -> list[NewAsk]:
    """Store what of `asks` is new: all or nothing, since a comment that has spoken once never speaks again, however it
    is edited.
    """

    def heard(ask: NewAsk) -> bool:
        home = home_of(db, delivery.server, asks, ask.verb, now=delivery.received_at)
        return add_ask(db, home, ask, delivery.server, delivery_id, said_on=asks.issue)

    first, *others = asks.asks
    return [first, *(ask for ask in others if heard(ask))] if heard(first) else []


def keep(db: Database, delivery: NewDelivery, decision: Decision, verdict: str, detail: str) -> Accepted:
    """Store a delivery and what was made of it."""
    row: dict[str, Any] = {**msgspec.structs.asdict(delivery), "headers": json.dumps(delivery.headers)}
    about = {"repo": decision.repo, "issue": decision.issue, "verdict": verdict, "detail": detail}
    return Accepted(int(_ADD_DELIVERY.one(db, **row, **about)), verdict, detail)


def thread_of(db: Database, server: str, where: Look | Asks, *, now: float) -> Thread:
    """The thread of this issue, made where it is missing; only its ids are read. One that is there is not written to
    without need: others lock the row of a job before that of its thread, and so must we.
    """
    repo = repos.ensure(db, server, where.repo, where.repo_id)
    title = where.title if isinstance(where, Asks) else ""
    found = _FIND_THREAD.run(db, repo=repo, issue=where.issue).fetchone()
    if found is None:
        about = {"server": server, "is_pull": where.is_pull, "title": title, "updated_at": now}
        _ADD_THREAD.run(db, repo=repo, issue=where.issue, **about)
        found = _FIND_THREAD.run(db, repo=repo, issue=where.issue).fetchone()
    number, known_title = found
    if title not in ("", known_title):
        _RETITLE.run(db, id=number, title=title)
    return Thread(id=number, server=server, repo=repo, issue=where.issue)


def home_of(db: Database, server: str, where: Look | Asks, verb: str, *, now: float) -> Thread:
    """The thread to which `verb`, said there, belongs: on a pull request of ours the one of the issue it came from,
    but for a review, which is of the pull request itself.
    """
    maker = _maker(db, server, where) if where.is_pull and not verb.startswith("review") else None
    return maker or thread_of(db, server, where, now=now)


def _maker(db: Database, server: str, where: Look | Asks) -> Thread | None:
    """The thread that works on this pull request, or else the one whose work went there once."""
    pull = {"repo": repos.find(db, server, where.repo, where.repo_id), "pull": where.issue}
    found = _AT_WORK_ON.run(db, **pull).fetchone() or _MADE.run(db, **pull).fetchone()
    return Thread(id=found[0], server=server, repo=pull["repo"], issue=found[1]) if found else None


def want_look(db: Database, server: str, look: Look, *, now: float | None = None) -> bool:
    """Have the desk look at this issue again; False where there is none that it should look at."""
    known = known_threads(db, server, look)
    if not known and not look.only_known:
        known = [int(thread_of(db, server, look, now=now if now is not None else time.time()).id)]
    for number, reviews_from in zip(known, (look.reviews_from, None), strict=False):
        _WANT_LOOK.run(db, id=number, reviews_from=reviews_from)
    return bool(known)


def known_threads(db: Database, server: str, look: Look) -> list[int]:
    """The threads there are that this concerns: of a pull request of ours its maker's first, then its own."""
    maker = _maker(db, server, look) if look.is_pull else None
    own = _FIND_THREAD.one(db, repo=repos.find(db, server, look.repo, look.repo_id), issue=look.issue)
    found = [*([maker.id] if maker else []), *([own] if own is not None else [])]
    return list(dict.fromkeys(int(number) for number in found))


def add_ask(
    db: Database, thread: Thread, ask: NewAsk, server: str, delivery_id: int | None, *, said_on: int | None = None
) -> bool:
    """Store what somebody said, with the job it belongs to; False where it is known already. `said_on`: the number of
    the issue or pull request where it was said, None for the thread's own.
    """
    values: dict[str, Any] = {**msgspec.structs.asdict(ask), "key": f"{server}:{ask.key}"}
    values["said_on"] = said_on if said_on is not None else thread.issue
    author = values.pop("author")
    values |= {"author": author.login, "author_id": author.id, "thread": thread.id, "delivery": delivery_id}
    if _FIND_HEARD.one(db, key=values["key"]) is not None:
        return False
    number = _ADD_ASK.one(db, **values)
    if number is None:
        return False
    if ask.verb in WORK_VERBS or ask.verb.startswith(OWN):
        gather(db, Ask(id=number, **values), thread)
        _WANT_DESK.run(db, id=thread.id)
    else:
        _WANT_DESK_NOW.run(db, id=thread.id)
    return True


def count_by(db: Database, column: Any) -> dict[str, int]:
    """How many rows there are of each value of `column`."""
    rows = column.model.select(column, fn.COUNT(column.model.id)).group_by(column).tuples().execute(db)
    return {str(value): int(count) for value, count in rows}


def count_states(db: Database) -> dict[str, int]:
    """How many jobs are in each state. Nearly all are done, which is known from those that are not."""
    columns = (Job.state, fn.COUNT(Job.id))
    rows = Job.select(*columns).where(Job.state.in_(NOT_DONE)).group_by(Job.state).tuples().execute(db)
    counts = {str(state): int(count) for state, count in rows}
    return counts | {"done": int(Job.select(fn.COUNT(SQL("*"))).scalar(db)) - sum(counts.values())}


def count_outcomes(db: Database) -> dict[str, int]:
    """How many jobs ended in each way. Completed ones and the others have an index each, taken where its condition
    stands here word for word.
    """
    completed, others = Job.outcome == SQL("'completed'"), Job.outcome != SQL("'completed'")
    rows = Job.select(Job.outcome, fn.COUNT(Job.id)).where(others).group_by(Job.outcome).tuples().execute(db)
    counts = {str(outcome): int(count) for outcome, count in rows}
    return counts | {"completed": int(Job.select().where(completed).count(db))}


# A conflict is one of the named columns only: SQLite's INSERT OR IGNORE also swallows what the schema refuses, and an
# ask that cannot be stored would pass for one that is known.

_ADD_DELIVERY = Prepared(
    lambda: Delivery.insert(
        **slots("server", "source", "uuid", "event_type", "headers", "body", "received_at"),
        **slots("repo", "issue", "verdict", "detail"),
    ).returning(Delivery.id)
)
_CORRECT_DELIVERY = Prepared(lambda: Delivery.update(**slots("verdict", "detail")).where(Delivery.id == slot("id")))
_FIND_THREAD = Prepared(
    lambda: Thread.select(Thread.id, Thread.title).where(
        (Thread.repo == slot("repo")) & (Thread.issue == slot("issue"))
    )
)
_ADD_THREAD = Prepared(
    lambda: Thread.insert(**slots("server", "repo", "issue", "is_pull", "title", "updated_at")).on_conflict(
        action="NOTHING", conflict_target=[Thread.repo, Thread.issue]
    )
)
_RETITLE = Prepared(lambda: Thread.update(title=slot("title")).where(Thread.id == slot("id")))
_AT_WORK_ON = Prepared(
    lambda: (
        Thread.select(Thread.id, Thread.issue)
        .where((Thread.repo == slot("repo")) & (Thread.pull == slot("pull")))
        .order_by(Thread.is_pull)
        .limit(1)
    )
)
_MADE = Prepared(
    lambda: (
        Job.select(Thread.id, Thread.issue)
        .join(Thread)
        .where((Job.repo == slot("repo")) & (Job.pull == slot("pull")))
        .order_by(Job.id.desc())
        .limit(1)
    )
)
_WANT_LOOK = Prepared(
    lambda: Thread.update(
        look_wanted=Thread.look_wanted + 1,
        desk_wanted=Thread.desk_wanted + 1,
        reviews_from=Case(
            None,
            [(Thread.reviews_from.is_null() | (Thread.reviews_from > slot("reviews_from")), slot("reviews_from"))],
            Thread.reviews_from,
        ),
    ).where(Thread.id == slot("id"))
)
_WANT_DESK = Prepared(lambda: Thread.update(desk_wanted=Thread.desk_wanted + 1).where(Thread.id == slot("id")))
_WANT_DESK_NOW = Prepared(
    lambda: Thread.update(desk_wanted=Thread.desk_wanted + 1, urgent=True).where(Thread.id == slot("id"))
)
_FIND_HEARD = Prepared(lambda: Heard.select(Heard.key).where(Heard.key == slot("key")))
_ADD_ASK = Prepared(
    lambda: (
        Ask.insert(
            id=next_number(Ask),
            **slots("key", "verb", "author", "author_id", "said_at", "instructions", "model", "priority", "fresh"),
            **slots("comment_id", "entry_id", "said_on", "may_write", "thread", "delivery"),
        )
        .on_conflict(action="NOTHING", conflict_target=[Ask.key])
        .returning(Ask.id)
    )
)
