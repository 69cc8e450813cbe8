"""What a webhook, or a look at Gitea, can tell us: small frozen values, no I/O.

`repo` is a repository's name, `repo_id` the server's own number of it, which stays when it is renamed; 0: not said.
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Person(msgspec.Struct, frozen=True):
    """Somebody on a Gitea server. `id` is what counts: a login can be renamed and taken by another."""

    id: int
    login: str


class LabelsChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Something about an issue's labels changed. No Gitea version says what, so this only means "look"."""

    repo: str
    issue: int
    sender: Person
    labels: tuple[str, ...]
    is_pull: bool = False
    repo_id: int = 0


class CommentAdded(msgspec.Struct, frozen=True, kw_only=True):
    """A comment was written or edited.

    `may_write` is what the payload says of the sender's right to push; None where it says nothing.
    `author` wrote the comment, `sender` did what is reported: they differ when somebody edits another's text.
    """

    repo: str
    issue: int
    comment_id: int
    author: Person
    sender: Person
    text: str
    edited: bool
    is_pull: bool
    may_write: bool | None
    said_at: datetime
    title: str = ""
    repo_id: int = 0


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """An issue or a pull request was closed; a pull request perhaps by merging it."""

    repo: str
    issue: int
    sender: Person
    is_pull: bool = False
    merged: bool = False
    repo_id: int = 0


class Reopened(msgspec.Struct, frozen=True, kw_only=True):
    """An issue or a pull request was opened again."""

    repo: str
    issue: int
    sender: Person
    labels: tuple[str, ...]
    is_pull: bool = False
    repo_id: int = 0


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody reviewed a pull request. The payload has neither the review's id nor its comments on lines, so this
    only means "look": at the reviews made at `since` or later (None: it does not say when).
    """

    repo: str
    issue: int
    sender: Person
    since: datetime | None
    repo_id: int = 0


class Ignored(msgspec.Struct, frozen=True):
    """A delivery that asks nothing of us, and why, in a sentence that Gitea shows its administrator."""

    reason: str
    repo: str = ""


Event = LabelsChanged | CommentAdded | Closed | Reopened | Reviewed | Ignored
