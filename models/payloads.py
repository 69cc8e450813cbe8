"""From the JSON text of a delivery to a small event value: only this knows the shape of Gitea's webhooks."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from models import wire
from models.events import Closed, CommentAdded, Event, Ignored, LabelsChanged, Person, Reopened, Reviewed

TYPE_HEADERS = ("x-gitea-event-type", "x-forgejo-event-type", "x-gogs-event-type", "x-github-event-type")
"""They tell a comment on a pull request from a review of one; the coarse headers do not."""

COARSE_HEADERS = ("x-gitea-event", "x-forgejo-event", "x-gogs-event", "x-github-event")

ISSUE_TYPES = frozenset({"issues", "issue_label"})
PULL_TYPES = frozenset({"pull_request", "pull_request_label"})
COMMENT_TYPES = frozenset({"issue_comment", "pull_request_comment"})
LABEL_ACTIONS = frozenset({"label_updated", "label_cleared"})
"""Gitea's own words (modules/structs/hook.go). A clear carries the labels that were removed."""

COMMENT_ACTIONS = frozenset({"created", "edited"})
STATE_ACTIONS = frozenset({"closed", "reopened"})
REVIEW_ACTION = "reviewed"
"""Of events of several types, one for each verdict (modules/webhook/type.go)."""

_NAME = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.-]{1,100}"
_REPO = re.compile(f"{_NAME}/{_NAME}")
_WORD = re.compile(r"[a-z_]{1,40}")
_MISSING = re.compile(r"Object missing required field `(\w+)`(?: - at `\$\.?(.*)`)?")
_WRONG = re.compile(r"(Expected )?(.+?)(?: - at `\$\.?(.*)`)?")
_MOST_ISSUE = 2**31 - 1
_MOST_ID = 2**63 - 1
"""What the columns hold."""

_Payload = TypeVar("_Payload")


class Malformed(Exception):
    """The delivery is not what its event type promises; the message names the field and what is wrong."""


class _Place(msgspec.Struct, frozen=True):
    id: int = 0
    full_name: str = ""


class _Placed(msgspec.Struct, frozen=True):
    repository: _Place = _Place()


class _Envelope(msgspec.Struct, frozen=True):
    """What decides how to read the rest. `before` and `after` are a push's."""

    action: str = ""
    before: str | None = None
    after: str | None = None
    repository: msgspec.Raw = msgspec.Raw(b"")


def place_of(text: bytes) -> tuple[int, str]:
    """The number and the name of the repository that a delivery says it is of; 0 and "" where it does not say."""
    try:
        told = msgspec.json.decode(text, type=_Placed).repository
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0, ""
    return told.id, told.full_name


def event_type_of(headers: Mapping[str, str]) -> str:
    """The event type that `headers` (whose names ignore case) give, "" without any.

    Deliveries of old versions, and Gitea's package event, have only the coarse header or an empty one.
    """
    given = (headers.get(name, "").strip() for name in (*TYPE_HEADERS, *COARSE_HEADERS))
    return next((value for value in given if value), "")


def parse(event_type: str, text: bytes) -> Event:
    """The event in the JSON `text` of a delivery of `event_type`. Raises Malformed."""
    if not event_type:
        raise Malformed("the header X-Gitea-Event-Type is missing")
    _check_encoding(text)
    envelope = _decode(text, _Envelope)
    if event_type in COMMENT_TYPES and envelope.action in COMMENT_ACTIONS:
        return _comment(_decode(text, wire.CommentPayload))
    if event_type in ISSUE_TYPES and envelope.action in LABEL_ACTIONS | STATE_ACTIONS | {"opened"}:
        return _of_issue(_decode(text, wire.IssuePayload))
    if event_type in PULL_TYPES and envelope.action in LABEL_ACTIONS | STATE_ACTIONS | {"opened"}:
        return _of_pull(_decode(text, wire.PullRequestPayload))
    if event_type.startswith("pull_request") and envelope.action == REVIEW_ACTION:
        return _review(_decode(text, wire.PullRequestPayload))
    return Ignored(_why_ignored(event_type, envelope), _place(envelope))


def _check_encoding(text: bytes) -> None:
    """The decoder skips unknown fields without a look at their letters, but all of them are stored."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"the payload is not UTF-8 (byte {error.start})") from None


def _decode(text: bytes, shape: type[_Payload]) -> _Payload:
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError as error:
        raise Malformed(_explain(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"the payload is not JSON: {error}") from None
    except RecursionError:
        raise Malformed("the payload is nested too deeply") from None


def _explain(problem: str) -> str:
    """The decoder's message, which holds types but never values, with the field first."""
    if found := _MISSING.fullmatch(problem):
        return f"{_field(found[2], found[1])} is missing"
    found = _WRONG.fullmatch(problem)
    expected, what, path = found.groups() if found else (None, problem, None)
    verb = "should be" if expected else "is no good:"
    return f"{path or 'the payload'} {verb} {what}".replace("`", "")


