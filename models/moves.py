"""The states of a job, how it can end, and the moves between states that exist.

A state says who must act next; how a job ended is kept apart. These names are stored: never rename one.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Who must act next."""

    ASKED = "asked"
    """The desk: is this person allowed, is this still wanted?"""
    QUEUED = "queued"
    """An agent worker, when a slot is free and no other job runs on the issue."""
    RUNNING = "running"
    """The agent."""
    REPORTING = "reporting"
    """The reporter: the outcome is stored, Gitea has not been told everything."""
    DONE = "done"
    """Nobody."""


class Outcome(StrEnum):
    """How a job ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"


class Verdict(StrEnum):
    """What became of one ask."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    ANSWERED = "answered"
    WITHDRAWN = "withdrawn"
    """Whoever said it took it back before it was decided."""


MOVES: dict[State, frozenset[State]] = {
    State.ASKED: frozenset({State.QUEUED, State.REPORTING}),
    State.QUEUED: frozenset({State.RUNNING, State.REPORTING}),
    State.RUNNING: frozenset({State.QUEUED, State.REPORTING}),
    State.REPORTING: frozenset({State.DONE}),
    State.DONE: frozenset(),
}
"""Every move there is; `models.ledger.move` refuses any other."""

OPEN = (State.ASKED, State.QUEUED, State.RUNNING)
"""States in which a job can still be cancelled."""

ENDED = (State.REPORTING, State.DONE)
"""States in which the outcome is known."""


class NoSuchMove(Exception):
    """A move that the table of moves does not hold: a bug in the caller."""


def check(source: State, target: State) -> None:
    """Raise `NoSuchMove` unless a job may go from `source` to `target`."""
    if target not in MOVES[source]:
        raise NoSuchMove(f"a job cannot go from {source} to {target}")
