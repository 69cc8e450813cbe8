"""From the rows of a job to what there is to say about it."""

from __future__ import annotations

from typing import Any

from jobs import findings, handed
from jobs.checked import Check
from jobs.delivering import placed_of
from jobs.outgoing import agents_words, mentions_of, printed
from jobs.queue_view import place_of
from jobs.sentences import Facts
from jobs.spending import warning
from jobs.tasks import Recipe
from jobs.wiring import Wiring
from models import spending
from models.estimate import Outlook
from models.moves import Outcome, State, Verdict
from models.tables import Ask, Job, Thread


def facts_of(wiring: Wiring, job: Job, thread: Thread, outlook: Outlook | None = None) -> Facts:
    """Everything the sentences about `job` of `thread` need; `outlook` is what it has to expect in the queue."""
    return Facts(
        job_id=job.id,
        recipe=job.recipe,
        base=job.base,
        state=State(job.state),
        outcome=Outcome(job.outcome) if job.outcome else None,
        askers=_askers(wiring, job),
        place=place_of(wiring, outlook),
        started_at=job.started_at,
        finished_at=job.finished_at,
        attempt=job.attempt,
        step=agents_words(job.step, wiring.redactor),
        steps=job.steps,
        **_brought(wiring, job),
        error=_error(wiring, job),
        model=job.model or wiring.settings.model or "",
        agent=job.agent,
        tokens_in=job.tokens_in,
        tokens_out=job.tokens_out,
        cost=job.cost,
        changed=job.changed,
        pull=job.pull or thread.pull,
        new_pull=job.new_pull,
        log_url=f"{wiring.settings.public_url}/admin/jobs/{job.id}",
        issue=thread.issue,
        title=thread.title,
        check=_check(wiring, job, thread),
        cut_short=spending.cut_short(wiring.db, job.id),
        warning=warning(wiring, job.id) if job.state == State.RUNNING else "",
    )


def _brought(wiring: Wiring, job: Job) -> dict[str, Any]:
    """What the agent has brought, as far as a comment shows it."""
    redactor = wiring.redactor
    if job.base == Recipe.RESEARCH:
        seen = findings.shown(job.answer)
        shown = {"answer": agents_words(seen.report, redactor), "questions": agents_words(seen.questions, redactor)}
        return {**shown, "attached": "" if seen.whole else handed.FINDINGS}
    review = placed_of(job, redactor) if job.review else None
    return {"answer": agents_words(job.answer, redactor), "review": review, "review_url": job.review_url}


def _check(wiring: Wiring, job: Job, thread: Thread) -> Check | None:
    """What the repository's own command said; None where none was run."""
    if job.check_ok is None:
        return None
    output = printed(job.check_output, wiring.redactor)
    clean, ours = wiring.redactor.clean(job.check), not thread.is_pull
    return Check(clean, job.check_ok, job.check_how, job.check_seconds, output, job.repairs, ours)


def _error(wiring: Wiring, job: Job) -> str:
    """Why it failed, which may quote a program; whoever cancelled it is named as we put it."""
    if job.outcome == Outcome.CANCELLED and job.cancel_reason:
        return job.cancel_reason
    return agents_words(job.error, wiring.redactor)


def _askers(wiring: Wiring, job: Job) -> tuple[str, ...]:
    mine = (Ask.job == job.id) & (Ask.verdict == Verdict.ADMITTED)
    rows = Ask.select(Ask.author).where(mine).order_by(Ask.id).tuples().execute(wiring.db)
    return mentions_of([login for (login,) in rows] or [job.asked_by])
