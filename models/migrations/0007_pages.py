"""Who is signed in to the pages, and the indexes by which these find what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import BooleanField, DoubleField, Model, TextField

if TYPE_CHECKING:
    from peewee import Database
    from playhouse.migrate import SchemaMigrator


class Session(Model):
    digest = TextField(primary_key=True)
    name = TextField()
    sees_all = BooleanField()
    repos = TextField()
    began_at = DoubleField()
    ends_at = DoubleField()

    class Meta:
        table_name = "session"


INDEXES = (
    "CREATE INDEX job_by_state ON job (state, id)",
    "CREATE INDEX job_by_outcome ON job (outcome, id) WHERE outcome <> 'completed'",
    "CREATE INDEX job_by_person ON job (asked_by, id)",
    "CREATE INDEX job_by_day ON job (asked_at, id)",
    "CREATE INDEX job_ended ON job (finished_at, repo_id, outcome, tokens_in, tokens_out, cost)",
    "CREATE INDEX thread_by_number ON thread (issue)",
    "CREATE INDEX delivery_by_verdict ON delivery (verdict, id)",
    "CREATE INDEX delivery_by_source ON delivery (source, verdict, id)",
    "CREATE INDEX delivery_by_repo ON delivery (repo, id)",
    "CREATE INDEX delivery_by_event ON delivery (event_type, id)",
    "CREATE INDEX delivery_by_uuid ON delivery (uuid)",
)


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Create the table and the indexes."""
    del migrator
    with db.bind_ctx([Session]):
        db.create_tables([Session], safe=False)
    for sql in INDEXES:
        db.execute_sql(sql)  # type: ignore[no-untyped-call]
