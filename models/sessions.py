"""Who is signed in to the admin pages, and what of it they may see: asked of Gitea once, for some hours."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection
from typing import Final

import msgspec
from peewee import Database

from models.side_tables import Session

LASTS: Final = 8 * 3600
"""Seconds after which one has to sign in again: so long may what somebody may see be out of date."""

_ID_BYTES: Final = 32


class SignedIn(msgspec.Struct, frozen=True):
    """Somebody who has signed in. `repos` are those they may write to, in lower case, where they do not see all."""

    name: str
    sees_all: bool
    repos: frozenset[str]


def begin(db: Database, name: str, *, sees_all: bool, repos: Collection[str], now: float) -> str:
    """Sign somebody in; gives the session's id, of which only a digest is kept. Sessions that are over go."""
    number = secrets.token_urlsafe(_ID_BYTES)
    mine = json.dumps(sorted({repo.lower() for repo in repos}))
    with db.atomic():
        Session.delete().where(Session.ends_at <= now).execute(db)
        row = {"digest": _digest(number), "name": name, "sees_all": sees_all, "repos": mine}
        Session.insert(**row, began_at=now, ends_at=now + LASTS).execute(db)
    return number


def find(db: Database, number: str, *, now: float) -> SignedIn | None:
    """Whose session this is; None where it has ended, or never was."""
    row = Session.select().where((Session.digest == _digest(number)) & (Session.ends_at > now)).first(db)
    return SignedIn(row.name, row.sees_all, frozenset(json.loads(row.repos))) if row else None


def end(db: Database, number: str) -> None:
    """Sign out."""
    Session.delete().where(Session.digest == _digest(number)).execute(db)


def _digest(number: str) -> str:
    return hashlib.sha256(number.encode()).hexdigest()
