"""Which job an ask belongs to."""

from __future__ import annotations

from peewee import Database

from models import ledger
from models.moves import Outcome, State
from models.tables import Ask, Job, Thread


def recipe_of(verb: str, db: Database, thread: Thread) -> str:
    """The recipe that `verb` asks for on this thread: to continue is to go on with what was last done there, and what
    was refused was not done.
    """
    if verb not in ("continue", "retry"):
        return verb.removeprefix("recipe:")
    done = (Job.thread == thread.id) & (Job.outcome.is_null() | (Job.outcome != Outcome.REFUSED))
    last = Job.select(Job.recipe).where(done).order_by(Job.id.desc()).first(db)
    return str(last.recipe) if last else "code"


def gather(db: Database, ask: Ask, thread: Thread) -> int:
    """Give `ask` a job: the newest of this thread that has not started, if it is of the same recipe and `ask` is not
    to be done afresh, else a new one. Returns its id.
    """
    recipe = recipe_of(ask.verb, db, thread)
    waiting = _waiting(db, thread, recipe) if not ask.fresh else None
    job_id = waiting if waiting is not None else ledger.create(db, ask, thread, recipe)
    Ask.update(job=job_id).where(Ask.id == ask.id).execute(db)
    if waiting is not None:
        ledger.want_report(db, job_id)
    return job_id


def _waiting(db: Database, thread: Thread, recipe: str) -> int | None:
    """The newest, so that what is said after a job that starts afresh is not done before it."""
    waits = Job.state.in_([State.ASKED, State.QUEUED]) & Job.cancel_requested_at.is_null()
    mine = (Job.thread == thread.id) & waits & (Job.recipe == recipe)
    row = Job.select(Job.id).where(mine).order_by(Job.id.desc()).first(db)
    return int(row.id) if row else None
