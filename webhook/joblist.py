"""Finding jobs: what somebody looks for, as queries that stay fast however many jobs there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from peewee import SQL, Database, fn

from models.moves import Outcome, State
from models.tables import Job, Repo, Thread
from webhook.door import Problem, Visit
from webhook.viewing import Sight

PAGE = 50
"""Jobs on one page of the list."""

_LARGEST = 2**62


class Wanted(msgspec.Struct, frozen=True):
    """What is looked for; "" where it does not matter. `state` is a state or an outcome, `since` and `until` are
    days (UTC, the last one included), `words` stand in the issue's title, or are a number.
    """

    state: str = ""
    server: str = ""
    repo: str = ""
    person: str = ""
    since: str = ""
    until: str = ""
    words: str = ""

    @classmethod
    def of(cls, visit: Visit) -> Wanted:
        """What the address says. Raises Problem for what it cannot mean."""
        names = {
            "state": "state",
            "server": "server",
            "repo": "repo",
            "person": "person",
            "since": "from",
            "until": "to",
            "words": "q",
        }
        wanted = cls(**{name: visit.asked(asked) for name, asked in names.items()})
        if wanted.state and wanted.state not in {*State, *Outcome}:
            raise Problem(400, f"there is no state {wanted.state!r}; the states are {', '.join((*State, *Outcome))}")
        for day in (wanted.since, wanted.until):
            _start(day)
        return wanted

    @property
    def query(self) -> dict[str, str]:
        """The parameters of an address that asks for the same."""
        said = {"state": self.state, "server": self.server, "repo": self.repo, "person": self.person}
        said |= {"from": self.since, "to": self.until, "q": self.words}
        return {name: text for name, text in said.items() if text}


def newest(db: Database, sight: Sight, wanted: Wanted, *, before: int | None = None, most: int = PAGE) -> list[Job]:
    """The newest jobs that are wanted, with thread and repository, below the number `before`."""
    query = narrowed(db, sight, wanted, Job.select(Job.id))
    if before is not None:
        query = query.where(Job.id < before)
    return with_threads(db, [row.id for row in query.order_by(Job.id.desc()).limit(most).execute(db)])


def with_threads(db: Database, numbers: Sequence[int]) -> list[Job]:
    """The jobs of these numbers, the newest first, with what is read together."""
    rows = Job.select(Job, Thread, Repo).join(Thread).switch(Job).join(Repo, on=(Job.repo == Repo.id))
    return list(rows.where(Job.id.in_(list(numbers))).order_by(Job.id.desc()).execute(db))


def narrowed(db: Database, sight: Sight, wanted: Wanted, query: Any) -> Any:
    """`query` of jobs, without those that are not wanted or not for this viewer's eyes."""
    query = sight.jobs(query)
    if wanted.state:
        query = query.where(*_in_state(wanted.state))
    if wanted.repo or wanted.server:
        query = query.where(Job.repo.in_(_repos(db, wanted)))
    if wanted.person:
        query = query.where(Job.asked_by == wanted.person)
    return _spoken_of(_timed(db, query, wanted), wanted.words)


def _repos(db: Database, wanted: Wanted) -> list[int]:
    query = Repo.select(Repo.id)
    query = query.where(Repo.name == wanted.repo) if wanted.repo else query
    query = query.where(Repo.server == wanted.server) if wanted.server else query
    return [row.id for row in query.execute(db)]


def _in_state(name: str) -> list[Any]:
    """Most jobs are completed, so an index of those would only lead the planner astray; the others have one, which it
    takes where the condition of the index stands here word for word.
    """
    if name in set(State):
        return [Job.state == name]
    others = [] if name == Outcome.COMPLETED else [Job.outcome != SQL("'completed'")]
    return [Job.outcome == name, *others]


def _timed(db: Database, query: Any, wanted: Wanted) -> Any:
    """Numbers grow with time, so the days also bound the numbers: the planner need not look at all the others."""
    since, until = _start(wanted.since), _start(wanted.until, days=1)
    if since is not None:
        first = Job.select(fn.MIN(Job.id)).where(Job.asked_at >= since).scalar(db)
        query = query.where(Job.asked_at >= since).where(Job.id >= (first if first is not None else _LARGEST))
    if until is not None:
        last = Job.select(fn.MAX(Job.id)).where(Job.asked_at < until).scalar(db)
        query = query.where(Job.asked_at < until).where(Job.id <= (last or 0))
    return query


def _start(day: str, *, days: int = 0) -> float | None:
    """When this day (`2026-07-01`) begins, so many days later, in seconds since the epoch."""
    if not day:
        return None
    try:
        return (datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) + timedelta(days=days)).timestamp()
    except (ValueError, OverflowError):
        raise Problem(400, f"{day!r} is not a day; right would be 2026-07-01") from None


def _spoken_of(query: Any, words: str) -> Any:
    number = words.removeprefix("#")
    if number.isascii() and number.isdecimal() and len(number) < 10:  # noqa: PLR2004 - fits the column
        issue = Thread.select(Thread.id).where(Thread.issue == int(number))
        return query.where((Job.id == int(number)) | Job.thread.in_(issue))
    if words:
        return query.where(Job.thread.in_(Thread.select(Thread.id).where(Thread.title.contains(words))))
    return query
