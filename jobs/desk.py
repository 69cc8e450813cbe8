"""The desk: admission and reports, one issue at a time."""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from peewee import PeeweeException

from jobs import admission, freeing, pulls
from jobs.gitea import GiteaDown, GiteaError, GiteaRefused, GiteaRejected
from jobs.patience import patiently
from jobs.queue import Lane
from jobs.reconcile import Reconciler
from jobs.report import Reporter
from jobs.whereabouts import Where, Whereabouts, is_about_the_repository
from jobs.wiring import Wiring
from jobs.workspace import FetchFailed, MirrorBusy, PushFailed, Workspace
from models import closing, threads, trouble
from models.tables import Thread

log = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
SHARE = 3
"""Threads of one server that are seen to at once: where there are several, one that hangs keeps only these."""
DELIVERING = 2
"""Of these the ones at most whose work is being delivered: a push may hang for minutes, and what is short has room."""

ARCHIVED_PAUSE_SECONDS = 86400.0
"""Its repository being no longer archived is seen by others, and ends the pause."""


class Desk:
    """Sees to every thread that wants it; `look` is what a ring calls."""

    def __init__(self, wiring: Wiring, reporter: Reporter, workspace: Workspace, reconciler: Reconciler) -> None:
        self._wiring = wiring
        self._reporter = reporter
        self._workspace = workspace
        self._reconciler = reconciler
        self._whereabouts = Whereabouts(wiring)
        self._taking, self._taken, self._delivering = threading.Lock(), Counter[str](), Counter[str]()

    def look(self) -> None:
        """See to threads, and look at Gitea between two of them, until nothing is due, or the worker is to stop. One
        ring wakes one worker, who wakes the next while there is more.
        """
        while not self._wiring.stopping.is_set() and self._see_to_one() | self._reconciler.look():
            pass

    def _see_to_one(self) -> bool:
        with self._taking:
            thread = self._take()
            if thread is None:
                return False
            delivers = threads.delivers(self._wiring.db, thread.id)
            self._taken[thread.server] += 1
            self._delivering[thread.server] += delivers
        try:
            self._wiring.bells.ring(Lane.DESK)
            self._see_to(thread)
        finally:
            with self._taking:
                self._taken[thread.server] -= 1
                self._delivering[thread.server] -= delivers
        return True

    def _take(self) -> Thread | None:
        wiring = self._wiring
        several = len(wiring.forges.names) > 1
        full = [name for name, count in self._taken.items() if count >= SHARE] if several else []
        busy = [name for name, count in self._delivering.items() if count >= DELIVERING]
        lent = {"now": wiring.clock(), "lease": LEASE_SECONDS}
        return threads.take_thread(wiring.db, wiring.worker, **lent, but_of=full, delivering_none_of=busy)

    def _see_to(self, thread: Thread) -> None:
        try:
            with self._lease_kept(thread), self._written_while_held(thread):
                self._attend(thread)
            threads.thread_done(self._wiring.db, thread, now=self._wiring.clock())
        except (GiteaError, PushFailed, FetchFailed, MirrorBusy) as error:
            self._after(thread, error)
        except Exception as error:
            words = trouble.of_storage(error)
            if trouble.of_database(error) is not None:
                self._give_back_patiently(thread, words or "")
                return
            if words is None:
                log.exception(
                    "server=%s repo=%s issue=%s: the desk stumbled", thread.server, thread.repo.name, thread.issue
                )
            self._put_off(thread, words or "an error of Kugetsu's own; its log has all of it")

    def _attend(self, thread: Thread) -> None:
        forge = self._wiring.forges[thread.server]
        looks = thread.look_wanted > thread.look_seen
        if thread.is_pull and (looks or threads.pending_asks(self._wiring.db, thread.id)):
            pulls.send_home(self._wiring, forge, thread)
        if looks:
            admission.look(self._wiring, forge, thread)
        stumbled: list[Exception] = []
        for ask in threads.pending_asks(self._wiring.db, thread.id):
            with _going_on(stumbled):
                admission.decide(self._wiring, forge, thread, ask)
        self._reporter.publish(forge, thread)
        freeing.free(self._wiring, self._workspace, forge, thread)
        if stumbled:
            raise stumbled[0]

    def _after(self, thread: Thread, error: Exception) -> None:
        """What could not be done is tried again later, but where its repository is gone for good."""
        where = self._where(thread, error)
        if where.given_up:
            now = self._wiring.clock()
            for job_id in closing.give_up(self._wiring.db, thread.id, now=now, reason=where.words):
                log.error(
                    "job=%s server=%s repo=%s ends untold: %s", job_id, thread.server, thread.repo.name, where.words
                )
            threads.thread_done(self._wiring.db, thread, now=now)
            return
        if where.moved:
            threads.thread_failed(self._wiring.db, thread, problem=where.words, not_before=0.0)
            return
        if isinstance(error, GiteaDown) or (isinstance(error, GiteaRefused) and error.is_of_the_token):
            self._wiring.forges.doubt(thread.server)
        least = ARCHIVED_PAUSE_SECONDS if where.archived else error.wait if isinstance(error, GiteaDown) else 0.0
        self._put_off(thread, where.words or str(error), least)

    def _where(self, thread: Thread, error: Exception) -> Where:
        """What became of the thread's repository, or of its issue, where that may be what the error is about."""
        if not isinstance(error, GiteaError) or not is_about_the_repository(error):
            return Where()
        try:
            forge = self._wiring.forges[thread.server]
            where = self._whereabouts.follow(forge, thread.repo)
            return where if where.words else self._whereabouts.follow_issue(forge, thread)
        except GiteaError:
            return Where()

    def _put_off(self, thread: Thread, problem: str, least: float = 0.0) -> None:
        pause = max(pause_after(thread.desk_failures), least)
        log.warning(
            "server=%s repo=%s issue=%s again in %.0f s: %s",
            thread.server,
            thread.repo.name,
            thread.issue,
            pause,
            problem,
        )
        not_before = self._wiring.clock() + pause
        threads.thread_failed(self._wiring.db, thread, problem=problem, not_before=not_before)

    def _give_back_patiently(self, thread: Thread, words: str) -> None:
        """Nothing can be written now, not even that; once it can, all of it is seen to again."""
        log.error("server=%s repo=%s issue=%s waits: %s", thread.server, thread.repo.name, thread.issue, words)
        now = self._wiring.clock
        patiently(self._wiring, lambda: threads.thread_failed(self._wiring.db, thread, problem=words, not_before=now()))

    @contextmanager
    def _written_while_held(self, thread: Thread) -> Iterator[None]:
        with self._wiring.forges[thread.server].gitea.writing_while(lambda: threads.is_held(self._wiring.db, thread)):
            yield

    @contextmanager
    def _lease_kept(self, thread: Thread) -> Iterator[None]:
        """Renew the lease while the block runs, however slow Gitea is."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(LEASE_SECONDS / 4):
                until = self._wiring.clock() + LEASE_SECONDS
                try:
                    threads.renew_thread(self._wiring.db, thread.id, self._wiring.worker, until=until)
                except PeeweeException:
                    log.exception("thread=%s: the lease could not be renewed; tried again", thread.id)
            self._wiring.db.close()

        keeper = threading.Thread(target=renew, name=f"lease-{thread.id}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()


@contextmanager
def _going_on(stumbled: list[Exception]) -> Iterator[None]:
    """What goes wrong with one ask alone, because of an error of our own or since Gitea will never take what is to be
    said to it, keeps no other ask waiting. It is added to `stumbled`.
    """
    try:
        yield
    except Exception as error:
        concerns_all = isinstance(error, GiteaError) and not isinstance(error, GiteaRejected)
        if concerns_all or is_about_the_repository(error) or trouble.of_storage(error) is not None:
            raise
        stumbled.append(error)


def workers_for(servers: int) -> int:
    """How many see to the desk. Of several servers each has its share, and one worker more may be kept by looking there
    for what was missed; one in all by seeing to webhooks.
    """
    return SHARE if servers <= 1 else (SHARE + 1) * servers + 1


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row: doubling, with a ceiling, and never all at the same moment."""
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(failures, 20), LONGEST_PAUSE_SECONDS)
    return float(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spread, not secrecy
