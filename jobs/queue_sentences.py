"""What a comment says of a job's place in the queue: pure."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.budget_sentences import waits
from models.estimate import Outlook

MINUTE, HOUR = 60, 3600
STEPS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45)
"""Minutes that are named. Coarse, so that a comment is not edited for every minute that goes by."""
SOON = 30
"""Seconds from which on nobody counts."""
MOST_REASON = 200
"""Characters of a reason."""


def place(outlook: Outlook, reason: str = "") -> str:
    """What follows the word that a job is queued. `reason` is that of a pause, fit to be shown."""
    parts = [f"position {outlook.position}"]
    if outlook.paused is not None:
        said = " ".join(reason.split())[:MOST_REASON].rstrip(".")
        parts.append(f"paused: {said}" if said else "paused")
    elif outlook.budget is not None:
        parts.append(waits(outlook.budget, outlook.month_over))
    elif outlook.eta_seconds is not None:
        parts.append(spoken(outlook.eta_seconds))
    if outlook.put_off_until is not None:
        at = datetime.fromtimestamp(outlook.put_off_until, UTC)
        parts.append(f"not before {at:%H:%M:%S} UTC")
    full = " As many agents work in this repository as may." if outlook.repo_full and outlook.paused is None else ""
    return f", {', '.join(parts)}.{full}"


def spoken(seconds: int) -> str:
    """When it starts, as people say it, rounded up to the next step."""
    if seconds < SOON:
        return "in a moment"
    step = next((step for step in STEPS if seconds <= step * MINUTE), None)
    return f"in about {step} min" if step is not None else f"in about {-(-seconds // HOUR)} h"
