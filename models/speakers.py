"""Who asked for a job, and where: there they are answered."""

from __future__ import annotations

from peewee import Database

from models.moves import Verdict
from models.tables import Ask, Job, Thread


def places(db: Database, job: Job, thread: Thread) -> dict[int, tuple[str, ...]]:
    """The issues and pull requests on which the job was asked for, with the logins of those who asked there."""
    mine = (Ask.job == job.id) & (Ask.verdict == Verdict.ADMITTED)
    rows = Ask.select(Ask.said_on, Ask.author).where(mine).order_by(Ask.id).tuples().execute(db)
    found: dict[int, dict[str, None]] = {}
    for number, author in rows:
        found.setdefault(int(number), {})[author] = None
    return {number: tuple(names) for number, names in found.items()} or {thread.issue: (job.asked_by,)}


def threads_at(db: Database, ask: Ask) -> list[int]:
    """The threads that somebody means who asks there: the one that `ask` belongs to, and, on a pull request of ours,
    the one of the pull request itself, where it is reviewed.
    """
    repo = Thread.select(Thread.repo).where(Thread.id == ask.thread_id)
    there = Thread.select(Thread.id).where((Thread.repo == repo) & (Thread.issue == ask.said_on)).scalar(db)
    return list(dict.fromkeys([ask.thread_id, *([int(there)] if there is not None else [])]))


def by_label(db: Database, job_id: int) -> bool:
    """Whether a label asked for the job, which shows that it did until it is replaced."""
    return bool(Ask.select().where((Ask.job == job_id) & Ask.comment_id.is_null()).exists(db))


def labelled(db: Database, thread: Thread) -> list[int]:
    """Where the thread's label belongs: on its issue, and on its pull request if one asked there."""
    on_pull = (Ask.thread == thread.id) & (Ask.said_on == thread.pull) & Ask.job.is_null(False)
    asked = thread.pull is not None and Ask.select().where(on_pull & Ask.comment_id.is_null()).exists(db)
    return list(dict.fromkeys([thread.issue, *([thread.pull] if asked and thread.pull is not None else [])]))
