"""What a server says of time: its own clock, and how long it wants to be left alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

MOST_SECONDS = 600.0
"""However long a server asks to be left alone, it is asked again after this."""


def wait_asked_for(headers: Mapping[str, str]) -> float:
    """Seconds in which the server wants no more requests (`Retry-After`, RFC 9110, 10.2.3: a number or a date)."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), MOST_SECONDS)
    until = moment_of(text)
    now = moment_of(headers.get("Date", "")) or time.time()
    return min(max(until - now, 0.0), MOST_SECONDS) if until else 0.0


def moment_of(text: str) -> float | None:
    """Seconds since the epoch of a date as HTTP writes it; None where it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
