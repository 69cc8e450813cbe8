"""What the runs of a job's agent say that they have used, and what that means for its budgets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jobs import budget_sentences, keeper
from jobs.queue import Lane
from jobs.transcript import Transcript
from jobs.wiring import Wiring
from models import budgets, ledger, spending
from models.budgets import Budget
from models.spending import Spent
from models.tables import Job


def spent_in(transcript: Transcript) -> Spent:
    """By one run."""
    tokens = transcript.tokens
    taken_in = tokens.input + tokens.cache_read + tokens.cache_write
    return Spent(taken_in, tokens.output + tokens.reasoning, transcript.cost)


def spent_before(run_dir: Path, run: int) -> Spent:
    """By the runs before number `run`, whose folder is `run_dir`. Reads what they wrote, so ask once."""
    folders = (run_dir.with_name(f"run-{number}") for number in range(1, run))
    return sum((spent_in(Transcript.of(folder / keeper.EVENTS)) for folder in folders), Spent())


class Purse:
    """The budgets on which one run of a job draws. `run_dir` is its folder, beside those of the runs before it."""

    def __init__(self, wiring: Wiring, job: Job, run_dir: Path) -> None:
        self._wiring = wiring
        self._job_id = job.id
        self._before = spent_before(run_dir, job.run)
        self._limits = budgets.limits_of(wiring.settings)
        self._warned = False

    def note(self, transcript: Transcript) -> None:
        """The agent says that it has used that much in this run."""
        spent = self._before + spent_in(transcript)
        spending.note(self._wiring.db, self._job_id, spent, now=self._wiring.clock())

    def look(self) -> str | None:
        """Why the agent has to be ended, if it has; when that comes near, its comment is made to say so."""
        found = self._found()
        if found and found[0].near and not self._warned:
            self._warned = True
            ledger.want_report(self._wiring.db, self._job_id)
            self._wiring.bells.ring(Lane.DESK)
        full = _first_full(found)
        return self.said(full) if full else None

    def full(self) -> Budget | None:
        """The budget that is spent, None where none is."""
        return _first_full(self._found())

    def said(self, full: Budget) -> str:
        """That it is spent, as a sentence."""
        return budget_sentences.over(full, self._wiring.clock())

    def _found(self) -> list[Budget]:
        return budgets.of_job(self._wiring.db, self._limits, self._job_id, now=self._wiring.clock())


def _first_full(found: Iterable[Budget]) -> Budget | None:
    return next((budget for budget in found if budget.full), None)


def warning(wiring: Wiring, job_id: int) -> str:
    """What the job's comment has to warn of; "" where there is nothing."""
    limits = budgets.limits_of(wiring.settings)
    found = budgets.of_job(wiring.db, limits, job_id, now=wiring.clock())
    return budget_sentences.warning(found[0]) if found and found[0].near else ""


def issue_spent(wiring: Wiring, thread_id: int) -> str | None:
    """Why nothing more can be asked on this issue, where its budget is spent."""
    limits = budgets.limits_of(wiring.settings)
    full = _first_full(budgets.of_thread(wiring.db, limits, thread_id))
    return budget_sentences.over(full, wiring.clock()) if full else None
