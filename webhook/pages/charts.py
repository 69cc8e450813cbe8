"""What people would rather look at than read: jobs by day, how long they waited and ran, slots in use, cost.

Days, hours and the month are those of UTC, as everywhere on the pages without a script.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from peewee import fn
from starlette.requests import Request
from starlette.responses import Response

from models import limits, spending, tally
from models.moves import Outcome, State
from models.tables import Job, Move, Repo
from models.tally import RAN, WAITED, Spread
from webhook.door import Door, Visit
from webhook.pages.drawing import Bar, Chart, Kind, draw
from webhook.pages.words import lasting, money

DAYS = 14
QUARTERS = 96
"""Quarters of an hour of the chart of slots: a day."""
MOST_REPOS = 12
LEAST = 4.0
"""Jobs, or agents, to which the scale reaches at least."""

LOOKS = {"completed": "good", "failed": "bad", "cancelled": "off", "expired": "waits", "refused": "busy"}
"""Five looks for five outcomes: in a chart no word stands beside each."""
_DAY, _QUARTER = 86400.0, 900.0
_AT_FIRST = "Nothing to draw yet: this fills with the first jobs."


class Charts:
    """GET /admin/charts."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def page(self, request: Request) -> Response:
        """GET /admin/charts."""
        return await self._door.get(_page)(request)


def _page(visit: Visit) -> Response:
    charts = [_by_day(visit), _costs(visit)]
    if visit.viewer.sees_all:
        figures = tally.read(visit.database)
        times = (
            _times(WAITED, figures, "waited", "How long jobs waited", "From the queue to the agent's start."),
            _times(RAN, figures, "ran", "How long agents ran", "From the agent's start to its end."),
        )
        charts = [charts[0], _slots(visit), *times, charts[1]]
    return visit.page("charts.html", charts=charts)


def _by_day(visit: Visit) -> Chart:
    today = visit.now // _DAY * _DAY
    days = [today - _DAY * back for back in range(DAYS - 1, -1, -1)]
    bars = [Bar(_date(day), _outcomes(visit, day)) for day in days]
    kinds = [Kind(str(outcome), LOOKS[str(outcome)]) for outcome in Outcome]
    says = f"The last {DAYS} days, as far as jobs are still kept."
    return draw("by-day", "Jobs by day", says, kinds, bars, written=_whole, least=LEAST, empty=_AT_FIRST)


def _outcomes(visit: Visit, day: float) -> tuple[float, ...]:
    that_day = (Job.finished_at >= day) & (Job.finished_at < day + _DAY)
    query = visit.sight.jobs(Job.select(Job.outcome, fn.COUNT(Job.id)).where(that_day)).group_by(Job.outcome)
    counts = {str(outcome): float(count) for outcome, count in query.tuples().execute(visit.database)}
    return tuple(counts.get(str(outcome), 0.0) for outcome in Outcome)


def _costs(visit: Visit) -> Chart:
    spent = spending.since(visit.database, spending.month_begin(visit.now))
    names = _names(list(Repo.select(Repo.id, Repo.server, Repo.name).execute(visit.database)))
    seen = [(cost, names[repo]) for repo, (_, cost) in spent.items() if cost > 0 and visit.sight.sees(repo)]
    bars = [Bar(name, (cost,)) for cost, name in sorted(seen, reverse=True)[:MOST_REPOS]]
    says = f"What agents cost this month, the {MOST_REPOS} dearest repositories."
    empty = "Nothing has cost anything this month, as far as the agents say."
    return draw("costs", "Cost by repository", says, [Kind("", "busy")], bars, written=money, empty=empty)


def _names(repos: Sequence[Repo]) -> dict[int, str]:
    """What each repository is called: by its server, too, where there are several."""
    several = len({row.server for row in repos}) > 1
    return {row.id: f"{row.server} {row.name}" if several else row.name for row in repos}


def _times(spread: Spread, figures: tally.Figures, name: str, title: str, says: str) -> Chart:
    counts: dict[str, float] = {}
    for labels, count in figures.get(f"{spread.name}_bucket", {}).items():
        bound = dict(labels)["le"]
        counts[bound] = counts.get(bound, 0.0) + count
    bars = [Bar(f"≤ {lasting(bound)}", (counts.get(f"{bound:g}", 0.0),)) for bound in spread.bounds]
    bars.append(Bar("longer", (counts.get("+Inf", 0.0),)))
    return draw(name, title, says, [Kind("jobs", "busy")], bars, written=_whole, least=LEAST, empty=_AT_FIRST)


def _slots(visit: Visit) -> Chart:
    end = visit.now // _QUARTER * _QUARTER + _QUARTER
    begin = end - QUARTERS * _QUARTER
    intake = limits.of(visit.database)
    most = most_at_once(_starts_and_ends(visit, begin), _running(visit), begin, QUARTERS, _QUARTER)
    bars = [Bar(_hour(begin + number * _QUARTER), (float(count),)) for number, count in enumerate(most)]
    says = (
        f"The most agents at once in each quarter of an hour of the last day; the line is the limit, {intake.capacity}."
    )
    kinds, limit = [Kind("at once", "busy")], float(intake.capacity)
    return draw(
        "slots",
        "Slots in use",
        says,
        kinds,
        bars,
        written=_whole,
        least=LEAST,
        limit=limit,
        empty="No agent has run in the last day.",
    )


def _running(visit: Visit) -> int:
    return int(Job.select().where(Job.state == State.RUNNING).count(visit.database))


def _starts_and_ends(visit: Visit, begin: float) -> list[tuple[float, int]]:
    """When since `begin` a run began (1) or ended (-1), in order."""
    rows = Move.select(Move.at, Move.source, Move.target).where(Move.at >= begin).order_by(Move.at, Move.id)
    found = rows.tuples().execute(visit.database)
    steps = ((at, (target == State.RUNNING) - (source == State.RUNNING)) for at, source, target in found)
    return [(at, step) for at, step in steps if step]


def most_at_once(steps: Sequence[tuple[float, int]], now: int, begin: float, spans: int, span: float) -> list[int]:
    """The highest count in each of `spans` spans of `span` seconds from `begin` on. `now` is the count at the end,
    `steps` when it changed since `begin` and by how much, in order.
    """
    count = now - sum(step for _, step in steps)
    ends = [begin + span * number for number in range(spans + 1)]
    waiting = _Steps(steps)
    most = []
    for _, end in pairwise(ends):
        highest = count
        for step in waiting.before(end):
            count += step
            highest = max(highest, count)
        most.append(max(0, highest))
    return most


class _Steps:
    """Steps taken one after the other."""

    def __init__(self, steps: Iterable[tuple[float, int]]) -> None:
        self._left = list(steps)[::-1]

    def before(self, end: float) -> Iterator[int]:
        while self._left and self._left[-1][0] < end:
            yield self._left.pop()[1]


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b")


def _hour(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M")


def _whole(value: float) -> str:
    return f"{value:g}"
