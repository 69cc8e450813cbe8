"""What jobs spend, and the model gateway: frozen, as every migration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import SQL, AutoField, BigIntegerField, DoubleField, ForeignKeyField, IntegerField, Model, TextField

if TYPE_CHECKING:
    from peewee import Database
    from playhouse.migrate import SchemaMigrator


class Repo(Model):
    class Meta:
        table_name = "repo"


class Job(Model):
    class Meta:
        table_name = "job"


class Account(Model):
    job = ForeignKeyField(Job, primary_key=True, on_delete="CASCADE")
    token = TextField(null=True)
    tokens_in = BigIntegerField(default=0)
    tokens_out = BigIntegerField(default=0)
    cost = DoubleField(default=0.0)
    cut_short = TextField(default="")

    class Meta:
        table_name = "account"
        indexes = (SQL("CREATE UNIQUE INDEX account_of_token ON account (token) WHERE token IS NOT NULL"),)


class Spending(Model):
    id = AutoField()
    repo = ForeignKeyField(Repo, on_delete="CASCADE", index=False)
    day = TextField()
    tokens = BigIntegerField(default=0)
    cost = DoubleField(default=0.0)

    class Meta:
        table_name = "spending"
        indexes = ((("day", "repo"), True),)


class Gateway(Model):
    host = TextField(primary_key=True)
    port = IntegerField(default=0)
    credentials = TextField(default="[]")

    class Meta:
        table_name = "gateway"


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Create three tables."""
    del migrator
    with db.bind_ctx((Repo, Job, Account, Spending, Gateway)):
        db.create_tables((Account, Spending, Gateway), safe=False)
