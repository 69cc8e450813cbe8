"""Bar charts as SVG within a page: geometry here, elements in `templates/_chart.html`, colours in the style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 12, 28
_LINES = 4
_GAP = 0.25
"""Of a bar's own width, between it and the next."""
_MOST_NAMES = 8
_LEAST = 1e-9
"""What is less is as good as nothing: no scale is made for it."""
_WIDEST = 96.0
"""Of a bar with its gap: few bars stand on the left instead of filling all."""


class Kind(NamedTuple):
    """What a part of each bar stands for; `look` is its class in the style sheet."""

    name: str
    look: str


class Bar(NamedTuple):
    """One bar: its name and the value of each kind, from the bottom up."""

    name: str
    values: tuple[float, ...]


class Rect(NamedTuple):
    """A part of a bar as it is drawn; `says` is what it shows when pointed at."""

    x: float
    y: float
    width: float
    height: float
    look: str
    says: str


class Mark(NamedTuple):
    """A text beside an axis, and where."""

    at: float
    text: str


class Chart(NamedTuple):
    """A chart: what it is called, what it says in one sentence, what is drawn, and the same as a table."""

    name: str
    title: str
    says: str
    kinds: tuple[Kind, ...]
    bars: tuple[Bar, ...]
    rects: tuple[Rect, ...]
    names: tuple[Mark, ...]
    lines: tuple[Mark, ...]
    limit: float | None
    written: Callable[[float], str]
    empty: str


def draw(
    name: str,
    title: str,
    says: str,
    kinds: Sequence[Kind],
    bars: Sequence[Bar],
    *,
    written: Callable[[float], str],
    empty: str,
    limit: float | None = None,
    least: float = 0.0,
) -> Chart:
    """Lay a chart out. `written` writes a value; `limit` is a value to be drawn as a line; `empty` is said instead of
    a chart without a single value. The scale reaches at least to `least`: 4 for what has no halves.
    """
    highest = max((sum(bar.values) for bar in bars), default=0.0)
    scale = _round_up(max(highest, limit or 0.0, least))
    inner = HEIGHT - TOP - BOTTOM

    def height(value: float) -> float:
        return round(inner * value / scale, 2)

    wide = min(_WIDEST, (WIDTH - LEFT - RIGHT) / max(1, len(bars)))
    rects: list[Rect] = []
    for number, bar in enumerate(bars):
        y = float(HEIGHT - BOTTOM)
        for kind, value in zip(kinds, bar.values, strict=True):
            if value > 0:
                y = round(y - height(value), 2)
                said = f"{bar.name}: {written(value)} {kind.name}".rstrip()
                x = round(LEFT + number * wide, 2)
                rects.append(Rect(x, y, round(wide * (1 - _GAP), 2), height(value), kind.look, said))
    every = max(1, math.ceil(len(bars) / _MOST_NAMES))
    middle = wide * (1 - _GAP) / 2
    names = (Mark(round(LEFT + at * wide + middle, 2), bars[at].name) for at in range(0, len(bars), every))
    lines = (scale * step / _LINES for step in range(_LINES + 1))
    return Chart(
        name,
        title,
        says,
        tuple(kinds),
        tuple(bars),
        tuple(rects),
        tuple(names),
        tuple(Mark(round(HEIGHT - BOTTOM - height(value), 2), written(value)) for value in lines),
        None if limit is None else round(HEIGHT - BOTTOM - height(limit), 2),
        written,
        "" if highest else empty,
    )


def _round_up(value: float) -> float:
    """The next 4, 8, 20 or 40 times a power of ten: an even quarter of it stands at each line."""
    if value < _LEAST:
        return float(_LINES)
    power = 10.0 ** math.floor(math.log10(value / _LINES))
    return next(power * factor for factor in (4, 8, 20, 40) if value <= power * factor * (1 + 1e-9))
