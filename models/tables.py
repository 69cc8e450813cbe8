"""The tables: what is to be done, by whom, and how far it got.

Times are seconds since the epoch, UTC (`DoubleField`: a plain `FloatField` is four bytes in PostgreSQL).
No model is bound to a database: every query names the one it runs on, so a process can hold several. A foreign key has
an index of its own only where no other index begins with it.
"""

from __future__ import annotations

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

from models.moves import Outcome, State, Verdict


def _one_of(column: str, names: type[State | Outcome | Verdict]) -> str:
    return f"{column} IN ({', '.join(repr(str(name)) for name in names)})"


class Server(Model):
    """A Gitea or Forgejo, and what a worker last saw of it."""

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
    """A worker process; `seen_at` is its heartbeat."""

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
    """One row: how many agents may run, and whether new ones may start.

    `capacity` holds for all repositories together, `per_repo` for each of them (None: no limit of its own).
    `configured` is the setting from which `capacity` was last taken: where they differ, somebody has changed it by
    hand since. `held` is why nothing starts although nobody has paused: a worker says so, and takes it back.
    """

    id = AutoField()
    capacity = IntegerField()
    configured = IntegerField()
    per_repo = IntegerField(null=True)
    paused = BooleanField(default=False)
    reason = TextField(default="")
    held = TextField(null=True)

    class Meta:
        table_name = "intake"
        constraints = [Check("capacity >= 0"), Check("per_repo > 0")]


class Repo(Model):
    """A repository that we have seen; `turn` orders them so that each gets its turn. `folder` is the name under which
    its work lies on the workers' disks: the first one that it had, whatever it is called now, so no two share one.

    `file_good` is the last text of its `.kugetsu.toml` that could be used, `file_version` the newest one's digest, and
    `file_problem` why that one cannot be used.
    """

    id = AutoField()
    server = TextField()
    name = TextField()
    turn = BigIntegerField(default=0)
    default_branch = TextField(default="")
    file_good = TextField(default="")
    file_version = TextField(default="")
    file_problem = TextField(default="")
    folder = TextField(default="")

    class Meta:
        table_name = "repo"
        indexes = ((("server", "name"), True),)


class Thread(Model):
    """One issue's conversation.

    `desk_wanted` grows with every change that the desk must see to; `desk_seen` follows when it has. `look_*` likewise
    for its labels, its state and, from `reviews_from` on, the reviews of its pull request. `told_until` is the last
    comment that the agent has been told of. Only who holds the desk's lease writes to this issue on Gitea; `desk_epoch`
    grows with every such lease and tells them apart.

    `pull` is the pull request now at work on, `branch` the one it comes from. `over`: that was merged, and what the
    conversation left on disk is to go; `spent_sha` is the commit of the branch that was merged: not to be built upon.
    `session` is the agent's conversation in the thread's own place, `pull_session` the one in the place where a pull
    request is read.
    """

    repo_id: int
    id = AutoField()
    server = TextField()
    repo = ForeignKeyField(Repo, backref="threads", on_delete="CASCADE", index=False)
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
            SQL("CREATE INDEX thread_by_number ON thread (issue)"),
            SQL("CREATE INDEX thread_due ON thread (urgent, desk_not_before) WHERE desk_wanted > desk_seen"),
        )
        constraints = [
            Check("desk_seen <= desk_wanted"),
            Check("look_seen <= look_wanted"),
            Check("(desk_worker IS NULL) = (desk_lease_until IS NULL)"),
        ]


class Delivery(Model):
    """A verified webhook delivery as it came, and what was made of it."""

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
        indexes = (
            SQL("CREATE INDEX delivery_by_verdict ON delivery (verdict, id)"),
            SQL("CREATE INDEX delivery_by_source ON delivery (source, verdict, id)"),
            SQL("CREATE INDEX delivery_by_repo ON delivery (repo, id)"),
            SQL("CREATE INDEX delivery_by_event ON delivery (event_type, id)"),
            SQL("CREATE INDEX delivery_by_uuid ON delivery (uuid)"),
            (("server", "repo", "received_at"), False),
            SQL("CREATE INDEX delivery_recovered ON delivery (received_at) WHERE source = 'reconcile'"),
        )
        constraints = [Check("verdict IN ('accepted', 'duplicate', 'ignored')")]


