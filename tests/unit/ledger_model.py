"""What the ledger should do, said as plainly as it can be said: no database, no hurry."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.ledger import Claimed
from models.moves import Outcome, State

Place = tuple[str, int]
"""A repository and an issue."""


@dataclass
class ModelJob:
    id: int
    place: Place
    recipe: str
    asked_by: str
    fresh: bool
    priority: int
    state: State = State.ASKED
    outcome: Outcome | None = None
    queued_at: float = 0.0
    not_before: float = 0.0
    epoch: int = 0
    run: int = 0
    worker: str | None = None
    cancelled: bool = False

    def shown(self) -> tuple[object, ...]:
        """What must be the same in the database."""
        how = (self.state, self.outcome, self.epoch, self.run, self.worker, self.cancelled)
        return (self.id, self.recipe, self.asked_by, self.fresh, self.priority, *how)


@dataclass
class ModelAsk:
    comment: int
    place: Place
    verb: str
    author: str
    priority: int | None
    fresh: bool
    job: int = 0
    verdict: str | None = None


@dataclass
class Model:
    """The people's asks and the jobs made of them."""

    capacity: int = 2
    per_repo: int | None = None
    paused: bool = False
    jobs: list[ModelJob] = field(default_factory=list)
    asks: dict[int, ModelAsk] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)

    def job(self, number: int) -> ModelJob:
        return self.jobs[number - 1]

    def in_state(self, *states: State) -> list[ModelJob]:
        return [job for job in self.jobs if job.state in states]

    def say(self, ask: ModelAsk) -> None:
        self.turns.setdefault(ask.place[0], 0)
        self.asks[ask.comment] = ask
        self.gather(ask)

    def gather(self, ask: ModelAsk) -> None:
        mine = [job for job in self.jobs if job.place == ask.place]
        done = [job.recipe for job in mine if job.outcome != Outcome.REFUSED]
        recipe = ask.verb if ask.verb != "continue" else ([*done] or ["code"])[-1]
        waiting = [job for job in mine if job.state in (State.ASKED, State.QUEUED) and job.recipe == recipe]
        if ask.fresh or not waiting:
            number = len(self.jobs) + 1
            waiting = [ModelJob(number, ask.place, recipe, ask.author, ask.fresh, ask.priority or 0)]
            self.jobs += waiting
        ask.job = waiting[-1].id

    def admit(self, ask: ModelAsk, now: float) -> None:
        if ask.verdict is not None:
            return
        ask.verdict = "admitted"
        if self.job(ask.job).state not in (State.ASKED, State.QUEUED):
            self.gather(ask)
        job = self.job(ask.job)
        if job.state is State.ASKED:
            job.state, job.queued_at = State.QUEUED, now
            job.asked_by, job.fresh, job.priority = ask.author, ask.fresh, ask.priority or 0
        elif ask.priority is not None:
            job.priority = ask.priority

    def refuse(self, ask: ModelAsk) -> None:
        if ask.verdict is not None:
            return
        ask.verdict = "refused"
        held = any(other.job == ask.job and other.verdict in (None, "admitted") for other in self.asks.values())
        if not held and self.job(ask.job).state is State.ASKED:
            self.end(self.job(ask.job), Outcome.REFUSED)

    def next(self, now: float) -> ModelJob | None:
        running = self.in_state(State.RUNNING)
        if self.paused or len(running) >= self.capacity:
            return None
        busy = {job.place for job in running}
        repos = [job.place[0] for job in running]
        full = {repo for repo in repos if self.per_repo is not None and repos.count(repo) >= self.per_repo}
        ready = [job for job in self.in_state(State.QUEUED) if job.not_before <= now]
        may = [job for job in ready if job.place not in busy and job.place[0] not in full]
        order = self.order(may, now)
        return order[0] if order else None

    def order(self, jobs: list[ModelJob], now: float) -> list[ModelJob]:
        """The order in which `jobs` would start one after the other; those that are put off come last."""
        turns, left, order = dict(self.turns), [job for job in jobs if job.not_before <= now], list[ModelJob]()
        while left:
            first = min(left, key=lambda job: (-job.priority, turns[job.place[0]], job.queued_at, job.id))
            turns[first.place[0]] = max(turns.values()) + 1
            left.remove(first)
            order.append(first)
        put_off = [job for job in jobs if job.not_before > now]
        return order + sorted(put_off, key=lambda job: (job.not_before, job.id))

    def claim(self, worker: str, now: float) -> Claimed | None:
        job = self.next(now)
        if job is None:
            return None
        job.state, job.worker, job.epoch, job.run = State.RUNNING, worker, job.epoch + 1, job.run + 1
        self.turns[job.place[0]] = max(self.turns.values()) + 1
        return Claimed(job.id, job.epoch)

    def holds(self, claimed: Claimed) -> bool:
        job = self.job(claimed.job_id)
        return job.state is State.RUNNING and job.epoch == claimed.epoch

    def end(self, job: ModelJob, outcome: Outcome) -> None:
        job.state, job.outcome, job.worker = State.REPORTING, outcome, None

    def requeue(self, claimed: Claimed, not_before: float) -> None:
        job = self.job(claimed.job_id)
        if job.cancelled:
            self.end(job, Outcome.CANCELLED)
        else:
            job.state, job.worker, job.not_before = State.QUEUED, None, not_before

    def cancel(self, job: ModelJob) -> bool:
        if job.state in (State.REPORTING, State.DONE):
            return False
        job.cancelled = True
        if job.state is not State.RUNNING:
            self.end(job, Outcome.CANCELLED)
        return True