def _field(path: str | None, name: str) -> str:
    return f"{path}.{name}" if path else name


def _comment(payload: wire.CommentPayload) -> CommentAdded:
    comment, rights = payload.comment, payload.repository.permissions
    edited = payload.action == "edited"
    return CommentAdded(
        repo=_repo(payload.repository),
        repo_id=_within("repository.id", payload.repository.id, 0, _MOST_ID),
        issue=_issue("issue.number", payload.issue.number),
        comment_id=_within("comment.id", comment.id, 1, _MOST_ID),
        author=_person("comment.user", comment.user),
        sender=_person("sender", payload.sender),
        text=_storable(comment.body),
        edited=edited,
        is_pull=payload.is_pull or payload.issue.is_pull,
        may_write=rights.push if rights else None,
        said_at=_said_at(comment, edited=edited),
        title=_storable(payload.issue.title),
    )


def _said_at(comment: wire.Comment, *, edited: bool) -> datetime:
    field, moment = ("updated_at", comment.updated_at) if edited else ("created_at", comment.created_at)
    if moment.tzinfo is None:
        raise Malformed(f"comment.{field} has no time zone")
    return moment


def _of_issue(payload: wire.IssuePayload) -> Event:
    changed = LabelsChanged(
        repo=_repo(payload.repository),
        repo_id=_within("repository.id", payload.repository.id, 0, _MOST_ID),
        issue=_issue("issue.number", payload.issue.number),
        sender=_person("sender", payload.sender),
        labels=payload.issue.label_names,
        is_pull=payload.issue.is_pull,
    )
    return _by_action(payload.action, changed, merged=False)


def _of_pull(payload: wire.PullRequestPayload) -> Event:
    changed = LabelsChanged(
        repo=_repo(payload.repository),
        repo_id=_within("repository.id", payload.repository.id, 0, _MOST_ID),
        issue=_issue("number", payload.number),
        sender=_person("sender", payload.sender),
        labels=payload.pull_request.label_names,
        is_pull=True,
    )
    return _by_action(payload.action, changed, merged=payload.pull_request.merged)


def _by_action(action: str, changed: LabelsChanged, *, merged: bool) -> Event:
    """What happened where `changed` says. Gitea tells of a new issue's labels twice; either time counts, since either
    delivery can be lost.
    """
    where: dict[str, Any] = {name: getattr(changed, name) for name in ("repo", "repo_id", "issue", "sender", "is_pull")}
    match action:
        case "closed":
            return Closed(**where, merged=merged)
        case "reopened":
            return Reopened(**where, labels=changed.labels)
        case "opened" if not changed.labels:
            return Ignored("a new issue without labels asks for nothing", changed.repo)
        case _:
            return changed


def _review(payload: wire.PullRequestPayload) -> Reviewed:
    """The pull request was changed last when the review was made, or, where Gitea had read it before, earlier."""
    since = payload.pull_request.updated_at
    if since is not None and since.tzinfo is None:
        raise Malformed("pull_request.updated_at has no time zone")
    return Reviewed(
        repo=_repo(payload.repository),
        repo_id=_within("repository.id", payload.repository.id, 0, _MOST_ID),
        issue=_issue("number", payload.number),
        sender=_person("sender", payload.sender),
        since=since,
    )


def _repo(repository: wire.Repository) -> str:
    """The name becomes part of paths and addresses, so it must be one that Gitea allows."""
    if not _REPO.fullmatch(repository.full_name):
        raise Malformed("repository.full_name should be OWNER/NAME")
    return repository.full_name


def _place(envelope: _Envelope) -> str:
    """The repository of a delivery that asks nothing of us, "" where it names none: then that does not matter."""
    try:
        name = msgspec.json.decode(envelope.repository, type=_Place).full_name
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return name if _REPO.fullmatch(name) else ""


def _person(field: str, user: wire.User) -> Person:
    """Ids below zero are real: a deleted account, and the one that runs Actions."""
    return Person(_within(f"{field}.id", user.id, -_MOST_ID, _MOST_ID), _storable(user.login))


def _issue(field: str, number: int) -> int:
    return _within(field, number, 1, _MOST_ISSUE)


def _within(field: str, number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise Malformed(f"{field} should be from {least} to {most}")
    return number


def _storable(text: str) -> str:
    """PostgreSQL stores no NUL in text, and no Markdown shows one."""
    return text.replace("\x00", "")


def _why_ignored(event_type: str, envelope: _Envelope) -> str:
    if event_type == "push" and envelope.before is not None and envelope.before == envelope.after:
        return "this is a test delivery: the webhook works"
    if not _WORD.fullmatch(event_type):
        return "Kugetsu does not act on events of this type"
    if not _WORD.fullmatch(envelope.action):
        return f"Kugetsu does not act on {event_type} events"
    return f"Kugetsu does not act on {event_type} events with the action {envelope.action}"
