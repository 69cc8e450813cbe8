"""The tables beside the work: what is seen of the servers, what agents use, and who is told or has signed in.

What `models.tables` says of times and of databases holds here, too.
"""

from __future__ import annotations

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BooleanField,
    Check,
    CompositeKey,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    TextField,
)

from models.tables import Job, Repo, Thread


class Hook(Model):
    """A place that a webhook may serve: a repository ("OWNER/NAME"), an organisation ("OWNER") or the server ("").

    `remote_id` is the server's own number of a repository, which stays when it is renamed; None until it was listed.
    `asked` grows with every request of a person, `answered` follows; `wish` is what they want of it ("": what the
    settings say). `hook_id` is the webhook of ours there, `mark` tells the secret that it was made with from others
    ("": nobody knows). `state`, `problem` and `cure` are what was last seen of it; `by` is the wider place whose
    webhook serves this one. `tested_at` is when a test delivery was last sent. The row of the server itself says when
    its repositories are listed.
    """

    id = AutoField()
    server = TextField()
    place = TextField()
    due_at = DoubleField(default=0.0)
    failures = IntegerField(default=0)
    asked = IntegerField(default=0)
    answered = IntegerField(default=0)
    wish = TextField(default="")
    hook_id = BigIntegerField(null=True)
    mark = TextField(default="")
    state = TextField(default="unknown")
    problem = TextField(default="")
    cure = TextField(default="")
    by = TextField(null=True)
    tested_at = DoubleField(null=True)
    looked_at = DoubleField(default=0.0)
    allowed = BooleanField(default=True)
    rights = TextField(default="")
    archived = BooleanField(default=False)
    labels_missing = TextField(default="")
    file_problem = TextField(default="")
    remote_id = BigIntegerField(null=True)

    class Meta:
        table_name = "hook"
        indexes = ((("server", "place"), True), (("server", "remote_id"), False), (("due_at",), False))
        constraints = [Check("answered <= asked"), Check("wish IN ('', 'made', 'removed')")]


class Refusal(Model):
    """The last webhook that was turned away from a server's address, by HTTP status. Whoever sent it is not known."""

    id = AutoField()
    server = TextField()
    status = IntegerField()
    sentence = TextField()
    at = DoubleField()

    class Meta:
        table_name = "refusal"
        indexes = ((("server", "status"), True),)


class Watch(Model):
    """What reconciliation knows of a repository, one row each; made when the repository is first seen.

    `remote_id` is the server's own number of it, which stays when it is renamed. Two clocks: `known_from` and
    `heard_until` are times of the server's, the others ours. What is older than `known_from` was there before us and
    asks nothing; what changed until `heard_until` has been looked at, by a look that began at `looked_at`. `swept_at`:
    when all open issues were looked through. `stirred_at`: when something last happened there. `due_at`: the next look.
    `lost_at`: since when the server says that it is not there, `archived`: that nobody can write to it.
    """

    repo_id: int
    id = AutoField()
    server = TextField()
    repo = ForeignKeyField(Repo, backref="watches", on_delete="CASCADE", unique=True)
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
    """When the repositories of a server were last counted (`counted_at`, by the server's clock), and when that is due
    again (`due_at`, by ours).
    """

    server = TextField(primary_key=True)
    counted_at = DoubleField(null=True)
    due_at = DoubleField(default=0.0)
    failures = IntegerField(default=0)
    problem = TextField(default="")

    class Meta:
        table_name = "census"


class Hint(Model):
    """A look at a thread that reconciliation wanted, and no webhook: what that look finds was missed.

    `look` is the thread's `look_wanted` that it led to. A webhook that comes later raises that, and this is void.
    """

    thread_id: int
    thread = ForeignKeyField(Thread, backref="hints", on_delete="CASCADE", primary_key=True)
    look = IntegerField()

    class Meta:
        table_name = "hint"


class Tally(Model):
    """One figure that only grows, see `models.tally`. `labels` is JSON, its keys sorted."""

    name = TextField()
    labels = TextField()
    value = DoubleField(default=0.0)

    class Meta:
        table_name = "tally"
        primary_key = CompositeKey("name", "labels")


class Account(Model):
    """What the gateway knows of a job: the SHA-256 of the token with which its agent may call, and what was served to
    it. `cut_short` says which budget ended the job, "" where none did. Cost is in US dollars.
    """

    job_id: int
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
    """What the jobs of a repository used on one day (`2026-11-23`, UTC). Cost is in US dollars."""

    repo_id: int
    id = AutoField()
    repo = ForeignKeyField(Repo, on_delete="CASCADE", index=False)
    day = TextField()
    tokens = BigIntegerField(default=0)
    cost = DoubleField(default=0.0)

    class Meta:
        table_name = "spending"
        indexes = ((("day", "repo"), True),)


class Gateway(Model):
    """The model gateway of a host: the port it keeps, and the names of the credentials that its agents are handed all
    the same (JSON list).
    """

    host = TextField(primary_key=True)
    port = IntegerField(default=0)
    credentials = TextField(default="[]")

    class Meta:
        table_name = "gateway"


class Bookmark(Model):
    """How far somebody has looked through a table: the highest id seen, by the name of who looks."""

    name = TextField(primary_key=True)
    at = BigIntegerField(default=0)

    class Meta:
        table_name = "bookmark"


class Notification(Model):
    """What one address (`target`) is to be told, or was: of one `move` of a job, or, without one, a trial.

    `facts` is the JSON that a webhook gets; `title` and `body` are what people read. `uuid` stays over all attempts.
    """

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


class CheckupRequest(Model):
    """An examination of all, or of one repository ("OWNER/NAME"), that somebody asked for on the admin page.

    `findings` is the JSON of a `models.checkup.Checkup`, "" until it is finished.
    """

    id = AutoField()
    repo = TextField(default="")
    asked_by = TextField()
    asked_at = DoubleField()
    started_at = DoubleField(null=True)
    finished_at = DoubleField(null=True)
    findings = TextField(default="")

    class Meta:
        table_name = "checkup_request"


class Session(Model):
    """Somebody who has signed in to the admin pages. `digest` is of the id that their browser holds, `repos` a JSON
    list of the repositories that they may write to.
    """

    digest = TextField(primary_key=True)
    name = TextField()
    sees_all = BooleanField()
    repos = TextField()
    began_at = DoubleField()
    ends_at = DoubleField()

    class Meta:
        table_name = "session"
