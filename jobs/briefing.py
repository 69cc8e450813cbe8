"""Gathers what the agent is told: the issue, what people who may write said of it, and what was asked."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs import repofile
from jobs.checks import MOST_REPAIRS
from jobs.gitea import Allowed
from jobs.prompt import IssueText, PromptRequest, Recipe, Repair, Said, Turn, render
from jobs.servers import Forge
from jobs.wiring import Wiring
from models import ledger
from models.tables import Ask, Job, Thread
from models.wire import Comment

if TYPE_CHECKING:
    from jobs.recipes import Terms
    from jobs.runner import Errand


@dataclass(frozen=True)
class Briefing:
    """`prompt` for the agent, and the newest comment it tells of (0 for none)."""

    prompt: str
    told_until: int


def brief(wiring: Wiring, errand: Errand, terms: Terms, *, known: bool, temp_dir: str) -> Briefing:
    """What to tell the agent. `known`: its session knows this issue from an earlier run."""
    forge, thread, job = errand.forge, errand.thread, errand.job
    asks = ledger.asks_of(wiring.db, job.id)
    turn = _turn(asks, known=known)
    issue = forge.gitea.issue(thread.repo.name, thread.issue)
    comments = [] if turn is Turn.RESUME else _comments(wiring, forge, thread, asks, turn)
    request = PromptRequest(
        turn=turn,
        recipe=terms.base,
        repo=thread.repo.name,
        branch=errand.target.branch,
        issue=IssueText(issue.number, issue.title, issue.body, issue.user.login, is_pull=issue.is_pull),
        comments=[Said(comment.user.login, comment.body, comment.created_at) for comment in comments],
        asks=[Said(ask.author, ask.instructions, datetime.fromtimestamp(ask.said_at, UTC)) for ask in asks],
        nonce=secrets.token_hex(8),
        own=terms.instructions,
        scope=terms.scope,
        temp_dir=temp_dir,
        check=repofile.kept(wiring, thread.repo).verify if terms.base is Recipe.CODE else None,
        repair=_repair(job),
    )
    return Briefing(render(request), max((comment.id for comment in comments), default=thread.told_until))


def _repair(job: Job) -> Repair | None:
    """What the agent has to be told of a check that failed, unless it knows."""
    if job.repairs == 0 or job.repair_told is not None:
        return None
    return Repair(job.check, job.check_how, job.check_output, last=job.repairs >= MOST_REPAIRS)


def _turn(asks: Sequence[Ask], *, known: bool) -> Turn:
    if not known:
        return Turn.FIRST
    told = bool(asks) and all(ask.told_run is not None for ask in asks)
    return Turn.RESUME if told else Turn.FOLLOW_UP


def _comments(wiring: Wiring, forge: Forge, thread: Thread, asks: Sequence[Ask], turn: Turn) -> list[Comment]:
    """Comments made before the last ask by people who may ask, without the asks themselves; for a follow-up only those
    that the agent has not been told of.
    """
    until = max((ask.said_at for ask in asks), default=wiring.clock())
    since = thread.told_until if turn is Turn.FOLLOW_UP else 0
    spoken = _ask_comments(wiring, thread)
    heard = _Heard(wiring, forge, thread.repo.name, repofile.kept(wiring, thread.repo).allow_users)
    return [
        comment
        for comment in forge.gitea.comments(thread.repo.name, thread.issue)
        if comment.id > since
        and comment.created_at.timestamp() <= until
        and comment.id not in spoken
        and heard.is_heard(comment.user.id, comment.user.login)
    ]


def _ask_comments(wiring: Wiring, thread: Thread) -> set[int]:
    mine = (Ask.thread == thread.id) & Ask.comment_id.is_null(False)
    return {int(number) for (number,) in Ask.select(Ask.comment_id).where(mine).tuples().execute(wiring.db)}


class _Heard:
    """Whose comments reach the agent: those of people who may ask, each looked up once."""

    def __init__(self, wiring: Wiring, forge: Forge, repo: str, allowed: frozenset[str]) -> None:
        self._allowed = wiring.settings.allow_users | allowed
        self._forge = forge
        self._repo = repo
        self._known: dict[int, bool] = {forge.bot.id: False}

    def is_heard(self, user_id: int, login: str) -> bool:
        if user_id not in self._known:
            may = login.lower() in self._allowed
            self._known[user_id] = may or isinstance(self._forge.gitea.may_write(self._repo, login), Allowed)
        return self._known[user_id]
