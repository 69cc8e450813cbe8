"""Which repository a webhook is of, by the server's own number: it stays when the repository is renamed."""

from peewee import BigIntegerField, Database
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, _db: Database) -> None:
    """Add `hook.remote_id`, which the next list of repositories fills in."""
    migrator.migrate(migrator.add_column("hook", "remote_id", BigIntegerField(null=True)))
    migrator.migrate(migrator.add_index("hook", ("server", "remote_id")))
