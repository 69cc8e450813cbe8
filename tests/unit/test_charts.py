"""The charts: that they show what is there, and only to whom it belongs."""

import re
from html import unescape
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from models import ledger, limits, spending
from models.moves import Outcome, State
from models.tables import Job, Repo
from tests.unit.test_tally import asked
from tests.unit.website import Website, running, settings_for
from webhook.door import Visit
from webhook.pages.charts import _page, most_at_once
from webhook.pages.drawing import HEIGHT, WIDTH, Bar, Kind, draw
from webhook.pages.frame import Frame
from webhook.viewing import Viewer

NOON = 1_700_049_600.0
"""A day's noon, UTC."""


def work(site: Website) -> None:
    """A job that waited 3 seconds, ran 40, two hours before noon, and cost a quarter; and one that runs still."""
    with site.database.connection_context():
        db = site.database
        job = asked(db, 1)
        began = NOON - 7200
        Job.update(queued_at=began - 3).where(Job.id == job).execute(db)
        claimed = ledger.claim_next(db, "w", now=began, lease=60)
        assert claimed is not None
        ledger.settle(db, claimed, Outcome.COMPLETED, now=began + 40, reason="done")
        ledger.move(db, job, State.REPORTING, State.DONE, at=began + 41, reason="told")
        spending.note(db, job, spending.Spent(1000, 50, 0.25), now=began)
        asked(db, 2)
        assert ledger.claim_next(db, "w", now=NOON - 1800, lease=60) is not None


def table(text: str, name: str) -> dict[str, list[str]]:
    """The rows of a chart's table that have a value other than nothing."""
    figure = text.split(f'<figure id="{name}"', 1)[1].split("</figure>", 1)[0]
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', figure)
    found = {unescape(row): re.findall(r"<td>(.*?)</td>", cells) for row, cells in rows}
    return {row: cells for row, cells in found.items() if set(cells) - {"0", "$0.00"}}


def test_each_chart_shows_what_is_there(tmp_path: Path) -> None:
    with running(settings_for(tmp_path), clock=lambda: NOON) as site:
        work(site)
        text = site.client.get("/admin/charts", headers={"Accept": "text/html"}).text
    assert table(text, "by-day") == {"15 Nov": ["1", "0", "0", "0", "0"]}
    assert table(text, "waited")["≤ 5.0 s"] == ["1"]
    assert table(text, "ran") == {"≤ 1 min": ["1"]}
    assert table(text, "costs") == {"acme/widgets": ["$0.2500"]}
    slots = table(text, "slots")
    assert slots.pop("10:00") == ["1"]
    assert list(slots) == ["11:30", "11:45", "12:00"]
    assert len(text.encode()) < 100 * 1024


def test_charts_without_anything_say_so(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        text = site.client.get("/admin/charts", headers={"Accept": "text/html"}).text
    assert text.count("Nothing to draw yet") == 3
    assert "<rect" not in text.split("</header>", 1)[1]


@pytest.mark.parametrize(("repos", "rows"), [({"acme/widgets"}, 1), ({"acme/gadgets"}, 0), (set(), 0)])
def test_others_see_only_what_is_theirs(tmp_path: Path, repos: set[str], rows: int) -> None:
    with running(settings_for(tmp_path), clock=lambda: NOON) as site:
        work(site)
        with site.database.connection_context():
            assert Repo.select().count(site.database) == 1
            request = Request({"type": "http", "method": "GET", "path": "/admin/charts", "headers": []})
            viewer = Viewer("bob", sees_all=False, repos=frozenset(repos))
            text = bytes(_page(Visit(request, viewer, site.database, NOON, Frame())).body).decode()
    for name in ("by-day", "costs"):
        assert len(table(text, name)) == rows
    assert 'id="slots"' not in text
    assert 'id="waited"' not in text


def test_the_limit_is_drawn(tmp_path: Path) -> None:
    with running(settings_for(tmp_path), clock=lambda: NOON) as site:
        work(site)
        with site.database.connection_context():
            limits.set_capacity(site.database, 5)
        text = site.client.get("/admin/charts", headers={"Accept": "text/html"}).text
    assert "the line is the limit, 5." in text
    assert text.count('class="limit"') == 1


@given(st.lists(st.tuples(*[st.floats(0, 1e6)] * 3), min_size=1, max_size=40))
@example([(5e-324, 0.0, 0.0)])
@example([(1.7e-308, 0.0, 0.0)])
def test_every_bar_is_within_the_drawing(values: list[tuple[float, ...]]) -> None:
    bars = [Bar(str(number), value) for number, value in enumerate(values)]
    kinds = [Kind(name, name) for name in ("a", "b", "c")]
    chart = draw("x", "X", "", kinds, bars, written=str, empty="none")
    for rect in chart.rects:
        assert 0 <= rect.x <= rect.x + rect.width <= WIDTH
        assert -0.1 <= rect.y <= rect.y + rect.height <= HEIGHT
    assert bool(chart.empty) == (not any(map(any, values)))


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 30)), max_size=20))
def test_the_most_at_once_is_what_a_plain_count_says(runs: list[tuple[int, int]]) -> None:
    """Runs with a beginning and an end, also before and after what is looked at: 20 to 80, in spans of 10."""
    began = [(float(begin), 1) for begin, _ in runs if 20 <= begin < 80]
    ended = [(begin + length - 0.5, -1) for begin, length in runs if 20 <= begin + length - 0.5 < 80]
    still = sum(begin < 80 <= begin + length - 0.5 for begin, length in runs)
    found = most_at_once(sorted(began + ended), still, 20.0, 6, 10.0)
    moments = [20 + tick / 2 for tick in range(120)]
    counts = [sum(begin <= moment < begin + length - 0.5 for begin, length in runs) for moment in moments]
    before = [sum(begin < 20 + 10 * span <= begin + length - 0.5 for begin, length in runs) for span in range(6)]
    assert found == [max([before[span], *counts[span * 20 : span * 20 + 20]]) for span in range(6)]
