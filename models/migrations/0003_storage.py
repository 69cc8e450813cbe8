"""Why nothing starts although nobody has paused, and the keys of asks whose rows are gone."""

from peewee import Database, Model, TextField
from playhouse.migrate import SchemaMigrator


class Heard(Model):
    key = TextField(primary_key=True)

    class Meta:
        table_name = "heard"


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add `intake.held` and the table `heard`."""
    migrator.migrate(migrator.add_column("intake", "held", TextField(null=True)))
    with db.bind_ctx([Heard]):
        db.create_tables([Heard], safe=False)
