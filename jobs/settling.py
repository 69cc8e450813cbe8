"""How a run of a job ends: settled, or back in the queue after a pause that grows."""

from __future__ import annotations

import logging
import random
from contextlib import suppress

from jobs import checks
from jobs.agent import AgentLocked, LaunchFailed
from jobs.checks import SetupFailed
from jobs.commands import CommandCancelled, CommandLost
from jobs.gateway.door import GatewayFailed
from jobs.gitea import GiteaDown, GiteaError, GiteaRefused
from jobs.launching import Launching
from jobs.recipes import NothingNew
from jobs.whereabouts import Whereabouts
from jobs.wiring import Wiring
from jobs.workspace import FetchFailed, InsideStopped, MirrorBusy, RepositoryUnreadable, WorkspaceRefused
from models import ledger, threads, trouble
from models.disk import unwritable
from models.ledger import Claimed
from models.moves import Outcome
from models.tables import Thread

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 600.0
LONGEST_OUTAGE_PAUSE_SECONDS = 60.0
"""A try while Gitea cannot be worked with costs next to nothing, and somebody waits."""
MOVED_PAUSE_SECONDS = 1.0
"""Where the repository is has just been asked, so there is nothing more to wait for."""
OWN_FAULT = "this is an error of Kugetsu's own, not of your request. Whoever runs it finds all of it in its log."


class CancelledBefore(Exception):
    """Somebody cancelled the job before its agent was launched."""


class Settling:
    """The ends of jobs that this worker holds."""

    def __init__(self, wiring: Wiring, launching: Launching) -> None:
        self._wiring = wiring
        self._launching = launching

    def after(self, claimed: Claimed, error: Exception) -> None:
        """The end of a run that raised `error`; it is raised on where of the job nothing can be written now."""
        match error:
            case NothingNew():
                self.settle(claimed, Outcome.COMPLETED, "", answer=str(error))
            case CancelledBefore() | CommandCancelled():
                self.settle(claimed, Outcome.CANCELLED, "")
            case SetupFailed():
                self.settle(claimed, Outcome.FAILED, f"{error}", **checks.row(error.end))
            case GiteaDown() | FetchFailed():
                self.again(claimed, f"{error}", counts=False, longest=LONGEST_OUTAGE_PAUSE_SECONDS)
            case MirrorBusy() | InsideStopped() | LaunchFailed() | AgentLocked() | GatewayFailed():
                self.again(claimed, f"{error}", counts=False)
            case WorkspaceRefused() | GiteaError() | CommandLost():
                self._refused(claimed, error)
            case _:
                self._after_trouble(claimed, error)

    def _after_trouble(self, claimed: Claimed, error: Exception) -> None:
        if trouble.of_database(error) is not None:
            raise error  # and its agent may well go on: see `jobs.lane`
        if isinstance(error, PermissionError) and unwritable(self._wiring.settings) is not None:
            self.again(claimed, trouble.UNWRITABLE, counts=False)
            return
        if (words := trouble.of_storage(error)) is not None:
            self.again(claimed, words, counts=False)
            return
        log.error("job=%s: the runner stumbled", claimed.job_id, exc_info=error)
        self.settle(claimed, Outcome.FAILED, OWN_FAULT)

    def _refused(self, claimed: Claimed, refusal: Exception) -> None:
        """The end of the job, unless it is our token that is refused: that is no fault of whoever asked."""
        thread = threads.load(self._wiring.db, ledger.job_of(self._wiring.db, claimed.job_id).thread_id)
        problem = None if isinstance(refusal, CommandLost) else self._wiring.forges[thread.server].problem_of_token()
        if isinstance(refusal, GiteaRefused) and refusal.is_of_the_token:
            problem = str(refusal)
        longest = LONGEST_OUTAGE_PAUSE_SECONDS
        if isinstance(refusal, RepositoryUnreadable) and self._has_moved(thread, refusal.repo):
            problem, longest = f"{refusal}", MOVED_PAUSE_SECONDS
        if problem is None:
            self.settle(claimed, Outcome.FAILED, f"{refusal}")
        else:
            self.again(claimed, problem, counts=False, longest=longest)

    def _has_moved(self, thread: Thread, name: str) -> bool:
        """Whether the repository that could not be read under this name has another one."""
        with suppress(GiteaError):
            Whereabouts(self._wiring).follow(self._wiring.forges[thread.server], thread.repo)
        return threads.load(self._wiring.db, thread.id).repo.name != name

    def again(self, claimed: Claimed, reason: str, *, counts: bool, longest: float | None = None) -> None:
        """Back into the queue, after a pause that grows; an outage of Gitea's counts against no limit."""
        job = ledger.job_of(self._wiring.db, claimed.job_id)
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(job.run - 1, 16), longest or LONGEST_PAUSE_SECONDS)
        now = self._wiring.clock()
        not_before = now + pause * random.uniform(0.8, 1.2)  # noqa: S311 - spread, not secrecy
        attempt = job.attempt + 1 if counts else job.attempt
        log.warning("job=%s again in %.0f s: %s", job.id, not_before - now, reason)
        changes = {"not_before": not_before, "error": reason, "attempt": attempt}
        ledger.requeue(self._wiring.db, claimed, now=now, reason=reason, **changes)

    def settle(self, claimed: Claimed, outcome: Outcome, error: str, **result: object) -> None:
        now, agent_name = self._wiring.clock(), self._launching.agent_name
        told = {"error": error, "agent": agent_name, **result}
        if ledger.settle(self._wiring.db, claimed, outcome, now=now, reason=error or str(outcome), **told):
            log.info("job=%s %s %s", claimed.job_id, outcome, error)
