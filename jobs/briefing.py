"""Gathers what the agent is told: the issue, what people who may write said of it, and what was asked."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobs import repofile
from jobs.attachments import fetch
from jobs.checks import MOST_REPAIRS
from jobs.errand import Errand
from jobs.hearing import Heard, hear
from jobs.mirror import Mirror
from jobs.prompt import IssueText, PromptRequest, Recipe, Repair, Said, Turn, render
from jobs.pull_context import context
from jobs.pull_values import PullContext
from jobs.recipes import Terms
from jobs.wiring import Wiring
from models import ledger, turns
from models.tables import Ask, Job
from models.wire import Attachment, Issue


@dataclass(frozen=True)
class Briefing:
    """`prompt` for the agent, the images that belong to it by the names of files, and the newest comment it tells of
    (0 for none).
    """

    prompt: str
    images: Mapping[str, bytes]
    told_until: int


def brief(wiring: Wiring, errand: Errand, terms: Terms, mirror: Path, *, known: bool, temp_dir: str) -> Briefing:
    """What to tell the agent. `known`: its session knows this issue from an earlier run. Raises `GiteaError`."""
    forge, thread, job = errand.forge, errand.thread, errand.job
    asks = ledger.asks_of(wiring.db, job.id)
    turn = _turn(asks, known=known, overtaken=turns.overtaken(wiring.db, job))
    issue = forge.gitea.issue(thread.repo.name, thread.issue)
    until = max((ask.said_at for ask in asks), default=wiring.clock())
    since = 0 if turn is Turn.FIRST else thread.told_until
    heard = Heard() if turn is Turn.RESUME else hear(wiring, forge, thread, asks, since)
    files = [*_issues_files(issue, turn), *(file for remark in heard.remarks for file in remark.files)]
    attached = fetch(forge, files, until)
    request = PromptRequest(
        turn=turn,
        recipe=terms.base,
        repo=thread.repo.name,
        branch=errand.target.branch,
        issue=_as_asked(issue, asks),
        comments=[Said(remark.user.login, remark.text, remark.at) for remark in heard.remarks],
        asks=[Said(ask.author, ask.instructions, datetime.fromtimestamp(ask.said_at, UTC)) for ask in asks],
        nonce=secrets.token_hex(8),
        own=terms.instructions,
        scope=terms.scope,
        temp_dir=temp_dir,
        check=repofile.kept(wiring, thread.repo).verify if terms.base is Recipe.CODE else None,
        repair=_repair(job),
        pull=None if turn is Turn.RESUME else _pull(wiring, errand, terms, mirror),
        left_out=(*heard.left_out, *(f"attached file {name}" for name in attached.left_out)),
        files=attached.texts,
        images=[f"{own}: {name}" for own, name in attached.names.items()],
    )
    told_until = max((remark.id for remark in heard.remarks), default=thread.told_until)
    return Briefing(render(request), attached.images, told_until)


def _as_asked(issue: Issue, asks: Sequence[Ask]) -> IssueText:
    """The issue as it was when the newest of the asks was made, whose author is the last to have read it."""
    frozen = [(ask.title, ask.body) for ask in asks if ask.body is not None]
    title, body = frozen[-1] if frozen else (issue.title, issue.body)
    return IssueText(issue.number, title or "", body or "", issue.user.login, is_pull=issue.is_pull)


def _issues_files(issue: Issue, turn: Turn) -> tuple[Attachment, ...]:
    """The issue's own attachments, told once."""
    return (issue.assets or ()) if turn is Turn.FIRST else ()


def _pull(wiring: Wiring, errand: Errand, terms: Terms, mirror: Path) -> PullContext | None:
    """What there is to say of the pull request that the thread is about; nothing of one that is only its result."""
    thread, job = errand.thread, ledger.job_of(wiring.db, errand.job.id)
    if not thread.is_pull or job.base_sha is None or job.head_sha is None:
        return None
    pull = errand.forge.gitea.pull(thread.repo.name, thread.issue)
    return context(Mirror(mirror), pull, job.base_sha, job.head_sha, stranger=terms.stranger)


def _repair(job: Job) -> Repair | None:
    """What the agent has to be told of a check that failed, unless it knows."""
    if job.repairs == 0 or job.repair_told is not None:
        return None
    return Repair(job.check, job.check_how, job.check_output, last=job.repairs >= MOST_REPAIRS)


def _turn(asks: Sequence[Ask], *, known: bool, overtaken: bool) -> Turn:
    """`overtaken`: the session has been asked something else since."""
    if not known:
        return Turn.FIRST
    told = [ask for ask in asks if ask.told_run is not None]
    if not told:
        return Turn.FOLLOW_UP
    return Turn.RESUME if len(told) == len(asks) and not overtaken else Turn.ADDED
