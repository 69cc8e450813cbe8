"""The first schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.tables import TABLES

if TYPE_CHECKING:
    from peewee import Database
    from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Create every table, and the index that allows one running job an issue."""
    del migrator
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES, safe=False)
    db.execute_sql(  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        "CREATE UNIQUE INDEX job_one_running ON job (thread_id) WHERE state = 'running'"
    )
