"""What an issue and its comments said at the moment of an ask, whatever became of them since.

An ask vouches for the text that its author saw: a stranger's issue may be labelled, and then changed before the agent
begins. Gitea keeps no old texts where its API could be asked for them, but its deliveries carry the text of their
moment, and an edit's the text before it, too; they are stored as they came. Where none is there, because it was lost,
the text counts that is found when the ask is first looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from jobs.servers import Forge
from jobs.wiring import Wiring
from models.tables import Ask, Delivery, Thread

MOST_READ: Final = 1000
"""Deliveries about one issue, the newest."""

_SAME: Final = 1.5
"""Seconds: Gitea's times are whole ones, and a label's and its issue's may be taken one after the other."""


class _From(msgspec.Struct):
    was: str = msgspec.field(name="from", default="")


class _Changes(msgspec.Struct):
    title: _From | None = None
    body: _From | None = None


class _Text(msgspec.Struct):
    id: int = 0
    number: int = 0
    title: str = ""
    body: str | None = ""
    updated_at: datetime | None = None

    @property
    def at(self) -> float:
        return self.updated_at.timestamp() if self.updated_at else 0.0


class _Payload(msgspec.Struct):
    action: str = ""
    issue: _Text | None = None
    pull_request: _Text | None = None
    comment: _Text | None = None
    changes: _Changes | None = None


@dataclass(frozen=True)
class Words:
    """The text of an issue or a pull request."""

    title: str
    body: str


class Past:
    """What deliveries tell of one issue or pull request."""

    def __init__(self, payloads: Sequence[tuple[int, _Payload]]) -> None:
        """Each payload with its delivery's number, oldest first."""
        self._payloads = payloads

    @classmethod
    def of(cls, wiring: Wiring, thread: Thread, number: int) -> Past:
        """Of the issue, or pull request, of this number in the thread's repository."""
        about = (Delivery.server == thread.server) & (Delivery.repo == thread.repo.name) & (Delivery.issue == number)
        rows = Delivery.select(Delivery.id, Delivery.body).where(about & (Delivery.source == "webhook"))
        newest = rows.order_by(Delivery.id.desc()).limit(MOST_READ).tuples().execute(wiring.db)
        read = [(int(row), payload) for row, body in newest if (payload := _read(body)) is not None]
        return cls(sorted(read, key=lambda each: each[0]))

    def issue_at(self, at: float, delivery: int | None) -> Words | None:
        """Its text at that time (seconds since the epoch); `delivery` is the one that brought what was said then."""
        for number, payload in self._payloads:
            text = payload.issue or payload.pull_request
            if number == delivery and text is not None:
                return _words(text)
        labelled = [text for text in self._texts("label_updated", "opened") if abs(text.at - at) <= _SAME]
        if labelled:
            return _words(min(labelled, key=lambda text: abs(text.at - at)))
        return self._before_an_edit(at)

    def comment_at(self, comment: int, at: float) -> str | None:
        """A comment's text before that second; None where no delivery tells."""
        told: str | None = None
        for _, payload in self._payloads:
            said = payload.comment
            if said is None or said.id != comment:
                continue
            if payload.action == "created" or said.at < int(at):
                told = said.body or ""
            elif told is None and payload.changes is not None and payload.changes.body is not None:
                return payload.changes.body.was
        return told

    def _before_an_edit(self, at: float) -> Words | None:
        """What the first edit after that time replaced."""
        for _, payload in self._payloads:
            text, changes = payload.issue or payload.pull_request, payload.changes
            edits = payload.action == "edited" and payload.comment is None and changes is not None
            if text is not None and changes is not None and edits and text.at > at:
                title, body = changes.title, changes.body
                return Words(title.was if title else text.title, body.was if body else text.body or "")
        return None

    def _texts(self, *actions: str) -> list[_Text]:
        found = (payload.issue or payload.pull_request for _, payload in self._payloads if payload.action in actions)
        return [text for text in found if text is not None]


def freeze(wiring: Wiring, forge: Forge, thread: Thread, ask: Ask) -> None:
    """Store with the ask what the thread's issue said then. Raises `GiteaError`."""
    if ask.body is not None:
        return
    own = ask.delivery_id if ask.said_on == thread.issue else None
    words = Past.of(wiring, thread, thread.issue).issue_at(ask.said_at, own)
    if words is None:
        issue = forge.gitea.issue(thread.repo.name, thread.issue)
        words = Words(issue.title, issue.body)
    ask.title, ask.body = words.title, words.body
    Ask.update(title=words.title, body=words.body).where(Ask.id == ask.id).execute(wiring.db)


def _read(body: str) -> _Payload | None:
    try:
        return msgspec.json.decode(body, type=_Payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _words(text: _Text) -> Words:
    return Words(text.title, text.body or "")
