"""When reconciliation looks where: repositories one by one, and each server for repositories that are new to us."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from peewee import Database, Expression

from models.side_tables import Census, Watch
from models.tables import Repo, Server


class Pace(msgspec.Struct, frozen=True):
    """Seconds between two looks at a repository in which something happens, and at one in which nothing does."""

    active: float
    quiet: float


def register(db: Database, servers: Collection[str]) -> None:
    """A process begins to look at these servers: at all of them, and at all their repositories, at once."""
    for name in servers:
        Census.insert(server=name).on_conflict(action="NOTHING", conflict_target=[Census.server]).execute(db)
    Census.update(due_at=0.0).where(Census.server.in_(list(servers))).execute(db)
    Watch.update(due_at=0.0).where(Watch.server.in_(list(servers))).execute(db)


def wake(db: Database, server: str) -> None:
    """The server answers again: what did not succeed there is due at once."""
    Census.update(due_at=0.0).where((Census.server == server) & (Census.failures > 0)).execute(db)
    Watch.update(due_at=0.0).where((Watch.server == server) & (Watch.failures > 0)).execute(db)


def take_census(db: Database, servers: Collection[str], *, now: float, lease: float) -> Census | None:
    """The next of these servers whose repositories are to be counted, or None; nobody else gets it for `lease`
    seconds.
    """
    due = (Census.due_at <= now) & _reachable(Census.server, servers)
    row: Census | None = Census.select().where(due).order_by(Census.due_at).first(db)
    if row is None:
        return None
    mine = (Census.server == row.server) & (Census.due_at == row.due_at)
    return row if Census.update(due_at=now + lease).where(mine).execute(db) else None


def counted(db: Database, server: str, *, there: float, before: float | None, due_at: float) -> None:
    """The server's repositories have been counted, at `there` by its clock. Those that are new have not been there at
    the count before that (`before`, None for the first), so what was said there since is said to us.
    """
    known_from = there if before is None else before
    new = (Watch.server == server) & Watch.known_from.is_null()
    with db.atomic():
        Watch.update(known_from=known_from).where(new).execute(db)
        row = {"counted_at": there, "due_at": due_at, "failures": 0, "problem": ""}
        Census.update(**row).where(Census.server == server).execute(db)


def not_counted(db: Database, server: str, *, problem: str, due_at: float) -> None:
    """That did not succeed; it is tried again at `due_at`."""
    row: dict[str, Any] = {"due_at": due_at, "failures": Census.failures + 1, "problem": problem}
    Census.update(**row).where(Census.server == server).execute(db)


def counted_at(db: Database, server: str) -> float | None:
    """When the server's repositories were last counted, by its clock."""
    value = Census.select(Census.counted_at).where(Census.server == server).scalar(db)
    return None if value is None else float(value)


def take(db: Database, servers: Collection[str], *, now: float, lease: float) -> Watch | None:
    """The next repository to look at, with its `repo`, or None; nobody else gets it for `lease` seconds."""
    row: Watch | None = Watch.select(Watch, Repo).join(Repo).where(_due(servers, now)).order_by(Watch.due_at).first(db)
    if row is None:
        return None
    mine = (Watch.id == row.id) & (Watch.due_at == row.due_at)
    return row if Watch.update(due_at=now + lease).where(mine).execute(db) else None


def any_due(db: Database, servers: Collection[str], *, now: float) -> bool:
    """Whether there is anything to look at."""
    uncounted = (Census.due_at <= now) & _reachable(Census.server, servers)
    return bool(Watch.select().where(_due(servers, now)).exists(db) or Census.select().where(uncounted).exists(db))


def _due(servers: Collection[str], now: float) -> Expression:
    due: Expression = (Watch.due_at <= now) & _reachable(Watch.server, servers)
    return due


def _reachable(name: Any, servers: Collection[str]) -> Expression:
    """Of these servers the ones that answer: while one does not, a look at each of its repositories would only wait."""
    well: Expression = name.in_(Server.select(Server.name).where(Server.ok & Server.name.in_(list(servers))))
    return well


def looked(db: Database, watch: Watch, *, due_at: float, **seen: Any) -> None:
    """A look is over, and went well; `seen` are columns of the row."""
    row = {"due_at": due_at, "failures": 0, "problem": "", **seen}
    Watch.update(**row).where(Watch.id == watch.id).execute(db)


def put_off(db: Database, watch: Watch, *, problem: str, due_at: float) -> None:
    """A look did not succeed; it is tried again at `due_at`."""
    row: dict[str, Any] = {"due_at": due_at, "failures": Watch.failures + 1, "problem": problem}
    Watch.update(**row).where(Watch.id == watch.id).execute(db)
