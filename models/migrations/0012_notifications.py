"""What people outside Gitea are told: what is to be sent where, and how far the moves have been looked through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import SQL, AutoField, BigIntegerField, BooleanField, DoubleField, IntegerField, Model, TextField

if TYPE_CHECKING:
    from peewee import Database
    from playhouse.migrate import SchemaMigrator


class Bookmark(Model):
    name = TextField(primary_key=True)
    at = BigIntegerField(default=0)

    class Meta:
        table_name = "bookmark"


class Notification(Model):
    id = AutoField()
    uuid = TextField(unique=True)
    target = TextField()
    event = TextField()
    move = BigIntegerField(null=True)
    job = BigIntegerField(null=True)
    server = TextField(default="")
    repo = TextField(default="")
    issue = IntegerField(null=True)
    title = TextField()
    body = TextField()
    facts = TextField(default="{}")
    made_at = DoubleField(index=True)
    attempts = IntegerField(default=0)
    due_at = DoubleField(default=0.0)
    sent_at = DoubleField(null=True)
    given_up = BooleanField(default=False)
    problem = TextField(default="")

    class Meta:
        table_name = "notification"
        indexes = (
            SQL("CREATE UNIQUE INDEX notification_once ON notification (move, target)"),
            SQL("CREATE INDEX notification_due ON notification (due_at) WHERE sent_at IS NULL AND NOT given_up"),
        )


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Create two tables."""
    del migrator
    with db.bind_ctx((Bookmark, Notification)):
        db.create_tables((Bookmark, Notification), safe=False)
