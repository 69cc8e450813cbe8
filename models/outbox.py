"""Notifications that are to be sent: made from the log of moves, each once for each address, and sent until it arrives.

Making them needs nothing of the moves themselves: whoever looks through the log later finds the same. A crash between
sending and noting it sends once more; whoever gets it twice can tell by its uuid.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping

import msgspec
from peewee import Database, Expression, fn

from models.moves import State
from models.notices import TEST, Event, Notice, event_of
from models.side_tables import Bookmark, Notification
from models.tables import Job, Move, Repo, Thread

AT_ONCE = 200
"""Moves looked through in one transaction."""

MOST_ATTEMPTS = 10
PAUSES = (15.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds until the next attempt; the last one holds for all further ones."""

TAKEN = 120.0
"""Seconds for which one that is being sent is left alone by others."""

_MARK = "notifications"


class Told(msgspec.Struct, frozen=True):
    """What is said of an event: a title, a text, and the facts for a webhook."""

    title: str
    body: str
    facts: Mapping[str, object]


Say = Callable[[Event, Job], Told]
"""Puts an event of a job, with its thread and repository, into words."""


def begin(db: Database) -> None:
    """Tell of nothing that was before somebody wanted to be told."""
    latest = Move.select(fn.MAX(Move.id)).scalar(db) or 0
    Bookmark.insert(name=_MARK, at=latest).on_conflict(action="NOTHING", conflict_target=[Bookmark.name]).execute(db)


def end(db: Database) -> None:
    """Nobody wants to be told any more; whoever wants to again begins anew."""
    with db.atomic():
        Bookmark.delete().where(Bookmark.name == _MARK).execute(db)
        waits = Notification.sent_at.is_null() & ~Notification.given_up
        Notification.update(problem="nobody is told any more", given_up=True).where(waits).execute(db)


def gather(db: Database, notices: Mapping[str, Notice], say: Say, *, now: float) -> bool:
    """Make the notifications of the next moves in the log; False where there were none."""
    with db.atomic():
        begin(db)
        seen = _seen(db)
        moves = list(Move.select().where(Move.id > seen).order_by(Move.id).limit(AT_ONCE).execute(db))
        for move in moves:
            _make(db, notices, say, move, now)
        now_seen = moves[-1].id if moves else seen
        Bookmark.update(at=now_seen).where((Bookmark.name == _MARK) & (Bookmark.at != now_seen)).execute(db)
        return bool(moves)


def _seen(db: Database) -> int:
    """The last move looked at. Once the newest ones are deleted, SQLite gives their numbers again."""
    latest = Move.select(fn.MAX(Move.id)).scalar(db) or 0
    at = Bookmark.select(Bookmark.at).where(Bookmark.name == _MARK).scalar(db)
    return int(latest) if at is None else min(int(at), int(latest))


def _make(db: Database, notices: Mapping[str, Notice], say: Say, move: Move, now: float) -> None:
    query = Job.select(Job, Thread, Repo).join(Thread).switch(Job).join(Repo, on=(Job.repo == Repo.id))
    job = query.where(Job.id == move.job_id).get(db)
    event = event_of(move.source, move.target, job.outcome if move.target == State.DONE else None)
    if event is None:
        return
    wanted = [name for name, notice in notices.items() if notice.wants(event, job.repo.server, job.repo.name)]
    if not wanted:
        return
    told = say(event, job)
    for name in wanted:
        about = {"move": move.id, "job": job.id, "server": job.repo.server, "repo": job.repo.name}
        _add(db, name, str(event), told, now=now, issue=job.thread.issue, **about)


def _add(db: Database, target: str, event: str, told: Told, *, now: float, **about: object) -> None:
    facts = msgspec.json.encode(told.facts).decode()
    words = {"title": told.title, "body": told.body, "facts": facts}
    row = {"uuid": str(uuid.uuid4()), "target": target, "event": event, "made_at": now, "due_at": now, **words}
    once = [Notification.move, Notification.target]
    Notification.insert(**row, **about).on_conflict(action="NOTHING", conflict_target=once).execute(db)


def try_out(db: Database, target: str, told: Told, *, now: float) -> None:
    """Have a trial sent to this address."""
    _add(db, target, TEST, told, now=now)


def due(db: Database, *, now: float) -> bool:
    """Whether something is to be looked through or sent."""
    if Move.select().where(Move.id > _seen(db)).exists(db):
        return True
    return bool(Notification.select().where(_is_due(now)).exists(db))


def take(db: Database, *, now: float, but_to: Collection[str] = ()) -> Notification | None:
    """The next one to send, to none of `but_to`, which nobody else then takes for a while."""
    due = _is_due(now) & Notification.target.not_in(list(but_to)) if but_to else _is_due(now)
    first = Notification.select().where(due).order_by(Notification.due_at, Notification.id).first(db)
    if first is None:
        return None
    mine = (Notification.id == first.id) & (Notification.due_at == first.due_at) & Notification.sent_at.is_null()
    counted = {Notification.due_at: now + TAKEN, Notification.attempts: Notification.attempts + 1}
    if not Notification.update(counted).where(mine).execute(db):
        return None
    taken: Notification = Notification.select().where(Notification.id == first.id).get(db)
    return taken


def sent(db: Database, notification: Notification, *, now: float) -> None:
    """It has arrived."""
    Notification.update(sent_at=now, problem="").where(Notification.id == notification.id).execute(db)


def failed(db: Database, notification: Notification, problem: str, *, now: float) -> bool:
    """It has not; False where that is for good: it was tried often enough, or the address is gone."""
    pause = PAUSES[min(notification.attempts, len(PAUSES)) - 1]
    over = notification.attempts >= MOST_ATTEMPTS
    changes = {"problem": problem, "due_at": now + pause, "given_up": over}
    Notification.update(**changes).where(Notification.id == notification.id).execute(db)
    return not over


def give_up(db: Database, notification: Notification, problem: str) -> None:
    """It can never arrive."""
    Notification.update(problem=problem, given_up=True).where(Notification.id == notification.id).execute(db)


def _is_due(now: float) -> Expression:
    waits: Expression = (Notification.due_at <= now) & Notification.sent_at.is_null() & ~Notification.given_up
    return waits
