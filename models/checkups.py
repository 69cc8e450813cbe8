"""Examinations that somebody asked for on the admin page. A worker makes them: the chain is to be seen from there."""

from __future__ import annotations

from typing import Final

import msgspec
from peewee import Database, Expression, fn

from models.checkup import Checkup
from models.side_tables import CheckupRequest

KEPT: Final = 20
"""Examinations whose findings are kept."""

LEASE: Final = 600.0
"""Seconds after which another worker may begin one anew. It takes half a minute, or a few where much is silent."""


def ask(db: Database, repo: str, by: str, *, now: float) -> int:
    """Ask for an examination of `repo`, "OWNER/NAME" or "" for all; one that has not begun yet will do. Its number."""
    with db.atomic():
        waiting = CheckupRequest.select().where(CheckupRequest.started_at.is_null() & (CheckupRequest.repo == repo))
        if (row := waiting.first(db)) is not None:
            return int(row.id)
        number = int(CheckupRequest.insert(repo=repo, asked_by=by, asked_at=now).execute(db))
        CheckupRequest.delete().where(CheckupRequest.id <= number - KEPT).execute(db)
    return number


def take(db: Database, *, now: float) -> CheckupRequest | None:
    """The next one that nobody is about, which then is the caller's; or None."""
    due: Expression = CheckupRequest.finished_at.is_null() & (
        CheckupRequest.started_at.is_null() | (CheckupRequest.started_at < now - LEASE)
    )
    row: CheckupRequest | None = CheckupRequest.select().where(due).order_by(CheckupRequest.id).first(db)
    if row is None:
        return None
    mine = (CheckupRequest.id == row.id) & due
    return row if CheckupRequest.update(started_at=now).where(mine).execute(db) else None


def leave(db: Database, number: int) -> None:
    """Nobody is about it any more: the next worker begins it anew."""
    open_ = (CheckupRequest.id == number) & CheckupRequest.finished_at.is_null()
    CheckupRequest.update(started_at=None).where(open_).execute(db)


def finish(db: Database, number: int, found: Checkup, *, now: float) -> None:
    """Keep what was found."""
    text = msgspec.json.encode(found).decode()
    CheckupRequest.update(finished_at=now, findings=text).where(CheckupRequest.id == number).execute(db)


def latest(db: Database) -> CheckupRequest | None:
    """The last one that is finished."""
    done = CheckupRequest.select().where(CheckupRequest.finished_at.is_null(False))
    row: CheckupRequest | None = done.order_by(CheckupRequest.id.desc()).first(db)
    return row


def pending(db: Database) -> CheckupRequest | None:
    """The first one that is not finished."""
    open_ = CheckupRequest.select().where(CheckupRequest.finished_at.is_null())
    row: CheckupRequest | None = open_.order_by(CheckupRequest.id).first(db)
    return row


def findings_of(row: CheckupRequest) -> Checkup:
    """What it found."""
    return msgspec.json.decode(row.findings, type=Checkup)


def version(db: Database) -> tuple[int, int]:
    """Differs when one was asked for or finished."""
    counted = CheckupRequest.select(fn.MAX(CheckupRequest.id), fn.COUNT(CheckupRequest.finished_at))
    ((newest, done),) = counted.tuples().execute(db)
    return newest or 0, done
