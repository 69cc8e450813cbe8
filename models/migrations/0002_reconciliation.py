"""What reconciliation knows of repositories and servers, frozen as it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import (
    AutoField,
    BigIntegerField,
    BooleanField,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)

if TYPE_CHECKING:
    from peewee import Database
    from playhouse.migrate import SchemaMigrator


class Repo(Model):
    class Meta:
        table_name = "repo"


class Thread(Model):
    class Meta:
        table_name = "thread"


class Watch(Model):
    id = AutoField()
    server = TextField()
    repo = ForeignKeyField(Repo, on_delete="CASCADE", unique=True)
    remote_id = BigIntegerField(null=True)
    known_from = DoubleField(null=True)
    heard_until = DoubleField(null=True)
    looked_at = DoubleField(default=0.0)
    swept_at = DoubleField(default=0.0)
    stirred_at = DoubleField(default=0.0)
    due_at = DoubleField(default=0.0)
    failures = IntegerField(default=0)
    problem = TextField(default="")
    lost_at = DoubleField(null=True)
    archived = BooleanField(default=False)

    class Meta:
        table_name = "watch"
        indexes = ((("server", "remote_id"), True), (("due_at",), False))


class Census(Model):
    server = TextField(primary_key=True)
    counted_at = DoubleField(null=True)
    due_at = DoubleField(default=0.0)
    failures = IntegerField(default=0)
    problem = TextField(default="")

    class Meta:
        table_name = "census"


class Hint(Model):
    thread = ForeignKeyField(Thread, on_delete="CASCADE", primary_key=True)
    look = IntegerField()

    class Meta:
        table_name = "hint"


_RECOVERED = "CREATE INDEX delivery_recovered ON delivery (received_at) WHERE source = 'reconcile'"

TABLES = (Watch, Census, Hint)

# What was asked while the service was down for the change of versions is not lost: the repositories that were known
# are heard from the moment at which a worker last saw their server.
_KNOWN = """
    INSERT INTO watch
        (server, repo_id, known_from, looked_at, swept_at, stirred_at, due_at, failures, problem, archived)
    SELECT repo.server, repo.id, server.checked_at, 0, 0, 0, 0, 0, '', {no}
    FROM repo LEFT JOIN server ON server.name = repo.server AND server.checked_at > 0
"""


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Create the tables, and a row for each repository that was known."""
    del migrator
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES, safe=False)
    db.execute_sql(_RECOVERED)  # type: ignore[no-untyped-call]
    db.execute_sql(_KNOWN.format(no="false" if db.for_update else "0"))  # type: ignore[no-untyped-call]
