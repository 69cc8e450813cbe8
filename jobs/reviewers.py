"""What the reviewers of a pull request ask of us.

A review asks when its text or one of its comments on lines speaks to us, or when it requests changes of a pull request
of ours. It is one ask, however many lines it comments on. No webhook carries its id or those comments, so they are
fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from jobs.gitea import Allowed
from jobs.linenotes import own_notes, review_text
from jobs.pulls import pull_of
from jobs.servers import Forge
from jobs.wiring import Wiring
from models import recovery, store
from models.events import Person
from models.intake import UNCLEAR, Look, NewAsk, asks_in
from models.tables import Thread
from models.wire import Review, ReviewComment

LOOK_BACK_SECONDS = 300.0
"""A review is written in several steps, each with its own second; what is looked at twice is heard once."""

REQUESTS_CHANGES = "REQUEST_CHANGES"
SAID = frozenset({"APPROVED", "COMMENT", REQUESTS_CHANGES})
"""Verdicts of reviews that were sent; the others are drafts, and requests to review."""

PART = "part"
"""The verb of a comment on a line that spoke as part of a review: it never speaks again by itself."""


@dataclass(frozen=True)
class Heard:
    """A review with its comments on lines, and what is needed to understand it."""

    review: Review
    reviewer: Person
    notes: Sequence[ReviewComment]
    bot: str
    asks_changes: bool

    @property
    def text(self) -> str:
        return review_text(self.review.body, self.notes)


def look(wiring: Wiring, forge: Forge, thread: Thread) -> None:
    """Store what the latest reviews of the thread's pull request ask."""
    number, since = pull_of(thread), thread.reviews_from
    if number is None or since is None:
        return
    for review in forge.gitea.reviews(thread.repo.name, number):
        late = review.said_at.timestamp() >= (since or wiring.clock()) - LOOK_BACK_SECONDS
        if late and review.state in SAID and review.user is not None and review.user.id != forge.bot.id:
            _hear(wiring, thread, number, _heard(wiring, forge, thread, review))


def _heard(wiring: Wiring, forge: Forge, thread: Thread, review: Review) -> Heard:
    assert review.user is not None  # noqa: S101 - for the type checker
    repo, login = thread.repo.name, review.user.login
    notes = own_notes(review, forge.gitea.review_comments(repo, pull_of(thread) or 0, review.id))
    heard = Heard(review, Person(review.user.id, login), notes, forge.bot.login, asks_changes=False)
    if review.state != REQUESTS_CHANGES or thread.is_pull:
        return heard
    named = login.lower() in wiring.settings.named_on(forge.name)
    may = named or isinstance(forge.gitea.may_write(repo, login), Allowed)
    return replace(heard, asks_changes=may)


def _hear(wiring: Wiring, thread: Thread, number: int, heard: Heard) -> None:
    with wiring.db.atomic():
        for ask in asks_of(heard):
            recovery.heard(wiring.db, thread, ask, Look(thread.repo.name, number, is_pull=True), now=wiring.clock())


def asks_of(heard: Heard) -> list[NewAsk]:
    """What the review asks: with its text its commands, else with the first comment on a line that speaks, else with
    its verdict. The comments on lines, or the whole of it, are the instructions.
    """
    base = _base(heard, heard.review.comment_id)
    said = list(asks_in(heard.review.body, heard.bot, base))
    parts = [note for note in heard.notes if asks_in(note.body, heard.bot, base)]
    if said:
        return [*_with_notes(said, heard.notes), *(_part(heard, note) for note in parts)]
    if parts:
        first, *others = parts
        ask = asks_in(first.body, heard.bot, _base(heard, first.id))[0]
        return [_about(ask, heard.text), *(_part(heard, note) for note in others)]
    if heard.asks_changes and heard.text:
        return [msgspec.structs.replace(base, key=f"{base.key}:0", verb="continue", instructions=heard.text)]
    return []


def _with_notes(said: list[NewAsk], notes: Sequence[ReviewComment]) -> list[NewAsk]:
    """The comments on lines belong to the last thing asked: they are read after it."""
    return [*said[:-1], _about(said[-1], review_text(said[-1].instructions, notes))]


def _about(ask: NewAsk, text: str) -> NewAsk:
    """The ask with these instructions, where it is for work."""
    return msgspec.structs.replace(ask, instructions=text) if ask.verb in store.WORK_VERBS else ask


def _base(heard: Heard, comment_id: int | None) -> NewAsk:
    """Named like the comment as which Gitea tells of it when it is edited."""
    return NewAsk(
        key=f"comment:{comment_id}" if comment_id is not None else f"review:{heard.review.id}",
        verb=UNCLEAR,
        author=heard.reviewer,
        said_at=heard.review.said_at.timestamp(),
        comment_id=comment_id,
        entry_id=heard.review.comment_id,
    )


def _part(heard: Heard, note: ReviewComment) -> NewAsk:
    base = _base(heard, note.id)
    return msgspec.structs.replace(base, key=f"{base.key}:0", verb=PART)
