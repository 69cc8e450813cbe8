"""Under which name a repository's work lies on the workers' disks: it stays when the repository is renamed."""

from peewee import Database, TextField
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Add `repo.folder`: until now it was the repository's name."""
    migrator.migrate(migrator.add_column("repo", "folder", TextField(default="")))
    db.execute_sql("UPDATE repo SET folder = lower(name)")  # type: ignore[no-untyped-call]
