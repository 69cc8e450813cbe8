"""What jobs spend: noted on the job's row, and by day for its repository.

Two count it: the agent's own words, which leave out its sub-agents, and the gateway, which sees only the calls that go
through it. Each is less than the truth or equal to it, so the greater one counts. Cost is in US dollars; tokens read
from a provider's cache count as any other.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime

import msgspec
from peewee import Database, fn

from models.moves import State
from models.side_tables import Account, Gateway, Spending
from models.tables import Job


class Spent(msgspec.Struct, frozen=True):
    """By the names of the job's columns."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out, self.cost + other.cost)

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out


class Caller(msgspec.Struct, frozen=True):
    """Whose token it is. `over`: the job runs no more, so its token is worth nothing."""

    job_id: int
    over: bool


def note(db: Database, job_id: int, spent: Spent, *, now: float) -> None:
    """The job has used `spent` in all, or more; what is new of it is booked on today."""
    with db.atomic():
        before = _of(db, job_id)
        after = Spent(
            max(before.tokens_in, spent.tokens_in),
            max(before.tokens_out, spent.tokens_out),
            max(before.cost, spent.cost),
        )
        if after != before:
            Job.update(**msgspec.structs.asdict(after)).where(Job.id == job_id).execute(db)
            _book(db, job_id, after.tokens - before.tokens, after.cost - before.cost, day_of(now))


def serve(db: Database, job_id: int, spent: Spent, *, now: float) -> None:
    """The gateway has served the job one more answer."""
    with db.atomic():
        added = {name: getattr(Account, name) + value for name, value in msgspec.structs.asdict(spent).items()}
        Account.update(**added).where(Account.job == job_id).execute(db)
        account = Account.select().where(Account.job == job_id).first(db)
        if account is not None:
            note(db, job_id, Spent(account.tokens_in, account.tokens_out, account.cost), now=now)


def _of(db: Database, job_id: int) -> Spent:
    job = Job.select(Job.tokens_in, Job.tokens_out, Job.cost).where(Job.id == job_id).get(db)
    return Spent(job.tokens_in, job.tokens_out, job.cost)


def _book(db: Database, job_id: int, tokens: int, cost: float, day: str) -> None:
    repo = Job.select(Job.repo).where(Job.id == job_id).scalar(db)
    insert = Spending.insert(repo=repo, day=day, tokens=tokens, cost=cost).on_conflict(
        conflict_target=[Spending.day, Spending.repo],
        update={Spending.tokens: Spending.tokens + tokens, Spending.cost: Spending.cost + cost},
    )
    insert.execute(db)


def day_of(now: float) -> str:
    """The day, in UTC, as it is stored."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")


def month_begin(now: float) -> str:
    """The first day of this month."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-01")


def next_month(now: float) -> float:
    """When the next month begins, in UTC."""
    at = datetime.fromtimestamp(now, UTC)
    return datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC).timestamp()


def since(db: Database, day: str) -> dict[int, tuple[int, float]]:
    """Tokens and cost of each repository, by its id, from `day` on."""
    tokens, cost = fn.SUM(Spending.tokens), fn.SUM(Spending.cost)
    rows = Spending.select(Spending.repo, tokens, cost).where(Spending.day >= day).group_by(Spending.repo)
    return {repo: (int(used), float(paid)) for repo, used, paid in rows.tuples().execute(db)}


def open_account(db: Database, job_id: int) -> str:
    """A new token for the job's agent; an earlier one of the job is worth nothing from now on."""
    token = f"kugetsu-{secrets.token_urlsafe(32)}"
    digest = _digest(token)
    insert = Account.insert(job=job_id, token=digest)
    insert.on_conflict(conflict_target=[Account.job], update={Account.token: digest}).execute(db)
    return token


def caller(db: Database, token: str) -> Caller | None:
    """Whose token this is, None where nobody's. Only digests are compared, so the time it takes tells nothing."""
    found = Account.select(Account.job, Job.state).join(Job).where(Account.token == _digest(token))
    row = found.tuples().first(db)
    return None if row is None else Caller(row[0], over=row[1] != State.RUNNING)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def cut_short(db: Database, job_id: int) -> str:
    """Which budget ended the job; "" where none did."""
    return Account.select(Account.cut_short).where(Account.job == job_id).scalar(db) or ""


def cut(db: Database, job_id: int, why: str) -> None:
    """A budget has ended the job."""
    insert = Account.insert(job=job_id, cut_short=why)
    insert.on_conflict(conflict_target=[Account.job], update={Account.cut_short: why}).execute(db)


def keep_port(db: Database, host: str, port: int) -> None:
    """The gateway of this host listens there, and is to do so again."""
    _set(db, host, port=port)


def kept_port(db: Database, host: str) -> int:
    """Where the gateway of this host listened last; 0 where there was none."""
    return int(Gateway.select(Gateway.port).where(Gateway.host == host).scalar(db) or 0)


def hand_over(db: Database, host: str, credentials: list[str]) -> None:
    """The names of the credentials that agents on this host are handed."""
    _set(db, host, credentials=msgspec.json.encode(credentials).decode())


def handed_over(db: Database) -> list[str] | None:
    """Likewise, on any host; None where nobody has looked yet."""
    rows = list(Gateway.select(Gateway.credentials).tuples().execute(db))
    names = {name for (names,) in rows for name in msgspec.json.decode(names, type=list[str])}
    return sorted(names) if rows else None


def _set(db: Database, host: str, **changes: object) -> None:
    insert = Gateway.insert(host=host, **changes)
    fields = {getattr(Gateway, name): value for name, value in changes.items()}
    insert.on_conflict(conflict_target=[Gateway.host], update=fields).execute(db)
