"""What people say and the desk decides, as short words for tests of the store. Times are plain numbers."""

from itertools import count
from pathlib import Path
from typing import Any

from peewee import Database, SqliteDatabase

from models import ledger, opening, store, threads
from models.events import Person
from models.intake import Asks, Decision, Look, NewAsk
from models.ledger import Claimed
from models.moves import MOVES, Outcome, State
from models.store import Accepted, Incoming, NewDelivery
from models.tables import Ask, Intake, Job, Move, Repo, Thread

ANN, BOB = Person(1, "ann"), Person(2, "bob")
SERVER = "gitea"
APP, LIB = "acme/app", "acme/lib"
FOREVER = 1e9
_numbers = count(1000)


def new_store(home: Path, *, capacity: int = 3, durable: bool = True) -> SqliteDatabase:
    """A database with its schema in the folder `home`. One that is not durable does not wait for the disk."""
    database = opening.open_database(home / "kugetsu.db", busy_timeout=30.0)
    if not durable:
        database.pragma("synchronous", "off", permanent=True)
    opening.migrate(database, home / "migrate.lock", capacity=capacity)
    return database


def delivery(**more: Any) -> NewDelivery:
    """A delivery as the web side hands it on."""
    given = {"source": "webhook", "uuid": f"uuid-{next(_numbers)}", "event_type": "issue_comment", "received_at": 1.0}
    return NewDelivery(**{"server": SERVER, "headers": {}, "body": "{}", **given, **more})


def new_ask(verb: str, comment: int, number: int = 0, *, by: Person = ANN, **more: Any) -> NewAsk:
    """The `number`-th command of a comment."""
    key = f"comment:{comment}:{number}"
    return NewAsk(**{"key": key, "verb": verb, "author": by, "said_at": 1.0, "comment_id": comment, **more})


def comment(*asks: NewAsk, repo: str = APP, issue: int = 7, title: str = "Crash") -> Asks:
    """A comment that asks all this."""
    return Asks(repo, issue, False, title, asks)


def look(issue: int = 7, repo: str = APP) -> Look:
    """The labels of this issue have changed."""
    return Look(repo, issue, False)


def hear(db: Database, decision: Decision, **more: Any) -> Accepted:
    """Store one delivery and what it asks."""
    return store.accept_many(db, [Incoming(delivery(**more), decision)])[0]


def say(db: Database, verb: str = "code", *, repo: str = APP, issue: int = 7, **more: Any) -> Ask:
    """Somebody writes a comment with one command; the ask as it is stored."""
    number, server = next(_numbers), more.pop("server", SERVER)
    hear(db, comment(new_ask(verb, number, **more), repo=repo, issue=issue), server=server)
    found: Ask = Ask.select().where(Ask.comment_id == number).get(db)
    return found


def thread_of(db: Database, ask: Ask) -> Thread:
    """The thread on which this was said."""
    return threads.load(db, ask.thread_id)


def admit(db: Database, ask: Ask, *, now: float = 1.0) -> Job:
    """The desk lets this ask through; the job it belongs to."""
    threads.admit(db, ask, thread_of(db, ask), now=now)
    return job_of(db, ask)


def job_of(db: Database, ask: Ask) -> Job:
    """The job this ask belongs to now."""
    number = Ask.select(Ask.job).where(Ask.id == ask.id).scalar(db)
    return ledger.job_of(db, int(number))


def queue(db: Database, *, now: float = 1.0, **more: Any) -> Job:
    """Somebody asks, and may."""
    return admit(db, say(db, **more), now=now)


def claim(db: Database, worker: str = "one", *, now: float = 10.0, lease: float = 30.0) -> Claimed | None:
    """A worker takes the next job, if there is one for it."""
    return ledger.claim_next(db, worker, now=now, lease=lease)


def start(db: Database, worker: str = "one", *, now: float = 10.0) -> Claimed:
    """A worker takes the next job, which there is."""
    claimed = claim(db, worker, now=now)
    assert claimed is not None, [(job.id, job.state) for job in all_jobs(db)]
    return claimed


def finish(db: Database, claimed: Claimed, outcome: Outcome = Outcome.COMPLETED, *, now: float = 20.0) -> bool:
    """The agent has ended."""
    return ledger.settle(db, claimed, outcome, now=now, reason="the agent ended")


def all_jobs(db: Database) -> list[Job]:
    """Every job as it stands, oldest first."""
    return list(Job.select().order_by(Job.id).execute(db))


def limit(db: Database, **changes: Any) -> None:
    """Change how many agents may run, or pause."""
    Intake.update(**changes).execute(db)


def turns(db: Database) -> dict[str, int]:
    """When each repository had its last turn."""
    return {repo.name: repo.turn for repo in Repo.select().execute(db)}


def replayed(db: Database, job_id: int) -> tuple[State | None, str | None]:
    """The state and outcome to which the log of a job leads, each move of it being one that exists."""
    return replays(db)[job_id]


def replays(db: Database) -> dict[int, tuple[State | None, str | None]]:
    """Where the log of each job leads."""
    now: dict[int, tuple[State | None, str | None]] = {}
    for row in Move.select().order_by(Move.id).execute(db):
        now[row.job_id] = _replay(row, *now.get(row.job_id, (None, None)))
    return now


def _replay(row: Move, state: State | None, outcome: str | None) -> tuple[State, str | None]:
    source, target = State(row.source) if row.source else None, State(row.target)
    assert source == state, f"job {row.job_id}: a move from {source} while it was {state}"
    spoilt = source == target == State.REPORTING and outcome == Outcome.COMPLETED
    first = source is None and target is State.ASKED
    assert first or spoilt or (source is not None and target in MOVES[source]), f"{source} -> {target}"
    return target, row.outcome or outcome
