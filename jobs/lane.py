"""The agents' lane: as many jobs as may run, each followed by a thread of its own.

Huey's worker of this lane only claims: a thread a job, rather than Huey's fixed number of workers, lets the limit
change while running and lets a job be adopted without waiting for a free one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from peewee import PeeweeException

from jobs import presence, room
from jobs.following import Leaving
from jobs.patience import AGAIN_SECONDS
from jobs.queue import Lane
from jobs.runner import Runner
from jobs.wiring import Wiring
from models import budgets, ledger, trouble
from models.ledger import Claimed
from models.moves import State
from models.tables import Job, Worker

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0

STOPPED = "the service was stopped before this could end"
UNUSABLE = "the database could not be used for a while"
"""Why the loss of an agent is no crash."""


class AgentsLane:
    """Claims jobs and adopts those whose worker is gone. `look` is what a ring calls, `recover` what the sweep does."""

    def __init__(self, wiring: Wiring, runner: Runner) -> None:
        self._wiring = wiring
        self._runner = runner
        self._threads: dict[int, tuple[threading.Thread, Claimed]] = {}
        self._lock, self._taking = threading.Lock(), threading.Lock()

    def look(self) -> None:
        """Claim while there is something to claim."""
        while not self._runner.leaving.is_set() and self._take():
            pass

    def _take(self) -> bool:
        """Claim a job and follow it, in one: to a sweep between the two it would look like a lost one of ours."""
        with self._taking:
            claimed = self._claim()
            if claimed is not None:
                self._start(claimed, self._runner.run)
        return claimed is not None

    def _claim(self) -> Claimed | None:
        wiring = self._wiring
        if not room.may_start(wiring.settings):
            return None
        now = wiring.clock()
        held = budgets.held(wiring.db, budgets.limits_of(wiring.settings), now=now)
        return ledger.claim_next(wiring.db, wiring.worker, now=now, lease=LEASE_SECONDS, held=held)

    def recover(self) -> None:
        """Take over every running job whose worker is gone or whose lease has lapsed."""
        for job in list(Job.select().where(Job.state == State.RUNNING).execute(self._wiring.db)):
            with self._taking:
                if not self._runner.leaving.is_set() and self._is_lost(job):
                    self._adopt(job)

    def _is_lost(self, job: Job) -> bool:
        if job.worker == self._wiring.worker:
            return job.id not in self._threads
        if (job.lease_until or 0.0) < self._wiring.clock():
            return True
        worker = Worker.select().where(Worker.name == job.worker).first(self._wiring.db)
        return worker is None or presence.is_gone(self._wiring.settings.home, worker.host, worker.name)

    def _adopt(self, job: Job) -> None:
        wiring = self._wiring
        lease = {"now": wiring.clock(), "lease": LEASE_SECONDS}
        claimed = ledger.adopt(wiring.db, job.id, job.epoch, wiring.worker, **lease)
        if claimed is not None:
            log.info("job=%s adopted from %s", job.id, job.worker)
            spared = STOPPED if job.lease_until == ledger.RELEASED else ""
            self._start(claimed, partial(self._runner.resume, spared=spared))

    def _start(self, claimed: Claimed, act: Callable[[Claimed], None]) -> None:
        thread = threading.Thread(target=self._follow, args=(claimed, act), name=f"job-{claimed.job_id}", daemon=True)
        with self._lock:
            self._threads[claimed.job_id] = thread, claimed
        try:
            thread.start()
        except RuntimeError:  # no thread can be had now: the next sweep takes the job up, and it is no crash
            self._forget(claimed)
            self._release(claimed)
            raise

    def _follow(self, claimed: Claimed, act: Callable[[Claimed], None]) -> None:
        try:
            self._follow_patiently(claimed, act)
        except Leaving:
            self._release(claimed)
        finally:
            self._forget(claimed)
            self._wiring.db.close()
        for lane in Lane:
            self._wiring.bells.ring(lane)

    def _forget(self, claimed: Claimed) -> None:
        """This is followed no more. Put back into the queue, the job may be followed anew by now."""
        with self._lock:
            _, followed = self._threads.get(claimed.job_id, (None, None))
            if followed == claimed:
                del self._threads[claimed.job_id]

    def _follow_patiently(self, claimed: Claimed, act: Callable[[Claimed], None]) -> None:
        """Follow the job; where the database fails us meanwhile, find it again as another worker would, once the
        database can be used. Raises Leaving.
        """
        while True:
            try:
                act(claimed)
                return
            except PeeweeException as error:
                if (words := trouble.of_database(error)) is None:
                    raise
                log.warning("job=%s waits, and its agent goes on: %s", claimed.job_id, words)
            act = partial(self._runner.resume, spared=UNUSABLE)
            if not self._ours_again(claimed):
                log.info("job=%s was taken over by another worker", claimed.job_id)
                return

    def _release(self, claimed: Claimed) -> None:
        try:
            ledger.release(self._wiring.db, claimed)
        except PeeweeException as error:
            log.warning("job=%s keeps its lease until that lapses: %s", claimed.job_id, trouble.in_words(error))

    def _ours_again(self, claimed: Claimed) -> bool:
        """Once the database can be used again: whether the job is still ours to follow. Raises Leaving."""
        while not self._runner.leaving.wait(AGAIN_SECONDS):
            try:
                self._wiring.db.close()  # after trouble another connection is the safer one
                return ledger.renew(self._wiring.db, claimed, until=self._wiring.clock() + LEASE_SECONDS)
            except PeeweeException:
                continue
        raise Leaving

    def leave(self) -> None:
        """Stop following; the agents live on and the next worker adopts them."""
        self._runner.leaving.set()

    def join(self, until: float) -> None:
        """Wait for the ends of what follows jobs, until then by the monotonic clock; what still waits for somebody else
        leaves its job to the next worker, too.
        """
        with self._lock:
            following = list(self._threads.values())
        for thread, claimed in following:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                self._release(claimed)