class Job(Model):
    """One run of work on one issue, made of one or more asks.

    `epoch` fences: it grows whenever another worker takes the job over, and a writer with an old one changes nothing.
    `run` numbers the agent's launches; `attempt` counts those that a passing fault ended, `crashes` those that were
    lost with their worker. `said_on` is the issue or pull request where it was asked for, `pull` the one to which its
    work went. `base` is the built-in recipe by which `recipe` is done. `review` is what a review has to say (JSON of
    `jobs.remarks.Placed`), `review_url` where it was posted. `check…` is what became of the repository's own command
    that ran last; `repairs` counts how often a red one was given back to the agent, `repair_told` is the run in which
    it took the last one in. `place_shown` is what its comment says of its place in the queue.
    """

    thread_id: int
    repo_id: int
    id = AutoField()
    thread = ForeignKeyField(Thread, backref="jobs", on_delete="CASCADE", index=False)
    repo = ForeignKeyField(Repo, backref="jobs", on_delete="CASCADE")
    recipe = TextField()
    base = TextField(default="code")
    state = TextField(default=State.ASKED)
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
            SQL("CREATE INDEX job_by_state ON job (state, id)"),
            SQL("CREATE INDEX job_by_outcome ON job (outcome, id) WHERE outcome <> 'completed'"),
            SQL("CREATE INDEX job_by_person ON job (asked_by, id)"),
            SQL("CREATE INDEX job_by_day ON job (asked_at, id)"),
            SQL("CREATE INDEX job_ended ON job (finished_at, repo_id, outcome, tokens_in, tokens_out, cost)"),
            SQL("CREATE INDEX job_completed ON job (finished_at) WHERE outcome = 'completed'"),
            SQL("CREATE UNIQUE INDEX job_one_running ON job (thread_id) WHERE state = 'running'"),
        )
        constraints = [
            Check(_one_of("state", State)),
            Check(f"outcome IS NULL OR {_one_of('outcome', Outcome)}"),
            Check("(state IN ('reporting', 'done')) = (outcome IS NOT NULL)"),
            Check("(state = 'running') = (worker IS NOT NULL)"),
            Check("(state = 'running') = (lease_until IS NOT NULL)"),
            Check("report_seen <= report_wanted"),
            Check("priority BETWEEN -1 AND 1"),
        ]


class Ask(Model):
    """One thing one person said. `key` names it by content, so however often it arrives it is this row.

    `said_on` is the number of the issue or pull request where it was said: what is said on a pull request of ours
    belongs to the thread of its issue. `entry_id` orders it among all that happened on the server. `title` and `body`
    are what the thread's issue said then; None as long as nobody has looked.
    """

    thread_id: int
    job_id: int | None
    delivery_id: int | None
    id = AutoField()
    key = TextField(unique=True)
    thread = ForeignKeyField(Thread, backref="asks", on_delete="CASCADE", index=False)
    job = ForeignKeyField(Job, backref="asks", null=True, on_delete="SET NULL")
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
    title = TextField(null=True)
    body = TextField(null=True)

    class Meta:
        table_name = "ask"
        indexes = ((("thread", "verdict"), False),)
        constraints = [Check(f"verdict IS NULL OR {_one_of('verdict', Verdict)}")]


class Heard(Model):
    """The key of an ask whose row is gone with its conversation: who said it is not heard again."""

    key = TextField(primary_key=True)

    class Meta:
        table_name = "heard"


class Move(Model):
    """One row for each move of a job: the log replays to the job's state."""

    job_id: int
    id = AutoField()
    job = ForeignKeyField(Job, backref="moves", on_delete="CASCADE")
    at = DoubleField()
    source = TextField(null=True)
    target = TextField()
    outcome = TextField(null=True)
    reason = TextField(default="")
    worker = TextField(null=True)

    class Meta:
        table_name = "move"
        indexes = (SQL("CREATE INDEX move_at ON move (at)"),)
