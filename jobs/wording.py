"""Small turns of speech that all our sentences share."""

from __future__ import annotations

import re
from datetime import UTC, datetime

MINUTE, HOUR = 60, 3600
MOST_SHOWN = 80


def marker(job_id: int, part: str) -> str:
    """The hidden mark by which our own text is found again; `job_id` is 0 where no job is behind it."""
    return f"<!-- kugetsu job={job_id} part={part} -->"


def clock(at: float | None) -> str:
    """A time of day for everybody."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M} UTC" if at else ""


def spoken(seconds: float) -> str:
    """A length of time as people say it."""
    whole = max(0, round(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def command(text: str) -> str:
    """A shell command as code within a sentence: its first line, and not too much of that."""
    first, _, more = text.partition("\n")
    shown = first.replace("`", "'")[:MOST_SHOWN]
    return f"`{shown}`" + (" …" if more or len(first) > MOST_SHOWN else "")


def fenced(text: str) -> str:
    """What a program printed, as a block of code that no text can end."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
