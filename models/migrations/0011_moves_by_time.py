"""Moves are looked up by their time, for the chart of slots in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peewee import Database
    from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Create the index."""
    del migrator
    db.execute_sql("CREATE INDEX move_at ON move (at)")  # type: ignore[no-untyped-call]
