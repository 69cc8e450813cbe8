"""Delivers what is no branch: a review, and long findings as a file. Each looks for its own trace first."""

from __future__ import annotations

import logging

import msgspec

from jobs import findings, handed, recipe_sentences, sentences
from jobs.gitea import GiteaMissing, GiteaRejected, LineComment, ReviewDraft
from jobs.outgoing import agents_words, last_look
from jobs.redact import Redactor
from jobs.remarks import Placed, Remark
from jobs.servers import Forge
from jobs.tasks import Recipe
from jobs.wiring import Wiring
from models import ledger
from models.tables import Job, Thread

log = logging.getLogger(__name__)


def post_review(wiring: Wiring, forge: Forge, thread: Thread, job: Job) -> Job:
    """Post the job's review, unless it is there. One that Gitea does not take stays without an address,
    and is told in the closing comment instead.
    """
    repo, mark = thread.repo.name, sentences.marker(job.id, recipe_sentences.REVIEW)
    posted = forge.gitea.find_review(repo, thread.issue, mark, forge.bot.id)
    if posted is None:
        try:
            posted = forge.gitea.add_review(repo, thread.issue, _draft(wiring, job, mark))
        except GiteaRejected as rejected:
            log.warning("job=%s: the review of %s#%s was not taken: %s", job.id, repo, thread.issue, rejected)
            return job
    Job.update(review_url=posted.html_url).where(Job.id == job.id).execute(wiring.db)
    return ledger.job_of(wiring.db, job.id)


def _draft(wiring: Wiring, job: Job, mark: str) -> ReviewDraft:
    placed = placed_of(job, wiring.redactor)
    comments = [
        LineComment(each.path, each.line, each.side, last_look(each.body, wiring.redactor)) for each in placed.remarks
    ]
    body = last_look(recipe_sentences.review_body(placed, ""), wiring.redactor)
    return ReviewDraft(f"{body}\n\n{mark}", job.head_sha or "", comments)


def placed_of(job: Job, redactor: Redactor) -> Placed:
    """The job's review as it may leave: it mentions nobody, and holds no secret."""
    placed = msgspec.json.decode(job.review, type=Placed)

    def clean(remark: Remark) -> Remark:
        return msgspec.structs.replace(remark, body=agents_words(remark.body, redactor))

    return msgspec.structs.replace(
        placed,
        summary=agents_words(placed.summary, redactor),
        remarks=tuple(map(clean, placed.remarks)),
        loose=tuple(map(clean, placed.loose)),
    )


def attach_findings(wiring: Wiring, forge: Forge, thread: Thread, job: Job, comment: int) -> None:
    """Attach findings that are too long to the comment that shows their beginning. Where the server takes no attachment
    the comment shows what fits.
    """
    if not goes_on(job):
        return
    repo, text = thread.repo.name, wiring.redactor.clean(job.answer)
    try:
        forge.gitea.ensure_attached(repo, comment, handed.FINDINGS, text.encode(errors="replace"))
    except (GiteaMissing, GiteaRejected) as refused:
        log.warning("job=%s: the findings could not be attached: %s", job.id, refused)
        _show_all(wiring, forge, thread, job, comment)


def goes_on(job: Job) -> bool:
    """Whether a comment shows only the beginning of the job's findings."""
    return job.base == Recipe.RESEARCH and not findings.shown(job.answer).whole


def _show_all(wiring: Wiring, forge: Forge, thread: Thread, job: Job, comment: int) -> None:
    mark = sentences.marker(job.id, sentences.RESULT)
    text = f"{recipe_sentences.not_attached()}\n\n{job.answer}"
    try:
        forge.gitea.edit_comment(thread.repo.name, comment, f"{last_look(text, wiring.redactor)}\n\n{mark}")
    except GiteaMissing:
        log.info("job=%s: somebody has deleted the comment with its findings", job.id)
