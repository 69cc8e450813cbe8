"""What an issue said when somebody asked."""

from peewee import Database, TextField
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add `ask.title` and `ask.body`."""
    del db
    migrator.migrate(
        migrator.add_column("ask", "title", TextField(null=True)),
        migrator.add_column("ask", "body", TextField(null=True)),
    )
