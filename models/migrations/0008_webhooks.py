"""Webhooks of ours, deliveries that were turned away, the way to a repository's last one. Frozen as it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import AutoField, BigIntegerField, BooleanField, Check, DoubleField, IntegerField, Model, TextField

if TYPE_CHECKING:
    from peewee import Database
    from playhouse.migrate import SchemaMigrator


class Hook(Model):
    id = AutoField()
    server = TextField()
    place = TextField()
    due_at = DoubleField(default=0.0)
    failures = IntegerField(default=0)
    asked = IntegerField(default=0)
    answered = IntegerField(default=0)
    wish = TextField(default="")
    hook_id = BigIntegerField(null=True)
    mark = TextField(default="")
    state = TextField(default="unknown")
    problem = TextField(default="")
    cure = TextField(default="")
    by = TextField(null=True)
    tested_at = DoubleField(null=True)
    looked_at = DoubleField(default=0.0)
    allowed = BooleanField(default=True)
    rights = TextField(default="")
    archived = BooleanField(default=False)
    labels_missing = TextField(default="")
    file_problem = TextField(default="")

    class Meta:
        table_name = "hook"
        indexes = ((("server", "place"), True), (("due_at",), False))
        constraints = (Check("answered <= asked"), Check("wish IN ('', 'made', 'removed')"))


class Refusal(Model):
    id = AutoField()
    server = TextField()
    status = IntegerField()
    sentence = TextField()
    at = DoubleField()

    class Meta:
        table_name = "refusal"
        indexes = ((("server", "status"), True),)


TABLES = (Hook, Refusal)


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Create the tables and the index."""
    migrator.migrate(migrator.add_index("delivery", ("server", "repo", "received_at")))
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES, safe=False)
