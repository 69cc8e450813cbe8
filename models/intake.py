"""What an event asks of us: pure, the same for a webhook and for what reconciliation finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import msgspec

from models import grammar
from models.events import Closed, CommentAdded, Event, Ignored, LabelsChanged, Person, Reopened, Reviewed
from models.grammar import BadOption, Command, Misspelt

SCOPE = "kugetsu/"
"""The exclusive scope of our labels: asks and answers alike."""

PRIORITY_SCOPE = "priority/"
"""The scope of the labels that say how urgent an issue is."""

ANSWERS = ("queued", "running", "done", "failed", "cancelled")
"""Labels of the scope that only we put on; every other one is an ask."""

UNCLEAR = "unclear"
"""The verb of an ask that we could not read: it is answered with what would be right."""

FOREIGN_EDIT = "somebody else edited this comment: only its author speaks in it"
"""Why an edited comment is ignored."""

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
    entry_id: int | None = None
    """Where it stands in the order of all that happened on the server: its number there, as comments have one."""
    may_write: bool | None = None


class Look(msgspec.Struct, frozen=True):
    """Look at this issue again: its labels and whether it is open are state, and who made them so is in its timeline.

    `only_known`: not where nothing was ever asked of us. `reviews_from`: also at reviews made then or later.
    """

    repo: str
    issue: int
    is_pull: bool
    only_known: bool = False
    reviews_from: float | None = None
    repo_id: int = 0


class Asks(msgspec.Struct, frozen=True):
    """What a comment asks, in its order."""

    repo: str
    issue: int
    is_pull: bool
    title: str
    asks: tuple[NewAsk, ...]
    repo_id: int = 0


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
    decision = _decide(event, bot, repo_allowed)
    if isinstance(event, Ignored) or isinstance(decision, Ignore):
        return decision
    return msgspec.structs.replace(decision, repo_id=event.repo_id)


def _decide(event: Event, bot: Person | None, repo_allowed: Callable[[str], bool]) -> Decision:
    if isinstance(event, Ignored):
        return Ignore(event.reason, event.repo)
    if bot is not None and event.sender.id == bot.id:
        return Ignore("this is our own doing", event.repo, event.issue)
    if not repo_allowed(event.repo):
        return Ignore(f"{event.repo} is not among the repositories in KUGETSU_REPOS", event.repo, event.issue)
    return _meant(event, bot)


def _meant(event: LabelsChanged | CommentAdded | Closed | Reopened | Reviewed, bot: Person | None) -> Decision:
    match event:
        case LabelsChanged():
            return _of_labels(event)
        case CommentAdded():
            return _of_comment(event, bot)
        case Closed():
            return Look(event.repo, event.issue, event.is_pull, only_known=True)
        case Reopened(labels=labels):
            asks = any(is_ask_label(name) for name in labels)
            return Look(event.repo, event.issue, event.is_pull, only_known=not asks)
        case Reviewed(since=since):
            return Look(event.repo, event.issue, is_pull=True, reviews_from=since.timestamp() if since else 0.0)
        case _:
            assert_never(event)


def _of_labels(event: LabelsChanged) -> Decision:
    """A replaced set arrives empty from Gitea since 1.23 (facts, 2.3), so an empty one is worth a look. One that
    asks nothing but sets the priority may be about a job that waits.
    """
    if any(name.startswith(PRIORITY_SCOPE) for name in event.labels) and not any(map(is_ask_label, event.labels)):
        return Look(event.repo, event.issue, event.is_pull, only_known=True)
    if event.labels and not any(is_ask_label(name) for name in event.labels):
        return Ignore("none of the issue's labels asks for anything", event.repo, event.issue)
    return Look(event.repo, event.issue, event.is_pull)


def _of_comment(event: CommentAdded, bot: Person | None) -> Decision:
    if bot is not None and event.author.id == bot.id:
        return Ignore("this is a comment of our own", event.repo, event.issue)
    if event.edited and event.sender.id != event.author.id:
        return Ignore(FOREIGN_EDIT, event.repo, event.issue)
    base = NewAsk(
        key=f"comment:{event.comment_id}",
        verb=UNCLEAR,
        author=event.author,
        said_at=event.said_at.timestamp(),
        comment_id=event.comment_id,
        entry_id=event.comment_id,
        may_write=event.may_write if event.sender.id == event.author.id else None,
    )
    asks = asks_in(event.text, bot.login if bot else None, base)
    if not asks:
        return Ignore("the comment does not speak to us", event.repo, event.issue)
    return Asks(event.repo, event.issue, event.is_pull, event.title, asks)


def asks_in(text: str, bot: str | None, base: NewAsk) -> tuple[NewAsk, ...]:
    """What `text` asks, in its order; who said it, where and when is taken from `base`, whose key is numbered."""
    said = grammar.parse(text, bot=bot)
    numbered = (msgspec.structs.replace(base, key=f"{base.key}:{number}") for number in range(len(said)))
    return tuple(_ask(one, word) for one, word in zip(numbered, said, strict=True))


def _ask(base: NewAsk, word: Command | Misspelt | BadOption) -> NewAsk:
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
