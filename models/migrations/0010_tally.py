"""Figures that only grow, which outlive what they were counted from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import CompositeKey, DoubleField, Model, TextField

if TYPE_CHECKING:
    from peewee import Database
    from playhouse.migrate import SchemaMigrator


class Tally(Model):
    name = TextField()
    labels = TextField()
    value = DoubleField(default=0.0)

    class Meta:
        table_name = "tally"
        primary_key = CompositeKey("name", "labels")


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Create the table."""
    del migrator
    with db.bind_ctx([Tally]):
        db.create_tables([Tally], safe=False)
