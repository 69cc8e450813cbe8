"""How numbers, times and states read on a page. Pure; these are the templates' filters."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_KILO = 1024
_ADDRESS = re.compile(r"(https?://[^\s<>\"']*[^\s<>\"'.,:;)])")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")

MARKS = {
    "asked": "waits",
    "queued": "waits",
    "running": "busy",
    "reporting": "busy",
    "completed": "good",
    "failed": "bad",
    "cancelled": "off",
    "expired": "bad",
    "refused": "off",
    "accepted": "good",
    "duplicate": "off",
    "ignored": "off",
    "fine": "good",
    "well": "good",
    "wrong": "bad",
    "warning": "waits",
    "missing": "bad",
    "wrong address": "bad",
    "wrong events": "bad",
    "wrong secret": "bad",
    "inactive": "bad",
    "sent": "good",
    "waiting": "waits",
    "failing": "bad",
    "given up": "bad",
    "unused": "off",
}
"""The look of each state, outcome and verdict; the word itself always stands beside the colour."""


def moment(seconds: float | None) -> Markup:
    """A point in time, in UTC; a script shows it in the reader's own time zone. "never" for None and 0."""
    if not seconds:
        return Markup("never")
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="seconds").replace("+00:00", "Z"), at.strftime("%Y-%m-%d %H:%M UTC")
    )


def since(seconds: float | None, now: float) -> Markup:
    """How long ago something began, counted on by a script."""
    if not seconds:
        return Markup("")
    at = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}" data-counts>{}</time>').format(at, lasting(max(0.0, now - seconds)))


def lasting(seconds: float | None) -> str:
    """A length of time: `0.4 s`, `38 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`; "" for None."""
    if seconds is None:
        return ""
    if seconds < 10:  # noqa: PLR2004 - below that, tenths tell something
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, below, name, lower in ((_DAY, _HOUR, "d", "h"), (_HOUR, _MINUTE, "h", "min"), (_MINUTE, 1, "min", "s")):
        if whole >= unit:
            rest = whole % unit // below
            return f"{whole // unit} {name}" + (f" {rest} {lower}" if rest else "")
    return f"{whole} s"


def amount(number: float | None) -> str:
    """A whole number with its thousands set apart by narrow spaces."""
    return f"{round(number or 0):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def money(cost: float | None) -> str:
    """What the agent reckons something has cost, in dollars."""
    value = cost or 0.0
    return f"${value:,.2f}" if value >= 1 or value == 0 else f"${value:.4f}"


def size(number: float) -> str:
    """Bytes, to three digits."""
    value = float(number)
    for unit in _UNITS[:-1]:
        if value < _KILO:
            return f"{value:.3g} {unit}"
        value /= _KILO
    return f"{value:.3g} {_UNITS[-1]}"


def linked(text: str) -> Markup:
    """A text in which addresses are links."""
    parts = _ADDRESS.split(text)
    link = Markup('<a href="{0}">{0}</a>')
    return Markup("").join(link.format(part) if at % 2 else escape(part) for at, part in enumerate(parts))


def badge(name: str) -> Markup:
    """A state, outcome or verdict as a mark with its word."""
    return Markup('<span class="badge {}">{}</span>').format(MARKS.get(name, "off"), escape(name))
