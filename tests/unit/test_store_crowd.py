"""Many at once, as threads and as processes: the limit holds, no job is given twice, no ask is stored twice."""

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from peewee import Database, SqliteDatabase

from models import ledger, opening, store, threads
from models.ledger import Claimed
from models.moves import Outcome, State
from models.store import Incoming
from models.tables import Ask, Job, Move
from tests.unit.storing import APP, LIB, admit, all_jobs, comment, delivery, new_ask, new_store, queue, replayed

LIMIT = 90.0
"""Seconds after which a crowd is taken to be stuck."""
CAPACITY = 3
COMMENTS = 12


@contextmanager
def opened(home: str | Path) -> Iterator[SqliteDatabase]:
    """The database of a folder, for this thread."""
    database = opening.open_database(Path(home) / "kugetsu.db", busy_timeout=LIMIT)
    with database.connection_context():
        yield database


def most_at_once(db: Database) -> tuple[int, int]:
    """How many jobs ran at once, at most, by the log: over all, and on one issue. Moves are written one at a time."""
    issue_of = dict(Job.select(Job.id, Job.thread).tuples().execute(db))
    running: Counter[int] = Counter()
    most = (0, 0)
    for row in Move.select().order_by(Move.id).execute(db):
        running[issue_of[row.job_id]] += (row.target == State.RUNNING) - (row.source == State.RUNNING)
        most = (max(most[0], running.total()), max(most[1], *running.values()))
    return most


def work(home: str | Path, worker: str, jobs: int) -> list[int]:
    """Claim and settle until `jobs` jobs have ended; the ids of those that this worker was given."""
    mine: list[int] = []
    deadline = time.monotonic() + LIMIT
    with opened(home) as db:
        while Job.select().where(Job.state == State.REPORTING).count(db) < jobs:
            assert time.monotonic() < deadline, f"{worker} had {mine} of {store.count_by(db, Job.state)}"
            claimed = ledger.claim_next(db, worker, now=10.0, lease=30.0)
            if claimed is not None:
                mine.append(claimed.job_id)
                assert Job.select().where(Job.state == State.RUNNING).count(db) <= CAPACITY
                assert ledger.settle(db, claimed, Outcome.COMPLETED, now=20.0, reason="done")
    return mine


def hear_and_admit(home: str | Path, server: int) -> list[str]:
    """Store the same comments as others do, in an order of one's own, and admit what is new; the verdicts."""
    verdicts: list[str] = []
    with opened(home) as db:
        for number in range(COMMENTS):
            said = (number + server * 5) % COMMENTS
            asks = comment(new_ask("code", said, fresh=True), repo=(APP, LIB)[said % 2], issue=said % 5)
            accepted = store.accept_many(db, [Incoming(delivery(), asks)])[0]
            verdicts.append(accepted.verdict)
            if accepted.verdict == "accepted":
                admit(db, Ask.select().where(Ask.comment_id == said).get(db))
    return verdicts


def test_of_many_who_claim_at_once_as_many_get_a_job_as_may_run(tmp_path: Path) -> None:
    new_store(tmp_path, capacity=CAPACITY).close()
    with opened(tmp_path) as db:
        for issue in range(8):
            queue(db, issue=issue)
    together = threading.Barrier(10, timeout=LIMIT)

    def claim(number: int) -> Claimed | None:
        with opened(tmp_path) as mine:
            together.wait()
            return ledger.claim_next(mine, f"worker-{number}", now=10.0, lease=30.0)

    with ThreadPoolExecutor(10) as pool:
        given = [claimed.job_id for claimed in pool.map(claim, range(10)) if claimed is not None]
    assert sorted(given) == [1, 2, 3]


def test_threads_share_the_work_and_do_each_job_once(tmp_path: Path) -> None:
    new_store(tmp_path, capacity=CAPACITY).close()
    with opened(tmp_path) as db:
        for number in range(24):
            queue(db, issue=number % 6, repo=(APP, LIB)[number % 2], fresh=True)
        with ThreadPoolExecutor(6) as pool:
            given = list(pool.map(lambda number: work(tmp_path, f"worker-{number}", 24), range(6)))
        assert sorted(chain.from_iterable(given)) == list(range(1, 25))
        overall, on_one_issue = most_at_once(db)
        assert overall <= CAPACITY
        assert on_one_issue == 1
        assert all(replayed(db, job.id) == (job.state, job.outcome) for job in all_jobs(db))


def test_one_of_many_adopts_a_job(tmp_path: Path) -> None:
    new_store(tmp_path).close()
    with opened(tmp_path) as db:
        queue(db)
        ledger.claim_next(db, "gone", now=10.0, lease=1.0)
    together = threading.Barrier(6, timeout=LIMIT)

    def adopt(number: int) -> Claimed | None:
        with opened(tmp_path) as mine:
            together.wait()
            return ledger.adopt(mine, 1, 1, f"worker-{number}", now=50.0, lease=30.0)

    with ThreadPoolExecutor(6) as pool:
        assert [claimed for claimed in pool.map(adopt, range(6)) if claimed] == [Claimed(1, 2)]


def test_one_desk_worker_at_a_time_holds_an_issue(tmp_path: Path) -> None:
    new_store(tmp_path).close()
    with opened(tmp_path) as db:
        for issue in range(4):
            queue(db, issue=issue)
    together = threading.Barrier(8, timeout=LIMIT)

    def take(number: int) -> int | None:
        with opened(tmp_path) as mine:
            together.wait()
            thread = threads.take_thread(mine, f"worker-{number}", now=10.0, lease=60.0)
            return thread.issue if thread else None

    with ThreadPoolExecutor(8) as pool:
        assert sorted(issue for issue in pool.map(take, range(8)) if issue is not None) == [0, 1, 2, 3]


def test_processes_hear_decide_and_work_side_by_side(tmp_path: Path) -> None:
    new_store(tmp_path, capacity=CAPACITY).close()
    with multiprocessing.get_context("spawn").Pool(5) as pool:
        hearing = [pool.apply_async(hear_and_admit, (str(tmp_path), server)) for server in range(3)]
        working = [pool.apply_async(work, (str(tmp_path), f"worker-{number}", COMMENTS)) for number in range(2)]
        verdicts = Counter(chain.from_iterable(one.get(LIMIT) for one in hearing))
        given = sorted(chain.from_iterable(one.get(LIMIT) for one in working))
    assert verdicts == {"accepted": COMMENTS, "duplicate": 2 * COMMENTS}
    assert given == list(range(1, COMMENTS + 1))
    with opened(tmp_path) as db:
        assert Ask.select().count(db) == COMMENTS
        overall, on_one_issue = most_at_once(db)
        assert overall <= CAPACITY
        assert on_one_issue == 1
        assert all(replayed(db, job.id) == ("reporting", "completed") for job in all_jobs(db))
