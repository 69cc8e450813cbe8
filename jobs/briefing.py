"""Gathers what the agent is told: the issue, what people who may write said of it, and what was asked."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs import repofile
from jobs.checks import MOST_REPAIRS
from jobs.gitea import Allowed
from jobs.linenotes import review_text
from jobs.prompt import IssueText, PromptRequest, Recipe, Repair, Said, Turn, render
from jobs.pulls import numbers_of, pull_of
from jobs.reviewers import SAID
from jobs.servers import Forge
from jobs.wiring import Wiring
from models import ledger
from models.tables import Ask, Job, Thread
from models.wire import User

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
        comments=[Said(remark.user.login, remark.text, remark.at) for remark in comments],
        asks=[Said(ask.author, ask.instructions, datetime.fromtimestamp(ask.said_at, UTC)) for ask in asks],
        nonce=secrets.token_hex(8),
        own=terms.instructions,
        scope=terms.scope,
        temp_dir=temp_dir,
        check=repofile.kept(wiring, thread.repo).verify if terms.base is Recipe.CODE else None,
        repair=_repair(job),
    )
    return Briefing(render(request), max((remark.id for remark in comments), default=thread.told_until))


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


@dataclass(frozen=True)
class _Remark:
    """A comment, or the whole of a review, which has a number among the comments."""

    id: int
    user: User
    at: datetime
    text: str


def _comments(wiring: Wiring, forge: Forge, thread: Thread, asks: Sequence[Ask], turn: Turn) -> list[_Remark]:
    """What was said before the last ask by people who may ask, on the issue and on its pull request, without the asks
    themselves; for a follow-up only what the agent has not been told of.
    """
    until = max((ask.said_at for ask in asks), default=wiring.clock())
    since = thread.told_until if turn is Turn.FOLLOW_UP else 0
    spoken = _ask_comments(wiring, thread)
    heard = _Heard(wiring, forge, thread.repo.name, repofile.kept(wiring, thread.repo).allow_users)

    def is_new(number: int, user: User, at: datetime) -> bool:
        timely = number > since and number not in spoken and at.timestamp() <= until
        return timely and heard.is_heard(user.id, user.login)

    repo = thread.repo.name
    said = [comment for number in numbers_of(thread) for comment in forge.gitea.comments(repo, number)]
    new = [comment for comment in said if is_new(comment.id, comment.user, comment.created_at)]
    remarks = [_Remark(comment.id, comment.user, comment.created_at, comment.body) for comment in new]
    return sorted([*remarks, *_reviews(forge, thread, is_new)], key=lambda remark: remark.id)


def _reviews(forge: Forge, thread: Thread, is_new: Callable[[int, User, datetime], bool]) -> list[_Remark]:
    """The reviews of the thread's pull request, each with its comments on lines."""
    repo, pull = thread.repo.name, pull_of(thread)
    remarks = []
    for review in forge.gitea.reviews(repo, pull) if pull is not None else ():
        number, user = review.comment_id, review.user
        if number is not None and user is not None and review.state in SAID and is_new(number, user, review.said_at):
            text = review_text(review.body, forge.gitea.review_comments(repo, pull or 0, review.id))
            remarks.append(_Remark(number, user, review.said_at, text))
    return remarks


def _ask_comments(wiring: Wiring, thread: Thread) -> set[int]:
    """The comments, and reviews, that were asks; a review that spoke on a line is one by its `entry_id`."""
    mine = Ask.select(Ask.comment_id, Ask.entry_id).where(Ask.thread == thread.id).tuples().execute(wiring.db)
    return {int(number) for numbers in mine for number in numbers if number is not None}


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
