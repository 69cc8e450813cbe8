"""The agents' lane: a job that is followed is never taken for a lost one, whenever the sweep looks."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from peewee import SqliteDatabase

from jobs.lane import AgentsLane
from jobs.queue import Bells
from jobs.redact import Redactor
from jobs.runner import Runner
from jobs.servers import Forges
from jobs.wiring import Wiring
from models import ledger
from models.ledger import Claimed
from models.moves import Outcome
from models.settings import load
from tests.unit.storing import new_store, queue

LIMIT = 30.0
SWEEP_SECONDS = 0.5
"""A sweep is over by then, unless it has to wait for something."""


class Followed(Runner):
    """Runs nothing; knows who was followed, and how."""

    def __init__(self, db: SqliteDatabase) -> None:
        self.leaving = threading.Event()
        self.ran: list[Claimed] = []
        self.resumed: list[Claimed] = []
        self.may_end = threading.Event()
        self.first: Callable[[Claimed], None] = self._until_it_may_end
        self._db = db

    def run(self, claimed: Claimed) -> None:
        self.ran.append(claimed)
        (self.first if len(self.ran) == 1 else self._until_it_may_end)(claimed)

    def resume(self, claimed: Claimed, *, spared: str = "") -> None:  # noqa: ARG002
        self.resumed.append(claimed)

    def _until_it_may_end(self, claimed: Claimed) -> None:
        assert self.may_end.wait(LIMIT)
        ledger.settle(self._db, claimed, Outcome.COMPLETED, now=20.0, reason="")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = new_store(tmp_path, durable=False)
    yield database
    database.close()


@pytest.fixture
def runner(db: SqliteDatabase) -> Followed:
    return Followed(db)


@pytest.fixture
def lane(tmp_path: Path, db: SqliteDatabase, runner: Followed) -> Iterator[AgentsLane]:
    settings, bells = load({"KUGETSU_HOME": str(tmp_path)}), Bells(tmp_path / "queue.db")
    wiring = Wiring(settings, db, bells, Forges(settings.servers, db), Redactor([]), "one", lambda: 10.0)
    made = AgentsLane(wiring, runner)
    yield made
    runner.may_end.set()
    for thread in followers():
        thread.join(LIMIT)
    bells.close()


def without_an_end(_claimed: Claimed) -> None:
    return


def followers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("job-")]


def test_a_sweep_that_falls_between_the_claim_and_its_follower_takes_nothing_for_lost(
    lane: AgentsLane, runner: Followed, db: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(db)
    claim_next, sweep = ledger.claim_next, threading.Thread(target=lane.recover)

    def claim_and_be_swept(*args: Any, **more: Any) -> Claimed | None:
        claimed = claim_next(*args, **more)
        if claimed is not None:
            sweep.start()
            sweep.join(SWEEP_SECONDS)
        return claimed

    monkeypatch.setattr(ledger, "claim_next", claim_and_be_swept)
    lane.look()
    sweep.join(LIMIT)
    assert (len(runner.ran), runner.resumed) == (1, [])


def test_a_job_that_is_claimed_again_at_once_is_not_taken_for_lost_when_its_first_follower_ends(
    lane: AgentsLane, runner: Followed, db: SqliteDatabase
) -> None:
    followed_by = Queue[threading.Thread]()

    def put_back_and_claimed_again(claimed: Claimed) -> None:
        ledger.requeue(db, claimed, now=10.0, reason="again")
        lane.look()
        followed_by.put(threading.current_thread())

    runner.first = put_back_and_claimed_again
    queue(db)
    lane.look()
    followed_by.get(timeout=LIMIT).join(LIMIT)
    lane.recover()
    assert (len(runner.ran), runner.resumed) == (2, [])


def test_what_nobody_follows_any_more_is_taken_up(lane: AgentsLane, runner: Followed, db: SqliteDatabase) -> None:
    runner.first = without_an_end
    queue(db)
    lane.look()
    for thread in followers():
        thread.join(LIMIT)
    lane.recover()
    for thread in followers():
        thread.join(LIMIT)
    assert [claimed.epoch for claimed in runner.resumed] == [runner.ran[0].epoch + 1]


def test_a_job_for_which_no_thread_can_be_had_is_taken_up_later(
    lane: AgentsLane, runner: Followed, db: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, failed = threading.Thread.start, list[str]()

    def start_the_second(thread: threading.Thread) -> None:
        if thread.name.startswith("job-") and not failed:
            failed.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_the_second)
    queue(db)
    with pytest.raises(RuntimeError):
        lane.look()
    lane.recover()
    for thread in followers():
        thread.join(LIMIT)
    assert len(runner.resumed) == 1
