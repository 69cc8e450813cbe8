"""What an event asks of us: pure, the same for a webhook and for what reconciliation finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import msgspec

from models import grammar
from models.events import CommentAdded, Event, Ignored, LabelsChanged, Person
from models.grammar import BadOption, Command, Misspelt

SCOPE = "kugetsu/"
"""The exclusive scope of our labels: asks and answers alike."""

ANSWERS = ("queued", "running", "done", "failed", "cancelled")
"""Labels of the scope that only we put on; every other one is an ask."""

UNCLEAR = "unclear"
"""The verb of an ask that we could not read: it is answered with what would be right."""

PRIORITIES = {grammar.Priority.LOW: -1, grammar.Priority.NORMAL: 0, grammar.Priority.HIGH: 1}


class NewAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One thing somebody said. `key` names it by content, unique on its server."""

    key: str
    verb: str
    author: Person
    said_at: float
    instructions: str = ""
    model: str | None = None
    priority: int | None = None
    fresh: bool = False
    comment_id: int | None = None
    may_write: bool | None = None


class Look(msgspec.Struct, frozen=True):
    """Re-read the labels of this issue: they are state, and who put them there is in its timeline."""

    repo: str
    issue: int
    is_pull: bool


class Asks(msgspec.Struct, frozen=True):
    """What a comment asks, in its order."""

    repo: str
    issue: int
    is_pull: bool
    title: str
    asks: tuple[NewAsk, ...]


class Ignore(msgspec.Struct, frozen=True):
    """Nothing to do, and why."""

    reason: str
    repo: str = ""
    issue: int | None = None


Decision = Look | Asks | Ignore


def is_ask_label(name: str) -> bool:
    """Whether this label asks for work (`kugetsu/code`), rather than answers (`kugetsu/done`)."""
    return name.startswith(SCOPE) and name.removeprefix(SCOPE) not in ANSWERS


def decide(event: Event, *, bot: Person | None, repo_allowed: Callable[[str], bool]) -> Decision:
    """What `event` asks of us. `bot` is our own account on that server, None while it is not known yet."""
    match event:
        case Ignored(reason):
            return Ignore(reason)
        case LabelsChanged() | CommentAdded():
            if bot is not None and event.sender.id == bot.id:
                return Ignore("this is our own doing", event.repo, event.issue)
            if not repo_allowed(event.repo):
                return Ignore(f"{event.repo} is not among the repositories in KUGETSU_REPOS", event.repo, event.issue)
        case _:
            assert_never(event)
    if isinstance(event, LabelsChanged):
        return _of_labels(event)
    return _of_comment(event, bot)


def _of_labels(event: LabelsChanged) -> Decision:
    """A replaced set arrives empty from Gitea since 1.23 (facts, 2.3), so an empty one is worth a look."""
    if event.labels and not any(is_ask_label(name) for name in event.labels):
        return Ignore("none of the issue's labels asks for anything", event.repo, event.issue)
    return Look(event.repo, event.issue, event.is_pull)


def _of_comment(event: CommentAdded, bot: Person | None) -> Decision:
    if bot is not None and event.author.id == bot.id:
        return Ignore("this is a comment of our own", event.repo, event.issue)
    if event.edited and event.sender.id != event.author.id:
        return Ignore("somebody else edited this comment: only its author speaks in it", event.repo, event.issue)
    said = grammar.parse(event.text, bot=bot.login if bot else None)
    if not said:
        return Ignore("the comment does not speak to us", event.repo, event.issue)
    asks = tuple(_ask(event, number, word) for number, word in enumerate(said))
    return Asks(event.repo, event.issue, event.is_pull, event.title, asks)


def _ask(event: CommentAdded, number: int, word: Command | Misspelt | BadOption) -> NewAsk:
    base = NewAsk(
        key=f"comment:{event.comment_id}:{number}",
        verb=UNCLEAR,
        author=event.author,
        said_at=event.said_at.timestamp(),
        comment_id=event.comment_id,
        may_write=event.may_write if event.sender.id == event.author.id else None,
    )
    match word:
        case Misspelt(word=text, nearest=nearest):
            return msgspec.structs.replace(
                base, instructions=f"“{text}” is no command of mine. Did you mean `{nearest}`?"
            )
        case BadOption(option=option, reason=reason):
            return msgspec.structs.replace(base, instructions=f"I cannot read the option `{option}`: {reason}")
        case Command():
            return msgspec.structs.replace(
                base,
                verb=str(word.verb),
                instructions=word.instructions,
                model=word.model,
                priority=PRIORITIES[word.priority] if word.priority else None,
                fresh=word.fresh,
            )
        case _:
            assert_never(word)
