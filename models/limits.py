"""How much may run at once, and whether anything may start: the one row of `Intake`, and who changes it."""

from __future__ import annotations

from peewee import Case, Database

from models.tables import Intake


def follow_settings(db: Database, *, capacity: int, per_repo: int | None) -> None:
    """Take the limits from the settings of a worker that starts; the worker that started last is right.

    A capacity that somebody has changed by hand stays, until it is set back to what the settings said then: it was
    changed for a reason that a restart does not know. `per_repo` is only ever set here.
    """
    untouched = Intake.capacity == Intake.configured
    Intake.update(
        capacity=Case(None, ((untouched, capacity),), Intake.capacity),
        configured=Case(None, ((untouched, capacity),), Intake.configured),
        per_repo=per_repo,
    ).execute(db)


def of(db: Database) -> Intake:
    """The limits as they stand now."""
    row: Intake = Intake.select().where(Intake.id == 1).get(db)
    return row


def pause(db: Database, reason: str) -> None:
    """Start nothing more; what runs goes on. `reason` is for people."""
    Intake.update(paused=True, reason=reason).execute(db)


def resume(db: Database) -> None:
    """Start jobs again."""
    Intake.update(paused=False, reason="").execute(db)


def hold(db: Database, reason: str | None) -> bool:
    """Start nothing more for this reason, or for none any more (None), whatever an administrator says; whether that is
    news.
    """
    if of(db).held == reason:
        return False
    Intake.update(held=reason).execute(db)
    return True


def why_nothing_starts(row: Intake) -> str | None:
    """Why nothing starts, "" where no reason was given; None where something may."""
    if row.held is not None:
        return str(row.held)
    return str(row.reason) if row.paused else None


def set_capacity(db: Database, limit: int) -> None:
    """Let `limit` jobs run at once. Those that run already go on, however many they are."""
    Intake.update(capacity=limit).execute(db)
