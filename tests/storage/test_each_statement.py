"""Wherever in the course of a job the database cannot be written for a while, the job is done once and told once."""

import threading
from pathlib import Path
from typing import Any

import pytest
from peewee import OperationalError

from models import opening
from tests.fakes.gitea import FakeGitea
from tests.storage.conftest import MakeWorld

LENGTH, MOST = 30, 210
"""Statements that fail in a row, and a bound of those that write in the course of a job."""


class Trouble:
    """Makes statements number `first` to `first + LENGTH - 1` fail, once `begun`, whoever runs them."""

    def __init__(self, first: int, words: str) -> None:
        self.begun, self._words, self._count = False, words, 0
        self._failing = range(first, first + LENGTH)
        self._lock = threading.Lock()

    def meet(self) -> None:
        with self._lock:
            self._count += self.begun
            if self._count in self._failing and self.begun:
                raise OperationalError(self._words)


@pytest.mark.parametrize("first", range(1, MOST, LENGTH))
def test_wherever_the_database_cannot_be_written_for_a_while_a_job_is_done_once(
    tmp_path: Path, make_world: MakeWorld, fake: FakeGitea, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    for name in ("jobs.patience.AGAIN_SECONDS", "jobs.lane.AGAIN_SECONDS", "jobs.settling.FIRST_PAUSE_SECONDS"):
        monkeypatch.setattr(name, 0.1)
    monkeypatch.setattr("jobs.desk.LONGEST_PAUSE_SECONDS", 0.5)
    trouble = Trouble(first, ("database is locked", "database or disk is full")[first // LENGTH % 2])
    begin, execute = opening._Kept.begin, opening._Kept.execute_sql

    def troubled_begin(database: Any, lock_type: str | None = None) -> None:
        trouble.meet()
        begin(database, lock_type)

    def troubled_execute(database: Any, sql: str, params: Any = None) -> Any:
        if not sql.startswith(("SELECT", "PRAGMA")):
            trouble.meet()
        return execute(database, sql, params)

    world = make_world(tmp_path / "world")
    issue = world.issue("Crash on empty input", "stub: write app.py fixed")
    world.wait_quiet()
    monkeypatch.setattr(opening._Kept, "begin", troubled_begin)
    monkeypatch.setattr(opening._Kept, "execute_sql", troubled_execute)
    trouble.begun = True
    world.label(issue, "kugetsu/code")
    fake.settle()
    while fake.deliveries[-1].status == 503:
        fake.redeliver(fake.deliveries[-1])
        fake.settle()
    world.wait_for_result(issue)
    trouble.begun = False
    assert [(job.outcome, job.attempt, job.crashes) for job in world.jobs()] == [("completed", 0, 0)]
    assert len(world.agent_runs()) == 1
    assert len(fake.pulls_of(world.repo)) == len(world.said(issue, "live")) == len(world.said(issue, "result")) == 1
    assert world.labels(issue) == ["kugetsu/done"]
