"""Which job an ask belongs to."""

from __future__ import annotations

from peewee import Database

from models import ledger
from models.moves import Outcome, State
from models.prepared import Prepared, slot
from models.tables import Ask, Job, Thread

OWN = ("recipe:", "review:")
"""What the verb of a repository's own recipe begins with: the second where it reviews a pull request."""


def own_verb(recipe: str, *, reviews: bool) -> str:
    """The verb that asks for a recipe of the repository's own."""
    return f"{OWN[1] if reviews else OWN[0]}{recipe}"


def recipe_of(verb: str, db: Database, thread: Thread) -> str:
    """The recipe that `verb` asks for on this thread: to continue is to go on with what was last done there, and what
    was refused was not done.
    """
    if verb not in ("continue", "retry"):
        return verb.rpartition(":")[2]
    return str(_LAST_RECIPE.one(db, thread=thread.id) or "code")


def gather(db: Database, ask: Ask, thread: Thread) -> int:
    """Give `ask` a job: the newest of this thread that has not started, if it is of the same recipe and `ask` is not
    to be done afresh, else a new one. Returns its id.
    """
    recipe = recipe_of(ask.verb, db, thread)
    waiting = _waiting(db, thread, recipe) if not ask.fresh else None
    job_id = waiting if waiting is not None else ledger.create(db, ask, thread, recipe)
    _GIVE_JOB.run(db, ask=ask.id, job=job_id)
    if waiting is not None:
        ledger.want_report(db, job_id)
    return job_id


def _waiting(db: Database, thread: Thread, recipe: str) -> int | None:
    """The newest, so that what is said after a job that starts afresh is not done before it."""
    number = _WAITING.one(db, thread=thread.id, recipe=recipe)
    return None if number is None else int(number)


_LAST_RECIPE = Prepared(
    lambda: (
        Job.select(Job.recipe)
        .where((Job.thread == slot("thread")) & (Job.outcome.is_null() | (Job.outcome != Outcome.REFUSED)))
        .order_by(Job.id.desc())
        .limit(1)
    )
)
_WAITING = Prepared(
    lambda: (
        Job.select(Job.id)
        .where(
            (Job.thread == slot("thread"))
            & Job.state.in_([State.ASKED, State.QUEUED])
            & Job.cancel_requested_at.is_null()
            & (Job.recipe == slot("recipe"))
        )
        .order_by(Job.id.desc())
        .limit(1)
    )
)
_GIVE_JOB = Prepared(lambda: Ask.update(job=slot("job")).where(Ask.id == slot("ask")))
