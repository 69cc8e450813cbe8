"""The ledger beside a plain model of it: whatever people, the desk and workers do in whatever order, they agree."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models import ledger, threads
from models.events import Person
from models.ledger import Claimed
from models.moves import ENDED, Outcome, State
from models.tables import Ask, Delivery, Intake, Job
from tests.unit.ledger_model import Model, ModelAsk, ModelJob, Place
from tests.unit.storing import ANN, BOB, comment, hear, limit, new_ask, new_store, replays, turns

people = st.sampled_from([ANN, BOB, Person(3, "cem")])
places = st.sampled_from([("acme/app", 1), ("acme/app", 2), ("acme/app", 3), ("acme/lib", 1), ("zoo/web", 1)])
verbs = st.sampled_from(["code", "code", "code", "research", "continue"])
priorities = st.sampled_from([None, None, -1, 0, 1])
workers = st.sampled_from(["one", "two", "three"])
picks = st.integers(0, 1000)
outcomes = st.sampled_from([Outcome.COMPLETED, Outcome.FAILED, Outcome.CANCELLED])


class LedgerMachine(RuleBasedStateMachine):
    """Each rule does one thing to the database and the same to the model."""

    @initialize(waiting=st.lists(places, min_size=2, max_size=6))
    def begin(self, waiting: list[Place]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.model, self.now = Model(), 100.0
        self.db = new_store(Path(self.folder.name), capacity=self.model.capacity, durable=False)
        self.db.connect()
        self.claims: list[Claimed] = []
        self.deliveries = 0
        for place in waiting:
            self.somebody_asks_and_may(BOB, place, "code", None, fresh=True)

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.db.close()
            self.folder.cleanup()

    def _ask(self, pick: int) -> tuple[ModelAsk, Ask]:
        """Any ask there ever was, newer ones more often."""
        number = len(self.model.asks) - 1 - _of(pick, len(self.model.asks))
        ask = list(self.model.asks.values())[number]
        stored: Ask = Ask.select().where(Ask.comment_id == ask.comment).get(self.db)
        return ask, stored

    def _claim(self, pick: int) -> Claimed:
        """Any claim there ever was: most of the older ones are no longer good."""
        return self.claims[len(self.claims) - 1 - _of(pick, len(self.claims))]

    def _job(self, pick: int) -> ModelJob:
        return self.model.jobs[pick % len(self.model.jobs)]

    @rule(by=people, place=places, verb=verbs, priority=priorities, fresh=st.sampled_from([False, False, True]))
    def somebody_asks(self, by: Person, place: Place, verb: str, priority: int | None, *, fresh: bool) -> None:
        self.now += 0.25
        ask = ModelAsk(len(self.model.asks) + 1, place, verb, by.login, priority, fresh)
        self.model.say(ask)
        new = new_ask(verb, ask.comment, by=by, priority=priority, fresh=fresh, said_at=self.now)
        accepted = hear(self.db, comment(new, repo=place[0], issue=place[1]), received_at=self.now)
        self.deliveries += 1
        assert accepted.verdict == "accepted"

    @rule(by=people, place=places, verb=verbs, priority=priorities, fresh=st.booleans())
    def somebody_asks_and_may(self, by: Person, place: Place, verb: str, priority: int | None, *, fresh: bool) -> None:
        self.somebody_asks(by, place, verb, priority, fresh=fresh)
        self.the_desk_admits(0, twice=False)

    @precondition(lambda self: self.model.asks)
    @rule(pick=picks, verb=verbs)
    def it_is_heard_again(self, pick: int, verb: str) -> None:
        """By a second hook, by reconciliation, or because its author edited it."""
        ask, _ = self._ask(pick)
        again = comment(new_ask(verb, ask.comment), new_ask("research", ask.comment, 1), repo=ask.place[0])
        accepted = hear(self.db, again, received_at=self.now)
        self.deliveries += 1
        assert accepted.verdict == "duplicate"

    @precondition(lambda self: self.model.asks)
    @rule(pick=picks, twice=st.booleans())
    def the_desk_admits(self, pick: int, twice: bool) -> None:
        ask, stored = self._ask(pick)
        self.model.admit(ask, self.now)
        for _ in range(1 + twice):
            threads.admit(self.db, stored, threads.load(self.db, stored.thread_id), now=self.now)

    @precondition(lambda self: self.model.asks)
    @rule(pick=picks)
    def the_desk_refuses(self, pick: int) -> None:
        ask, stored = self._ask(pick)
        self.model.refuse(ask)
        threads.refuse(self.db, stored, "may not", now=self.now)

    @rule(worker=workers)
    def a_worker_claims(self, worker: str) -> None:
        expected = self.model.claim(worker, self.now)
        claimed = ledger.claim_next(self.db, worker, now=self.now, lease=30.0)
        assert claimed == expected
        if claimed is not None:
            self.claims.append(claimed)

    @rule(number=st.integers(1, 4))
    def workers_claim_what_there_is(self, number: int) -> None:
        for _ in range(number):
            self.a_worker_claims("one")

    @precondition(lambda self: self.claims)
    @rule(pick=picks, outcome=outcomes)
    def the_agent_ends(self, pick: int, outcome: Outcome) -> None:
        claimed = self._claim(pick)
        good = self.model.holds(claimed)
        if good:
            self.model.end(self.model.job(claimed.job_id), outcome)
        assert ledger.settle(self.db, claimed, outcome, now=self.now, reason="ended") is good

    @precondition(lambda self: self.claims)
    @rule(pick=picks, pause=st.sampled_from([0.0, 0.0, 50.0]))
    def it_goes_back_into_the_queue(self, pick: int, pause: float) -> None:
        claimed = self._claim(pick)
        good = self.model.holds(claimed)
        if good:
            self.model.requeue(claimed, self.now + pause)
        again = ledger.requeue(self.db, claimed, now=self.now, reason="lost", not_before=self.now + pause)
        assert again is good

    @precondition(lambda self: self.claims)
    @rule(pick=picks, worker=workers)
    def another_worker_adopts(self, pick: int, worker: str) -> None:
        claimed = self._claim(pick)
        expected = None
        if self.model.holds(claimed):
            job = self.model.job(claimed.job_id)
            job.worker, job.epoch = worker, job.epoch + 1
            expected = Claimed(job.id, job.epoch)
        adopted = ledger.adopt(self.db, claimed.job_id, claimed.epoch, worker, now=self.now, lease=30.0)
        assert adopted == expected
        if adopted is not None:
            self.claims.append(adopted)

    @precondition(lambda self: self.model.in_state(State.RUNNING))
    @rule(worker=workers, outcome=outcomes)
    def two_workers_end_one_job(self, worker: str, outcome: Outcome) -> None:
        """The one that was taken to be gone comes first."""
        job = self.model.in_state(State.RUNNING)[0]
        late = next(number for number, claimed in enumerate(reversed(self.claims)) if claimed.job_id == job.id)
        self.claims.append(self.claims.pop(-1 - late))
        self.another_worker_adopts(0, worker)
        for pick in (1, 0):
            self.the_agent_ends(pick, outcome)

    @precondition(lambda self: self.claims)
    @rule(pick=picks, step=st.text(max_size=3))
    def a_worker_tells_how_far_it_is(self, pick: int, step: str) -> None:
        claimed = self._claim(pick)
        before, good = ledger.job_of(self.db, claimed.job_id), self.model.holds(claimed)
        ledger.note_progress(self.db, claimed, step=step)
        assert ledger.renew(self.db, claimed, until=self.now + 30.0) is good
        after = ledger.job_of(self.db, claimed.job_id)
        lease = self.now + 30.0 if good else before.lease_until
        assert (after.step, after.lease_until) == (step if good else before.step, lease)

    @precondition(lambda self: self.model.jobs)
    @rule(pick=picks)
    def somebody_cancels(self, pick: int) -> None:
        job = self._job(pick)
        expected = self.model.cancel(job)
        assert ledger.request_cancel(self.db, job.id, "ann", now=self.now) is expected

    @precondition(lambda self: self.model.in_state(State.QUEUED))
    @rule(pick=picks)
    def a_job_waits_too_long(self, pick: int) -> None:
        job = self._job(pick)
        waits = job.state in (State.ASKED, State.QUEUED)
        if waits:
            self.model.end(job, Outcome.EXPIRED)
        assert ledger.end_waiting(self.db, job.id, Outcome.EXPIRED, now=self.now, reason="too long") is waits

    @precondition(lambda self: self.model.in_state(State.REPORTING))
    @rule(pick=picks)
    def its_result_cannot_be_delivered(self, pick: int) -> None:
        job = self._job(pick)
        spoilt = job.state is State.REPORTING and job.outcome is Outcome.COMPLETED
        if spoilt:
            job.outcome = Outcome.FAILED
        assert ledger.spoil(self.db, job.id, now=self.now, error="refused") is spoilt

    @precondition(lambda self: self.model.in_state(State.REPORTING))
    @rule(pick=picks)
    def all_is_told(self, pick: int) -> None:
        job = self._job(pick)
        told = job.state is State.REPORTING
        if told:
            job.state = State.DONE
        assert ledger.move(self.db, job.id, State.REPORTING, State.DONE, at=self.now, reason="told") is told

    @rule(
        capacity=st.sampled_from([0, 1, 2, 3, 3]),
        per_repo=st.sampled_from([None, None, 1, 2]),
        paused=st.sampled_from([False, False, False, True]),
    )
    def the_limits_change(self, capacity: int, per_repo: int | None, paused: bool) -> None:
        self.model.capacity, self.model.per_repo, self.model.paused = capacity, per_repo, paused
        limit(self.db, capacity=capacity, per_repo=per_repo, paused=paused)

    @rule(seconds=st.sampled_from([0.25, 1.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        jobs = list(Job.select().order_by(Job.id).execute(self.db))
        assert [_shown(job) for job in jobs] == [job.shown() for job in self.model.jobs]
        asks = Ask.select(Ask.comment_id, Ask.job, Ask.verdict).order_by(Ask.id).tuples().execute(self.db)
        expected = [(ask.comment, ask.job, ask.verdict) for ask in self.model.asks.values()]
        assert list(asks) == expected, "every ask is one row, and belongs to its job"
        assert turns(self.db) == self.model.turns
        assert Delivery.select().count(self.db) == self.deliveries

    @invariant()
    def the_log_replays_to_the_state(self) -> None:
        assert replays(self.db) == {job.id: (job.state, job.outcome) for job in self.model.jobs}

    @invariant()
    def no_issue_has_two_running_jobs(self) -> None:
        running = [job.thread_id for job in Job.select().where(Job.state == State.RUNNING).execute(self.db)]
        assert len(running) == len(set(running))

    @invariant()
    def places_in_the_queue_are_those_of_the_model(self) -> None:
        order = [job.id for job in self.model.order(self.model.in_state(State.QUEUED), self.now)]
        assert ledger.positions(self.db, now=self.now) == {number: place for place, number in enumerate(order, 1)}

    @invariant()
    def whatever_ended_or_changed_is_to_be_reported(self) -> None:
        ended = Job.select().where(Job.state.in_(ENDED)).execute(self.db)
        assert all(job.report_wanted > job.report_seen and job.outcome for job in ended)
        assert Intake.select().count(self.db) == 1


def _of(pick: int, number: int) -> int:
    """One of `number` things, mostly one of the first three."""
    return pick % min(number, 3) if pick % 4 else pick // 4 % number


def _shown(job: Job) -> tuple[object, ...]:
    how = (job.state, job.outcome, job.epoch, job.run, job.worker, job.cancel_requested_at is not None)
    return (job.id, job.recipe, job.asked_by, job.fresh, job.priority, *how)


TestLedger = pytest.mark.timeout(600)(LedgerMachine.TestCase)  # a failure takes time to be made small
TestLedger.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
