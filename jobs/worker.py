"""The work side: two lanes, a heartbeat, and a sweep that finds whatever a lost ring or a lost worker left behind."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial

from peewee import PeeweeException

from jobs import opencode, presence, queue_view, room, sandbox, short
from jobs.agent import StartGate
from jobs.desk import Desk, workers_for
from jobs.doctor.calls import Calls
from jobs.gateway.doors import Doors
from jobs.hook_care import HookCare
from jobs.known_secrets import secrets_of
from jobs.lane import AgentsLane
from jobs.launching import Launching
from jobs.notifying import Notifier
from jobs.outgoing import commit_words
from jobs.patience import patiently
from jobs.presence import Presence
from jobs.queue import Bells, Lane
from jobs.reconcile import Reconciler
from jobs.redact import Redactor
from jobs.report import Reporter
from jobs.retention import Retention
from jobs.runner import Runner
from jobs.servers import Forges
from jobs.wiring import Wiring
from jobs.workspace import Workspace
from models import budgets, clock, ledger, limits, opening, threads, trouble
from models.moves import Outcome, State
from models.settings import Settings
from models.tables import Job, Worker

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
HEARTBEAT_SECONDS = 5.0
POSITIONS_SECONDS = 1.0
SWEEP_SECONDS = 30.0
STOP_SECONDS = 1.5
LAST_WORD_SECONDS = 0.5
"""How long one that stops waits for a database that is locked."""
ROOM_SECONDS = 2.0
FIRST_CLEARING_SECONDS, CLEARING_SECONDS = 60.0, 3600.0
TROUBLE_SECONDS = 1.0


class WorkerProcess:
    """A worker from start to stop. `environ` is where the variables named by `agent_env` are taken from."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._stack = ExitStack()
        settings.home.mkdir(parents=True, exist_ok=True)
        self._db = opening.open_database(settings.home / "kugetsu.db")
        opening.migrate(self._db, settings.home / "migrate.lock", capacity=settings.max_concurrent_agents)
        per_repo = settings.max_agents_per_repo
        limits.follow_settings(self._db, capacity=settings.max_concurrent_agents, per_repo=per_repo)
        self._sandbox = sandbox.choose(settings.sandbox, settings.home, visible=settings.sandbox_paths)
        program = opencode.find(settings.agent_command, path=environ.get("PATH", ""))
        self._presence = self._stack.enter_context(Presence(settings.home))
        self._bells = Bells(settings.home / "queue.db")
        self._doors = Doors(settings, environ, sandboxed=self._sandbox.kind == "bwrap")
        secrets = [*secrets_of(settings, environ), *self._doors.secrets()]
        self._wiring = self._wire(Forges(settings.servers, self._db), secrets)
        words = partial(commit_words, redactor=self._wiring.redactor)
        workspace = Workspace(settings.home, self._sandbox.run_inside, temp_dir=settings.temp_dir, words=words)
        self._launching = Launching(self._wiring, program, self._sandbox, self._doors)
        self._runner = Runner(self._wiring, workspace, self._launching, StartGate())
        self._lane = AgentsLane(self._wiring, self._runner)
        self._reconciler = Reconciler(self._wiring)
        self._desk = Desk(self._wiring, Reporter(self._wiring, workspace), workspace, self._reconciler)
        self._hooks = HookCare(self._wiring)
        self._notifier = Notifier(self._wiring)
        self._calls = Calls(self._wiring, environ)
        self._stopping = self._wiring.stopping
        self._troubled, self._trouble = threading.Lock(), ""
        self._namer = threading.Thread(target=self._name_agent, name="agent-name", daemon=True)
        self._ticker = threading.Thread(target=self._tick, name="ticker", daemon=True)
        self._checkers = [
            threading.Thread(target=self._check_server, args=(name,), name=f"check-{name}", daemon=True)
            for name in self._wiring.forges.names
        ]
        self._retention = Retention(self._wiring, workspace)
        self._clearer = threading.Thread(target=self._clear_up, name="retention", daemon=True)

    def _wire(self, forges: Forges, secrets: Sequence[str]) -> Wiring:
        return Wiring(
            settings=self._settings,
            db=self._db,
            bells=self._bells,
            forges=forges,
            redactor=Redactor(secrets),
            worker=self._presence.name,
            clock=time.time,
        )

    def start(self) -> None:
        """Take up what others left, then answer the bells."""
        self._watch_clock()
        self._appear()
        self._watch_room()
        self._sweep()
        self._hooks.start()
        desk = (workers_for(len(self._wiring.forges.names)), self._look_at_desk)
        looks = {Lane.AGENTS: (1, self._lane.look), Lane.DESK: desk}
        self._bells.answer({lane: (count, partial(self._safely, look)) for lane, (count, look) in looks.items()})
        self._ticker.start()
        for checker in self._checkers:
            checker.start()
        self._namer.start()
        self._notifier.start()
        self._calls.start()
        self._clearer.start()
        for lane in Lane:
            self._bells.ring(lane)

    def stop(self) -> None:
        """Leave everything to the next worker, within a few seconds, whatever hangs. The agents live on."""
        until = time.monotonic() + STOP_SECONDS
        self._stopping.set()
        self._lane.leave()
        self._bells.stop(STOP_SECONDS)
        mine = (self._ticker, *self._checkers, self._namer, self._clearer)
        joins: list[Callable[[float], None]] = [*(thread.join for thread in mine), self._notifier.join]
        for join in joins:
            join(max(0.0, until - time.monotonic()))
        self._db.timeout = LAST_WORD_SECONDS
        self._lane.join(until)
        with suppress(PeeweeException):  # the next worker finds out by itself
            self._calls.join(max(0.0, until - time.monotonic()))
            threads.free_threads_of(self._db, self._presence.name)
            Worker.delete().where(Worker.name == self._presence.name).execute(self._db)
        self._wiring.forges.close()
        self._stack.close()
        self._bells.close()
        self._db.close()

    def _look_at_desk(self) -> None:
        """What people wait for comes first, between any two webhooks too."""
        self._desk.look()
        while not self._stopping.is_set() and self._hooks.look():
            self._desk.look()

    def _appear(self) -> None:
        now = self._wiring.clock()
        box = {"sandbox": self._sandbox.kind, "sandbox_why": self._sandbox.why}
        name = self._presence.name
        Worker.insert(
            name=name, host=self._presence.host, pid=self._presence.pid, started_at=now, seen_at=now, **box
        ).execute(self._db)
        level = logging.INFO if self._sandbox.is_whole else logging.WARNING
        log.log(level, "worker %s: sandbox %s: %s", name, self._sandbox.kind, self._sandbox.why)

    def _name_agent(self) -> None:
        """Ask the agent who it is, beside the work: that takes it seconds on a busy machine. First the gateway, which
        the first job needs.
        """
        self._safely(partial(self._doors.open, self._db))
        name = self._launching.agent_name
        query = Worker.update(agent=name).where(Worker.name == self._presence.name)
        patiently(self._wiring, lambda: query.execute(self._db))
        log.info("the agent is %s", name)
        self._safely(self._launching.renew_prices)
        self._db.close()

    def _tick(self) -> None:
        rounds = {
            HEARTBEAT_SECONDS: self._beat,
            POSITIONS_SECONDS: self._show_positions,
            SWEEP_SECONDS: self._sweep,
            ROOM_SECONDS: self._watch_room,
            TICK_SECONDS: self._ring_for_due,
        }
        due = dict.fromkeys(rounds, 0.0) | {SWEEP_SECONDS: time.monotonic() + SWEEP_SECONDS}
        while not self._stopping.wait(TICK_SECONDS):
            for interval, act in rounds.items():
                if time.monotonic() >= due[interval]:
                    due[interval] = time.monotonic() + interval
                    self._safely(act)
        self._db.close()

    def _safely(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            if (words := trouble.of_storage(error)) is None:
                log.exception("a part of the worker stumbled; it goes on")
            else:
                self._note_trouble(words)
                self._db.close()
                self._stopping.wait(TROUBLE_SECONDS)

    def _note_trouble(self, words: str) -> None:
        """Say once that work waits for the storage, and once that it goes on."""
        with self._troubled:
            before, self._trouble = self._trouble, words
        if words and words != before:
            log.error("work waits until it can go on: %s", words)
        if before and not words:
            log.warning("work goes on: the storage can be used again")

    def _watch_clock(self) -> None:
        back = clock.went_back(self._db, self._presence.host, now=self._wiring.clock())
        if back:
            log.warning("this machine's clock was set back by %.0f s; what was put off comes sooner by as much", back)
            self._wiring.forges.check_all()

    def _beat(self) -> None:
        self._watch_clock()
        Worker.update(seen_at=self._wiring.clock()).where(Worker.name == self._presence.name).execute(self._db)
        self._doors.look(self._db)
        self._note_trouble("")

    def _clear_up(self) -> None:
        """Soon after the start, when what was waiting has begun, and then every hour."""
        pause = FIRST_CLEARING_SECONDS
        while not self._stopping.wait(pause):
            self._safely(self._retention.run)
            pause = CLEARING_SECONDS

    def _watch_room(self) -> None:
        room.watch(self._wiring)

    def _check_server(self, name: str) -> None:
        """In a thread of its own: a server that does not answer keeps whoever asks it."""
        while not self._stopping.wait(TICK_SECONDS):
            self._safely(lambda: self._wiring.forges.check_due(name, self._wiring.clock()))
        self._db.close()

    def _ring_for_due(self) -> None:
        """What was put off comes due without anybody ringing."""
        now = self._wiring.clock()
        if threads.any_due(self._db, now=now) or self._hooks.any_due() or self._reconciler.due():
            self._bells.ring(Lane.DESK)
        if Job.select().where((Job.state == State.QUEUED) & (Job.not_before <= now)).exists(self._db):
            self._bells.ring(Lane.AGENTS)

    def _show_positions(self) -> None:
        queue_view.refresh(self._wiring)

    def _sweep(self) -> None:
        """Free what dead workers held, adopt what they ran, end what waited too long."""
        gone = presence.gone(self._settings.home, self._db)
        for name in gone:
            threads.free_threads_of(self._db, name)
            self._lane.recover()
            presence.forget(self._settings.home, self._db, name)
        if gone:
            short.end_orphans(self._settings.home)
        self._lane.recover()
        self._expire()

    def _expire(self) -> None:
        now = self._wiring.clock()
        held = budgets.held(self._db, budgets.limits_of(self._settings), now=now)
        for job_id in ledger.waiting_since(self._db, now - self._settings.queue_timeout.total_seconds()):
            if held.why(ledger.job_of(self._db, job_id).repo_id) is not None:
                continue  # it was told until when it waits
            ledger.end_waiting(self._db, job_id, Outcome.EXPIRED, now=now, reason="waited too long")
