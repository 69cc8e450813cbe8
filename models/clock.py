"""What our own clock said. One that is set back must not make longer what has been put off until a moment of it."""

from __future__ import annotations

from typing import Final

from peewee import Database, DoubleField

from models.side_tables import Bookmark, Census, Hook, Notification, Watch
from models.tables import Job, Thread

SLACK_SECONDS: Final = 10.0
"""Clocks are kept right by small steps, which change nothing worth mending."""

_PUT_OFF: Final[tuple[DoubleField, ...]] = (
    Thread.desk_not_before,
    Job.not_before,
    Job.live_at,
    Watch.due_at,
    Census.due_at,
    Hook.due_at,
    Notification.due_at,
)


_LEASES: Final[tuple[DoubleField, ...]] = (Thread.desk_lease_until, Job.lease_until)
LONGEST_LEASE: Final = 60.0
"""Seconds. One that lasts longer was taken before the clock was set back; any other may have been renewed since."""


def went_back(db: Database, host: str, *, now: float) -> float:
    """Note what the clock of this machine (`host`) says. Where it has said a later time before, by how many seconds it
    has gone back since, and all that was put off comes sooner by as much; else 0.
    """
    name = f"clock of {host}"
    with db.atomic():
        last = Bookmark.select(Bookmark.at).where(Bookmark.name == name).scalar(db)
        Bookmark.insert(name=name, at=int(now)).on_conflict(
            conflict_target=[Bookmark.name], update={Bookmark.at: int(now)}
        ).execute(db)
        back = 0.0 if last is None else float(last) - now
        if back <= SLACK_SECONDS:
            return 0.0
        for field in _PUT_OFF:
            field.model.update({field: field - back}).where(field > now).execute(db)
        for lease in _LEASES:
            lease.model.update({lease: now + LONGEST_LEASE}).where(lease > now + LONGEST_LEASE).execute(db)
        return back
