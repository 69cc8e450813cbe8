"""What people said before an ask, as far as the agent is to hear it: by whom may ask, and as it was then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobs import repofile
from jobs.frozen import Past
from jobs.gitea import Allowed, GiteaMissing
from jobs.linenotes import answers, own_notes, review_text
from jobs.pulls import forget, numbers_of, pull_of
from jobs.reviewers import SAID
from jobs.servers import Forge
from jobs.wiring import Wiring
from models.tables import Ask, Thread
from models.wire import Attachment, Comment, User


@dataclass(frozen=True)
class Remark:
    """A comment, or the whole of a review, which has a number among the comments."""

    id: int
    user: User
    at: datetime
    text: str
    files: tuple[Attachment, ...] = ()


@dataclass
class Heard:
    """The remarks, oldest first, and how many others there were: by people who may not ask, and ones that were changed
    after the ask and whose text of then nobody knows.
    """

    remarks: list[Remark] = field(default_factory=list)
    strangers: int = 0
    changed: int = 0

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is missing, in words."""
        said = [
            (self.strangers, "by people who may not ask"),
            (self.changed, "changed after you were asked"),
        ]
        return tuple(f"{number} {'comment' if number == 1 else 'comments'} {why}" for number, why in said if number)


def hear(wiring: Wiring, forge: Forge, thread: Thread, asks: Sequence[Ask], since: int) -> Heard:
    """What was said before the last of `asks` on the issue and on its pull request, without the asks themselves, and
    after the comment `since`. Raises `GiteaError`.
    """
    until = max((ask.said_at for ask in asks), default=wiring.clock())
    rights = _Rights(wiring, forge, thread)
    spoken = _ask_comments(wiring, thread)
    heard = Heard()

    def is_new(number: int, user: User, at: datetime) -> bool:
        if number <= since or number in spoken or at.timestamp() > until or user.id == forge.bot.id:
            return False
        may = rights.may_ask(user)
        heard.strangers += not may
        return may

    for number in numbers_of(thread):
        past = _Lazily(wiring, thread, number)
        try:
            comments = forge.gitea.comments(thread.repo.name, number)
        except GiteaMissing:
            if number == thread.issue:
                raise
            forget(wiring, thread)
            continue
        for comment in comments:
            if is_new(comment.id, comment.user, comment.created_at):
                _add(heard, comment, until, past)
    heard.remarks += _reviews(forge, thread, is_new)
    heard.remarks.sort(key=lambda remark: remark.id)
    return heard


def _add(heard: Heard, comment: Comment, until: float, past: _Lazily) -> None:
    """The comment as it was at `until`. Gitea's times are whole seconds: what was changed within the ask's own second
    may have been changed after it.
    """
    text: str | None = comment.body
    if comment.updated_at > comment.created_at and comment.updated_at.timestamp() >= int(until):
        text = past.of().comment_at(comment.id, until)
    if text is None:
        heard.changed += 1
        return
    heard.remarks.append(Remark(comment.id, comment.user, comment.created_at, text, comment.assets or ()))


class _Lazily:
    """The deliveries about one issue, read when they are needed."""

    def __init__(self, wiring: Wiring, thread: Thread, number: int) -> None:
        self._asked = (wiring, thread, number)
        self._past: Past | None = None

    def of(self) -> Past:
        self._past = self._past or Past.of(*self._asked)
        return self._past


def _reviews(forge: Forge, thread: Thread, is_new: Callable[[int, User, datetime], bool]) -> Iterator[Remark]:
    """The reviews of the thread's pull request, each with its comments on lines, and what others answered there."""
    repo, pull = thread.repo.name, pull_of(thread)
    for review in forge.gitea.reviews(repo, pull) if pull is not None else ():
        number, user = review.comment_id, review.user
        if number is None or user is None or review.state not in SAID:
            continue
        notes = forge.gitea.review_comments(repo, pull or 0, review.id) if review.comments_count else []
        if is_new(number, user, review.said_at):
            yield Remark(number, user, review.said_at, review_text(review.body, own_notes(review, notes)))
        for note in answers(review, notes):
            if note.user is not None and note.created_at is not None and is_new(note.id, note.user, note.created_at):
                yield Remark(note.id, note.user, note.created_at, review_text("", [note]))


def _ask_comments(wiring: Wiring, thread: Thread) -> set[int]:
    """The comments, and reviews, that were asks; a review that spoke on a line is one by its `entry_id`."""
    mine = Ask.select(Ask.comment_id, Ask.entry_id).where(Ask.thread == thread.id).tuples().execute(wiring.db)
    return {int(number) for numbers in mine for number in numbers if number is not None}


class _Rights:
    """Who may ask, each looked up once."""

    def __init__(self, wiring: Wiring, forge: Forge, thread: Thread) -> None:
        self._named = wiring.settings.named_on(forge.name) | repofile.kept(wiring, thread.repo).allow_users
        self._forge = forge
        self._repo = thread.repo.name
        self._known: dict[int, bool] = {}

    def may_ask(self, user: User) -> bool:
        if user.id not in self._known:
            named = user.login.lower() in self._named
            self._known[user.id] = named or isinstance(self._forge.gitea.may_write(self._repo, user.login), Allowed)
        return self._known[user.id]
