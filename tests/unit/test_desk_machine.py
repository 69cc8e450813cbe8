"""The desk's leases beside a plain model of them: no two hold one thread, and nothing that is wanted is forgotten."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models import threads
from models.tables import Thread
from tests.unit.storing import comment, hear, look, new_ask, new_store

issues = st.integers(1, 4)
workers = st.sampled_from(["one", "one", "two"])
picks = st.integers(0, 100)
LEASE = 60.0


@dataclass
class ModelThread:
    wanted: int = 0
    seen: int = 0
    urgent: bool = False
    looks: int = 0
    looked: int = 0
    not_before: float = 0.0
    attended: float = 0.0
    holder: tuple[str, int] | None = None
    until: float = 0.0
    epoch: int = 0
    verbs: set[str] = field(default_factory=set)

    def due(self, now: float) -> bool:
        return self.wanted > self.seen and self.not_before <= now and (self.holder is None or self.until < now)


class DeskMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.db = new_store(Path(self.folder.name), durable=False)
        self.db.connect()
        self.now, self.said = 100.0, 0
        self.model: dict[int, ModelThread] = {}
        self.taken: list[tuple[Thread, tuple[str, int]]] = []

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.db.close()
            self.folder.cleanup()

    def _thread(self, issue: int) -> ModelThread:
        return self.model.setdefault(issue, ModelThread(attended=self.now))

    def _lease(self, pick: int) -> tuple[Thread, ModelThread, bool]:
        """A lease that was given once, and whether it still holds."""
        thread, holder = self.taken[len(self.taken) - 1 - pick % min(len(self.taken), 5)]
        mine = self.model[thread.issue]
        return thread, mine, mine.holder == holder

    @rule(issue=issues)
    def labels_change(self, issue: int) -> None:
        mine = self._thread(issue)
        mine.wanted, mine.looks = mine.wanted + 1, mine.looks + 1
        hear(self.db, look(issue), received_at=self.now)

    @rule(issue=issues, verb=st.sampled_from(["code", "recipe:docs", "cancel", "help"]))
    def somebody_speaks(self, issue: int, verb: str) -> None:
        mine = self._thread(issue)
        work = verb in ("code", "recipe:docs")
        gathers = work and verb in mine.verbs
        mine.wanted, mine.urgent = mine.wanted + 1 + gathers, mine.urgent or not work
        mine.verbs.add(verb)
        self.said += 1
        hear(self.db, comment(new_ask(verb, self.said), issue=issue), received_at=self.now)

    @rule(worker=workers)
    def a_worker_takes_a_thread(self, worker: str) -> None:
        due = [(issue, mine) for issue, mine in self.model.items() if mine.due(self.now)]
        assert threads.any_due(self.db, now=self.now) is bool(due)
        thread = threads.take_thread(self.db, worker, now=self.now, lease=LEASE)
        if not due:
            assert thread is None
            return
        first = min(_order(mine) for _, mine in due)
        assert thread is not None
        mine = self.model[thread.issue]
        assert mine.due(self.now)
        assert _order(mine) == first
        mine.epoch, mine.until = mine.epoch + 1, self.now + LEASE
        mine.holder = (worker, mine.epoch)
        assert (thread.desk_wanted, thread.look_wanted) == (mine.wanted, mine.looks)
        self.taken.append((thread, mine.holder))

    @precondition(lambda self: self.taken)
    @rule(pick=picks)
    def it_has_seen_to_it(self, pick: int) -> None:
        thread, mine, held = self._lease(pick)
        if held:
            mine.seen, mine.looked = thread.desk_wanted, thread.look_wanted
            mine.urgent = mine.urgent and mine.wanted > mine.seen
            mine.holder, mine.not_before, mine.attended = None, 0.0, self.now
            threads.look_done(self.db, thread)
        threads.thread_done(self.db, thread, now=self.now)

    @precondition(lambda self: self.taken)
    @rule(pick=picks, pause=st.sampled_from([1.0, 50.0]))
    def gitea_is_down(self, pick: int, pause: float) -> None:
        thread, mine, held = self._lease(pick)
        if held:
            mine.holder, mine.not_before = None, self.now + pause
        threads.thread_failed(self.db, thread, problem="down", not_before=self.now + pause)

    @precondition(lambda self: self.taken)
    @rule(pick=picks)
    def a_lease_is_renewed(self, pick: int) -> None:
        thread, mine, held = self._lease(pick)
        if held and mine.holder:
            mine.until = self.now + LEASE
            assert threads.renew_thread(self.db, thread.id, mine.holder[0], until=self.now + LEASE)

    @rule(worker=workers)
    def a_worker_is_gone(self, worker: str) -> None:
        theirs = [mine for mine in self.model.values() if mine.holder and mine.holder[0] == worker]
        for mine in theirs:
            mine.holder = None
        assert threads.free_threads_of(self.db, worker) == len(theirs)

    @rule(seconds=st.sampled_from([0.5, 10.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        for thread in Thread.select().execute(self.db):
            mine = self.model[thread.issue]
            wants = (thread.desk_wanted, thread.desk_seen, thread.look_wanted, thread.look_seen, thread.urgent)
            assert wants == (mine.wanted, mine.seen, mine.looks, mine.looked, mine.urgent)
            assert thread.desk_not_before == mine.not_before
            assert thread.desk_worker == (mine.holder[0] if mine.holder else None)
            assert thread.desk_lease_until == (mine.until if mine.holder else None)


def _order(mine: ModelThread) -> tuple[bool, float, float]:
    """Urgent first, then what was not put off, then what was attended to longest ago."""
    return (not mine.urgent, mine.not_before, mine.attended)


TestDesk = DeskMachine.TestCase
TestDesk.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
