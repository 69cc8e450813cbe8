"""Keeps what is said of a job's place in the queue true, as the queue moves."""

from __future__ import annotations

from jobs.outgoing import agents_words
from jobs.queue import Lane
from jobs.queue_sentences import place
from jobs.wiring import Wiring
from models import budgets, ledger
from models.estimate import Outlook
from models.moves import State
from models.outlook import outlooks
from models.tables import Job

EDIT_SECONDS = 5.0
"""A comment is not edited again before so many seconds for no more than a change of place."""


def place_of(wiring: Wiring, outlook: Outlook | None) -> str:
    """What a comment says of the place; "" for a job that does not wait."""
    return place(outlook, agents_words(outlook.paused or "", wiring.redactor)) if outlook else ""


def expected(wiring: Wiring) -> dict[int, Outlook]:
    """What each queued job has to expect, by its id."""
    return outlooks(wiring.db, now=wiring.clock(), allowed=budgets.limits_of(wiring.settings))


def refresh(wiring: Wiring) -> None:
    """Have those comments rewritten that say something else than is so. A comment that is not there is not made."""
    now = wiring.clock()
    waits = (Job.state == State.QUEUED) & (Job.live_comment > 0)
    query = Job.select(Job.id, Job.place_shown, Job.live_at).where(waits)
    shown = {job.id: (job.place_shown, job.live_at) for job in query.execute(wiring.db)}
    found = expected(wiring) if shown else {}
    moved = [
        job_id
        for job_id, (text, at) in shown.items()
        if job_id in found and at + EDIT_SECONDS <= now and place_of(wiring, found[job_id]) != text
    ]
    for job_id in moved:
        ledger.want_report(wiring.db, job_id)
    if moved:
        wiring.bells.ring(Lane.DESK)
