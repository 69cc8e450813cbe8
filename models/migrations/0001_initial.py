"""The first schema, frozen: what was made with it stays as it is, whatever `models/tables.py` becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BooleanField,
    Check,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)

if TYPE_CHECKING:
    from peewee import Database
    from playhouse.migrate import SchemaMigrator


class Server(Model):
    name = TextField(primary_key=True)
    url = TextField()
    version = TextField(default="")
    bot_id = BigIntegerField(null=True)
    bot_login = TextField(null=True)
    ok = BooleanField(default=False)
    problem = TextField(default="not looked at yet")
    checked_at = DoubleField(default=0.0)

    class Meta:
        table_name = "server"


class Worker(Model):
    name = TextField(primary_key=True)
    host = TextField()
    pid = IntegerField()
    started_at = DoubleField()
    seen_at = DoubleField()
    sandbox = TextField()
    sandbox_why = TextField(default="")
    agent = TextField(default="")

    class Meta:
        table_name = "worker"


class Intake(Model):
    id = AutoField()
    capacity = IntegerField()
    configured = IntegerField()
    per_repo = IntegerField(null=True)
    paused = BooleanField(default=False)
    reason = TextField(default="")

    class Meta:
        table_name = "intake"
        constraints = (Check("capacity >= 0"), Check("per_repo > 0"))


class Repo(Model):
    id = AutoField()
    server = TextField()
    name = TextField()
    turn = BigIntegerField(default=0)
    default_branch = TextField(default="")
    file_good = TextField(default="")
    file_version = TextField(default="")
    file_problem = TextField(default="")

    class Meta:
        table_name = "repo"
        indexes = ((("server", "name"), True),)


class Thread(Model):
    id = AutoField()
    server = TextField()
    repo = ForeignKeyField(Repo, on_delete="CASCADE", index=False)
    issue = IntegerField()
    is_pull = BooleanField(default=False)
    title = TextField(default="")
    session = TextField(null=True)
    pull_session = TextField(null=True)
    branch = TextField(null=True)
    pull = IntegerField(null=True)
    told_until = BigIntegerField(default=0)
    over = BooleanField(default=False)
    spent_sha = TextField(null=True)
    reviews_from = DoubleField(null=True)
    desk_wanted = IntegerField(default=0)
    desk_seen = IntegerField(default=0)
    urgent = BooleanField(default=False)
    look_wanted = IntegerField(default=0)
    look_seen = IntegerField(default=0)
    desk_worker = TextField(null=True)
    desk_epoch = IntegerField(default=0)
    desk_lease_until = DoubleField(null=True)
    desk_not_before = DoubleField(default=0.0)
    desk_failures = IntegerField(default=0)
    desk_problem = TextField(default="")
    updated_at = DoubleField()

    class Meta:
        table_name = "thread"
        indexes = (
            (("repo", "issue"), True),
            SQL("CREATE INDEX thread_of_pull ON thread (repo_id, pull) WHERE pull IS NOT NULL"),
            SQL("CREATE INDEX thread_due ON thread (urgent, desk_not_before) WHERE desk_wanted > desk_seen"),
        )
        constraints = (
            Check("desk_seen <= desk_wanted"),
            Check("look_seen <= look_wanted"),
            Check("(desk_worker IS NULL) = (desk_lease_until IS NULL)"),
        )


class Delivery(Model):
    id = AutoField()
    server = TextField()
    source = TextField()
    uuid = TextField()
    event_type = TextField()
    repo = TextField(default="")
    issue = IntegerField(null=True)
    verdict = TextField()
    detail = TextField()
    headers = TextField()
    body = TextField()
    received_at = DoubleField(index=True)

    class Meta:
        table_name = "delivery"
        constraints = (Check("verdict IN ('accepted', 'duplicate', 'ignored')"),)


class Job(Model):
    id = AutoField()
    thread = ForeignKeyField(Thread, on_delete="CASCADE", index=False)
    repo = ForeignKeyField(Repo, on_delete="CASCADE")
    recipe = TextField()
    base = TextField(default="code")
    state = TextField(default="asked")
    outcome = TextField(null=True)
    priority = IntegerField(default=0)
    model = TextField(null=True)
    fresh = BooleanField(default=False)
    asked_by = TextField()
    asked_at = DoubleField()
    queued_at = DoubleField(null=True)
    not_before = DoubleField(default=0.0)
    started_at = DoubleField(null=True)
    finished_at = DoubleField(null=True)
    epoch = IntegerField(default=0)
    run = IntegerField(default=0)
    attempt = IntegerField(default=0)
    crashes = IntegerField(default=0)
    worker = TextField(null=True)
    lease_until = DoubleField(null=True)
    cancel_requested_at = DoubleField(null=True)
    cancelled_by = TextField(null=True)
    cancel_reason = TextField(default="")
    base_sha = TextField(null=True)
    head_sha = TextField(null=True)
    changed = BooleanField(default=False)
    answer = TextField(default="")
    review = TextField(default="")
    review_url = TextField(default="")
    error = TextField(default="")
    step = TextField(default="")
    steps = IntegerField(default=0)
    tokens_in = IntegerField(default=0)
    tokens_out = IntegerField(default=0)
    cost = DoubleField(default=0.0)
    agent = TextField(default="")
    new_pull = BooleanField(default=False)
    check = TextField(default="")
    check_ok = BooleanField(null=True)
    check_how = TextField(default="")
    check_seconds = DoubleField(default=0.0)
    check_output = TextField(default="")
    repairs = IntegerField(default=0)
    repair_told = IntegerField(null=True)
    pull = IntegerField(null=True)
    said_on = IntegerField(null=True)
    place_shown = TextField(default="")
    live_comment = BigIntegerField(null=True)
    live_digest = TextField(default="")
    live_at = DoubleField(default=0.0)
    result_comment = BigIntegerField(null=True)
    report_wanted = IntegerField(default=0)
    report_seen = IntegerField(default=0)

    class Meta:
        table_name = "job"
        indexes = (
            (("thread", "id"), False),
            SQL("CREATE INDEX job_of_pull ON job (repo_id, pull) WHERE pull IS NOT NULL"),
            SQL("CREATE INDEX job_in_line ON job (state, repo_id, priority DESC, queued_at, id)"),
            SQL("CREATE INDEX job_completed ON job (finished_at) WHERE outcome = 'completed'"),
            SQL("CREATE UNIQUE INDEX job_one_running ON job (thread_id) WHERE state = 'running'"),
        )
        constraints = (
            Check("state IN ('asked', 'queued', 'running', 'reporting', 'done')"),
            Check("outcome IS NULL OR outcome IN ('completed', 'failed', 'cancelled', 'expired', 'refused')"),
            Check("(state IN ('reporting', 'done')) = (outcome IS NOT NULL)"),
            Check("(state = 'running') = (worker IS NOT NULL)"),
            Check("(state = 'running') = (lease_until IS NOT NULL)"),
            Check("report_seen <= report_wanted"),
            Check("priority BETWEEN -1 AND 1"),
        )


class Ask(Model):
    id = AutoField()
    key = TextField(unique=True)
    thread = ForeignKeyField(Thread, on_delete="CASCADE", index=False)
    job = ForeignKeyField(Job, null=True, on_delete="SET NULL")
    delivery = ForeignKeyField(Delivery, null=True, on_delete="SET NULL")
    verb = TextField()
    instructions = TextField(default="")
    model = TextField(null=True)
    priority = IntegerField(null=True)
    fresh = BooleanField(default=False)
    said_on = IntegerField()
    comment_id = BigIntegerField(null=True)
    entry_id = BigIntegerField(null=True)
    author_id = BigIntegerField()
    author = TextField()
    may_write = BooleanField(null=True)
    said_at = DoubleField()
    verdict = TextField(null=True)
    reason = TextField(default="")
    told_run = IntegerField(null=True)

    class Meta:
        table_name = "ask"
        indexes = ((("thread", "verdict"), False),)
        constraints = (Check("verdict IS NULL OR verdict IN ('admitted', 'refused', 'answered', 'withdrawn')"),)


class Move(Model):
    id = AutoField()
    job = ForeignKeyField(Job, on_delete="CASCADE")
    at = DoubleField()
    source = TextField(null=True)
    target = TextField()
    outcome = TextField(null=True)
    reason = TextField(default="")
    worker = TextField(null=True)

    class Meta:
        table_name = "move"


TABLES = (Server, Worker, Intake, Repo, Thread, Delivery, Job, Ask, Move)


def up(migrator: SchemaMigrator, db: Database) -> None:
    """Create every table with its checks and indexes."""
    del migrator
    with db.bind_ctx(TABLES):
        db.create_tables(TABLES, safe=False)
