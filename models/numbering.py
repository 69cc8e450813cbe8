"""The numbers of jobs and asks. What we write on Gitea names them, so none may be given twice: who goes on from a
backup leaves out those that may have been given since.
"""

from __future__ import annotations

from typing import Any

from peewee import Database, Select, fn

from models.side_tables import Bookmark
from models.tables import Ask, Job

LEFT_OUT = 10_000
"""More than are given between two backups."""


def next_number(model: type[Job | Ask]) -> Any:
    """Select the number of the next one."""
    taken = model.alias()
    floor = Bookmark.select(Bookmark.at).where(Bookmark.name == _mark(model))
    highest = (taken.select(fn.MAX(taken.id).alias("n")) + floor).alias("highest")
    return Select([highest], [fn.COALESCE(fn.MAX(highest.c.n), 0) + 1])


def leave_out(db: Database) -> None:
    """Others may have been given numbers since this database was copied."""
    for model in (Job, Ask):
        at = _latest(db, model) + LEFT_OUT
        row = Bookmark.insert(name=_mark(model), at=at)
        row.on_conflict(conflict_target=[Bookmark.name], update={Bookmark.at: at}).execute(db)


def _latest(db: Database, model: type[Job | Ask]) -> int:
    floor = Bookmark.select(Bookmark.at).where(Bookmark.name == _mark(model)).scalar(db)
    return max(int(model.select(fn.MAX(model.id)).scalar(db) or 0), int(floor or 0))


def _mark(model: type[Job | Ask]) -> str:
    return f"numbers of {model.__name__}"
