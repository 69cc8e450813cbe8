"""What somebody asked the doctor for on the admin page, and what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import AutoField, DoubleField, Model, TextField

if TYPE_CHECKING:
    from peewee import Database
    from playhouse.migrate import SchemaMigrator


class CheckupRequest(Model):
    id = AutoField()
    repo = TextField(default="")
    asked_by = TextField()
    asked_at = DoubleField()
    started_at = DoubleField(null=True)
    finished_at = DoubleField(null=True)
    findings = TextField(default="")

    class Meta:
        table_name = "checkup_request"


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Create a table."""
    del migrator
    with db.bind_ctx((CheckupRequest,)):
        db.create_tables((CheckupRequest,), safe=False)
