"""The commands that show at length what happens in trouble, here for a few seconds each."""

import json
from pathlib import Path

import pytest

from tests.crash.missed import missed
from tests.crash.outage import RUNNING, WAITING, outage
from tests.crash.showing import show
from tests.crash.torture import torture

WELL = {"lost": 0, "doubled": 0, "strays": 0}


def test_after_an_outage_all_is_told_once_and_nothing_counts_as_an_attempt(tmp_path: Path) -> None:
    counts = outage(3.0, tmp_path)
    assert counts.pop("seconds") > 0
    jobs = RUNNING + WAITING + 1
    assert counts == {"jobs": jobs, "told": jobs, "attempts": 0, "outage": 3.0, **WELL}


def test_what_no_webhook_told_of_runs_once_and_what_is_sent_later_adds_nothing(tmp_path: Path) -> None:
    counts = missed(4, 2.0, tmp_path)
    assert counts.pop("resent") > 4
    assert counts["slowest"] > 0
    assert {kind: counts[kind] for kind in ("asks", "runs", *WELL)} == {"asks": 4, "runs": 4, **WELL}


def test_after_kills_of_everything_all_is_there_once(tmp_path: Path) -> None:
    counts = torture(4.0, 7, tmp_path)
    assert counts["kills"] > 0
    assert counts["jobs"] > 0
    assert {kind: counts[kind] for kind in WELL} == WELL


@pytest.mark.parametrize(("found", "code"), [(WELL, 0), ({**WELL, "doubled": 1}, 1)])
def test_the_last_line_counts_and_the_exit_code_says_whether_all_is_well(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    found: dict[str, float],
    code: int,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert show("trial", lambda folder: {**found, "there": folder.is_dir()}) == code
    *_, last = capsys.readouterr().out.splitlines()
    assert json.loads(last) == {**found, "there": True}
    assert len(list(tmp_path.iterdir())) == code
