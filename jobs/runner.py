"""Runs one job: opens its place, launches the agent or finds it running, reads along, and settles how it ended.

Everything can be repeated by another worker. What must survive is in the job's row, in the place, and in the run's
folder `jobs/<id>/run-<n>/`; a thread here holds nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from jobs import agent, checks, commands, freeing, keeper, repofile, room
from jobs.agent import RunState, StartGate
from jobs.checks import Checks
from jobs.commands import CommandEnd
from jobs.errand import Errand
from jobs.following import Following, Leaving
from jobs.gitea import GiteaDown, GiteaError, GiteaRefused
from jobs.keeper import KeeperResult
from jobs.launching import Launching
from jobs.leases import TakenOver, check_held, lease_kept
from jobs.patience import AGAIN_SECONDS
from jobs.recipes import Recipes, Terms, keep_session, session_of, whereabouts
from jobs.repofile import RepoFile
from jobs.settling import CancelledBefore, Settling
from jobs.spending import Purse
from jobs.tasks import Recipe
from jobs.transcript import Cancelled, Completed, Failed, ShutDown, Transcript, judge
from jobs.wiring import Wiring
from jobs.workspace import Target, Workspace
from models import ledger, spending, threads, trouble
from models.ledger import Claimed
from models.moves import Outcome
from models.tables import Job

log = logging.getLogger(__name__)

MAX_CRASHES = 3
GITEA_SECONDS = 5.0
"""How often Gitea is asked again for what an agent that has ended is to be brought to."""


class Runner:
    """`launching` knows how to start the agent program; `gate` lets only so many start at once."""

    def __init__(self, wiring: Wiring, workspace: Workspace, launching: Launching, gate: StartGate) -> None:
        self.leaving = threading.Event()
        self._wiring = wiring
        self._workspace = workspace
        self._launching = launching
        self._gate = gate
        self._checks = Checks(wiring, workspace, launching.sandbox)
        self._recipes = Recipes(wiring, workspace)
        self._following = Following(wiring, workspace, self.leaving)
        self._ends = Settling(wiring, launching)

    def run(self, claimed: Claimed) -> None:
        """Run a job that was just claimed, to its end."""
        self._guarded(claimed, lambda: self._run(self._errand(claimed)))

    def resume(self, claimed: Claimed, *, spared: str = "") -> None:
        """Go on with a job that was left: read along, settle what lies there, or queue it again. Where its agent went
        along with its worker that is a crash, unless `spared` says why it is none.
        """
        self._guarded(claimed, lambda: self._resume(claimed, spared=spared))

    def _guarded(self, claimed: Claimed, act: Callable[[], None]) -> None:
        """Every way in which running a job can end is an end of the job, or puts it back into the queue. While
        something of it still runs it does neither: it is read along anew.
        """
        while True:
            try:
                with lease_kept(self._wiring, claimed):
                    act()
                return
            except Leaving:
                log.info("job=%s is left to the next worker", claimed.job_id)
                raise
            except TakenOver:
                log.info("job=%s was taken over by another worker", claimed.job_id)
                return
            except Exception as error:
                if not self._goes_on(claimed, error):
                    self._ends.after(claimed, error)
                    return
                log.warning("job=%s goes on, and is read along anew", claimed.job_id, exc_info=error)
            act = partial(self._resume, claimed, spared="")
            if self.leaving.wait(AGAIN_SECONDS):
                raise Leaving

    def _goes_on(self, claimed: Claimed, error: Exception) -> bool:
        """Whether something of the job still runs. Trouble with the database is the lane's to wait for."""
        if trouble.of_database(error) is not None or not ledger.holds(self._wiring.db, claimed):
            return False
        job = ledger.job_of(self._wiring.db, claimed.job_id)
        thread = threads.load(self._wiring.db, job.thread_id)
        run_dir, lock = self._run_dir(job), self._lock(whereabouts(thread, job))
        folders = [run_dir, *commands.begun(run_dir)]
        return any(agent.state_of(folder, lock) is RunState.RUNNING for folder in folders)

    def _errand(self, claimed: Claimed, *, to_look: bool = False) -> Errand:
        """The job with all that it needs; for who is only `to_look`, without asking Gitea."""
        job = ledger.job_of(self._wiring.db, claimed.job_id)
        thread = threads.load(self._wiring.db, job.thread_id)
        forge = self._wiring.forges[thread.server]
        target = whereabouts(thread, job) if to_look else self._recipes.target(forge, thread, job)
        run_dir, lock = self._run_dir(job), self._lock(target)
        return Errand(claimed, job, thread, forge, target, run_dir, lock, Purse(self._wiring, job, run_dir))

    def _run_dir(self, job: Job) -> Path:
        return self._wiring.settings.home / "jobs" / str(job.id) / f"run-{job.run}"

    def _lock(self, target: Target) -> Path:
        root = self._workspace.place(target).root
        return root.with_name(f"{root.name}+lock")

    def _run(self, errand: Errand) -> None:
        self._check(errand)
        thread = freeing.free_for(self._wiring, self._workspace, errand.forge, errand.thread)
        errand = replace(errand, thread=thread, target=self._recipes.target(errand.forge, thread, errand.job))
        opened = self._recipes.open(errand)
        if opened.new or (errand.job.fresh and not ledger.is_told(self._wiring.db, errand.job.id)):
            keep_session(self._wiring.db, errand.thread, errand.job, None)
        self._begin(errand, repofile.current(self._wiring, errand.forge, errand.thread.repo))

    def _begin(self, errand: Errand, file: RepoFile) -> None:
        """In a place that is open: the repository's setup, then the agent."""
        self._check(errand)
        if self._is_held(errand):
            return
        terms = self._recipes.terms(errand, file)
        if not terms.stranger:
            self._checks.prepare(errand, file, partial(self._following.command, errand))
        self._launch(errand, terms)

    def _launch(self, errand: Errand, terms: Terms) -> None:
        ledger.note_progress(self._wiring.db, errand.claimed, model=terms.model)
        with self._gate.pass_through(lambda: self._check(errand)) as free:
            self._check(errand)
            place, mirror = self._workspace.place(errand.target), self._workspace.mirror(errand.target)
            session = session_of(threads.load(self._wiring.db, errand.thread.id), errand.job)
            check = partial(self._check, errand)
            self._launching.launch(errand, place, mirror, terms, session=session, check=check)
            self._following.run(errand, free)
        self._finish(errand)

    def _check(self, errand: Errand) -> None:
        """Raise where there is no use in going on."""
        self._following.check_leaving()
        check_held(self._wiring, errand.claimed)
        if ledger.cancel_requested(self._wiring.db, errand.job.id):
            raise CancelledBefore

    def _resume(self, claimed: Claimed, *, spared: str) -> None:
        errand = self._errand(claimed, to_look=True)
        self._follow_what_runs(errand)
        if commands.began(errand.run_dir, checks.SETUP) and not (errand.run_dir / keeper.KEEPER).exists():
            self._begin(self._errand(claimed), repofile.kept(self._wiring, errand.thread.repo))
            return
        if agent.result_of(errand.run_dir) is not None:
            self._finish(self._once_gitea_answers(errand))
            return
        strays = self._end_strays(errand)
        if spared:
            self._go_on_later(errand, spared)
            return
        log.warning("job=%s was lost with its worker; %d processes were left over", errand.job.id, len(strays))
        self._after_crash(errand)

    def _follow_what_runs(self, errand: Errand) -> None:
        """To its end, whatever Gitea says. What a worker that is gone has launched, and has not begun, never does."""
        for folder in (*commands.begun(errand.run_dir), errand.run_dir):
            agent.withdraw(folder)
            if agent.state_of(folder, errand.lock) is RunState.RUNNING:
                if folder == errand.run_dir:
                    self._following.run(errand, _nothing)
                else:
                    self._following.command(errand, folder)

    def _once_gitea_answers(self, errand: Errand) -> Errand:
        """What an agent has finished waits for Gitea, rather than being done again. Raises what `_check` raises."""
        while True:
            self._check(errand)
            try:
                return self._errand(errand.claimed)
            except GiteaError as error:
                if not isinstance(error, GiteaDown) and not (isinstance(error, GiteaRefused) and error.is_of_the_token):
                    raise
                log.warning("job=%s has ended, and waits: %s", errand.job.id, error)
                self._wiring.forges.doubt(errand.thread.server)
            self.leaving.wait(GITEA_SECONDS)

    def _end_strays(self, errand: Errand) -> tuple[int, ...]:
        return agent.end_strays(errand.lock, self._workspace.place(errand.target))

    def _after_crash(self, errand: Errand) -> None:
        """A crash counts against a limit of its own, not against the attempts; not where the disk is full, since a run
        ends without a word then.
        """
        crashes = errand.job.crashes + 1
        self._end_strays(errand)
        agent.tidy(errand.run_dir)
        self._check(errand)
        if self._is_scarce:
            self._ends.again(errand.claimed, trouble.FULL, counts=False)
            return
        if crashes >= MAX_CRASHES:
            self._ends.settle(errand.claimed, Outcome.FAILED, f"its worker was lost {crashes} times while it ran.")
            return
        now = self._wiring.clock()
        ledger.requeue(self._wiring.db, errand.claimed, now=now, reason="its worker was lost", crashes=crashes)

    def _finish(self, errand: Errand) -> None:
        """Judge how the run ended and settle the job."""
        result = agent.result_of(errand.run_dir)
        if result is None:
            self._after_crash(errand)
            return
        transcript = Transcript.of(errand.run_dir / keeper.EVENTS)
        self._following.note(errand, transcript)
        verdict = judge(transcript, result)
        match verdict:
            case Completed(text=text):
                self._complete(errand, text)
            case Cancelled():
                self._ends.settle(errand.claimed, Outcome.CANCELLED, "")
            case ShutDown():  # whoever ended the agent ends this worker, too
                self._go_on_later(errand, "the service was shut down while it ran")
            case Failed():
                self._fail(errand, verdict, result, transcript)

    def _fail(self, errand: Errand, failed: Failed, result: KeeperResult, transcript: Transcript) -> None:
        """The run came to nothing: whether it is tried again, and what of it is kept."""
        if failed.fresh:
            keep_session(self._wiring.db, errand.thread, errand.job, None)
        match failed:
            case Failed(reason=reason) if reason.startswith(room.TOOK):
                room.clear(self._workspace.inside(errand.target))
                self._ends.settle(
                    errand.claimed, Outcome.FAILED, f"{reason}. What was new there and not committed is gone."
                )
            case Failed() if full := errand.purse.full():
                self._cut_short(errand, errand.purse.said(full), transcript.text)
            case Failed() if (self._is_scarce or result.without_room) and result.ended == "exited":
                self._ends.again(errand.claimed, trouble.FULL, counts=False)
            case Failed(reason=reason, passing=True) if self._may_try_again(errand):
                self._ends.again(errand.claimed, reason, counts=True)
            case Failed(reason=reason):
                self._ends.settle(errand.claimed, Outcome.FAILED, reason)

    def _go_on_later(self, errand: Errand, why: str) -> None:
        """The job's next run goes on where this one was; it counts against nothing."""
        agent.tidy(errand.run_dir)
        ledger.requeue(self._wiring.db, errand.claimed, now=self._wiring.clock(), reason=why)

    def _cut_short(self, errand: Errand, why: str, text: str) -> None:
        """A budget has ended the job: what its agent has done so far is kept, and brought to where it belongs."""
        if errand.job.base == Recipe.CODE:
            made: dict[str, object] = {**self._checks.take_in(errand), "answer": text}
        else:
            made = {"answer": self._recipes.found(errand, text)}
        spending.cut(self._wiring.db, errand.job.id, why)
        self._ends.settle(errand.claimed, Outcome.FAILED, why, **made)

    def _complete(self, errand: Errand, text: str) -> None:
        """Take in what the agent made, have it checked, and settle; red goes back to the agent."""
        if errand.job.base != Recipe.CODE:
            self._ends.settle(errand.claimed, Outcome.COMPLETED, "", **self._recipes.result(errand, text))
            return
        made = self._checks.take_in(errand)
        end = None
        if made["changed"] or errand.thread.pull is not None:
            end = self._checks.verify(errand, partial(self._following.command, errand))
        may_repair = errand.job.repairs < checks.MOST_REPAIRS and errand.purse.full() is None
        if end is not None and not end.ok and may_repair:
            self._repair(errand, end)
            return
        self._ends.settle(errand.claimed, Outcome.COMPLETED, "", answer=text, **made, **checks.row(end))

    def _repair(self, errand: Errand, end: CommandEnd) -> None:
        """Another run of the agent in the same session, told what is wrong."""
        if not ledger.give_back(self._wiring.db, errand.claimed, **checks.row(end)):
            return
        job = ledger.job_of(self._wiring.db, errand.job.id)
        log.info("job=%s goes back to its agent: %s", job.id, end.how)
        run_dir = errand.run_dir.with_name(f"run-{job.run}")
        errand = replace(errand, job=job, run_dir=run_dir, purse=Purse(self._wiring, job, run_dir))
        self._launch(errand, self._recipes.terms(errand, repofile.kept(self._wiring, errand.thread.repo)))

    @property
    def _is_scarce(self) -> bool:
        return room.is_scarce(self._wiring.settings)

    def _is_held(self, errand: Errand) -> bool:
        """Whether a budget is spent, so that no agent is started. What a month has spent comes back with the next one:
        until then the job waits in the queue, where it is not claimed.
        """
        full = errand.purse.full()
        if full is None:
            return False
        why = errand.purse.said(full)
        if full.scope.monthly:
            ledger.requeue(self._wiring.db, errand.claimed, now=self._wiring.clock(), reason=why)
        elif ledger.is_told(self._wiring.db, errand.job.id):  # its agent has worked, and was kept from bringing it
            self._cut_short(errand, why, "")
        else:
            spending.cut(self._wiring.db, errand.job.id, why)
            self._ends.settle(errand.claimed, Outcome.FAILED, why)
        return True

    def _may_try_again(self, errand: Errand) -> bool:
        return errand.job.attempt + 1 < self._wiring.settings.max_attempts


def _nothing() -> None:
    return
