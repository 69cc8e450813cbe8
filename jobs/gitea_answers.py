"""What Gitea answers, and the four ways in which a request to it can fail."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import GenericAlias
from typing import Any, TypeVar

import msgspec

from jobs.retry_after import wait_asked_for
from models.wire import ApiError

T = TypeVar("T")

_SCOPES = re.compile(r"required scope\(s\)[:,]\s*(?:required=)?\[([^\]]*)\]")


class GiteaError(Exception):
    """A request to Gitea did not succeed. The text is one sentence without secrets."""


class GiteaDown(GiteaError):
    """Passing: no connection, a timeout, 5xx, 429, or an answer that is not Gitea's. Try again later.

    `status` is the HTTP status when there was an answer, `wait` how many seconds it asked to be left alone.
    """

    def __init__(self, reason: str, status: int | None = None, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.wait = wait


class AnswerTooLong(GiteaDown):
    """Longer than we read."""


class GiteaRefused(GiteaError):
    """401 or 403: the token is wrong or lacks a right. `missing_scope` is the scope, where Gitea names one."""

    def __init__(self, status: int, message: str, missing_scope: str | None) -> None:
        need = f" (the token lacks the scope {missing_scope})" if missing_scope else ""
        super().__init__(f"Gitea refused ({status}): {message}{need}")
        self.status = status
        self.message = message
        self.missing_scope = missing_scope

    @property
    def is_of_the_token(self) -> bool:
        """Whether the token itself is wrong, which only whoever runs the service can mend: work waits for that."""
        return self.status == HTTPStatus.UNAUTHORIZED or self.missing_scope is not None


class GiteaMissing(GiteaError):
    """404: not there, or not visible to the bot; Gitea makes no difference."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Gitea has no {what}, or the bot may not see it")
        self.what = what


class GiteaRejected(GiteaError):
    """Another 4xx: the request is understood and will never succeed as it is."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Gitea rejected the request ({status}): {message}")
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer. `asked` is "GET /repos/…" for error texts; header names are compared without case."""

    asked: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def read(self, kind: type[T]) -> T:
        """The body as `kind`. Raises GiteaDown when it is not that: a proxy's page, or half an answer."""
        value: T = self._decode(kind)
        return value

    def read_list(self, kind: type[T]) -> list[T | None]:
        """The body as a list. Gitea writes null for an empty one, and for an item that it could not load."""
        items: list[T | None] | None = self._decode(GenericAlias(list, (kind | None,)) | None)
        return items or []

    def _decode(self, shape: Any) -> Any:
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise GiteaDown(f"unreadable answer to {self.asked}: {error}", self.status) from error

    @property
    def total(self) -> int | None:
        """How many items there are on all pages of the list, where the server says so."""
        total = self.headers.get("X-Total-Count", "")
        return int(total) if total.isascii() and total.isdecimal() else None

    def is_last(self, seen: int) -> bool:
        """Whether this page is known to be the last one, with which `seen` items have been read."""
        if self.total is not None:
            return seen >= self.total
        link = self.headers.get("Link")
        return link is not None and 'rel="next"' not in link


def failure_of(answer: Answer) -> GiteaError:
    """What a status outside 2xx means."""
    message = _message(answer.body)
    status = answer.status
    if (
        status == HTTPStatus.TOO_MANY_REQUESTS
        or not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        said = f"{answer.asked} answered {status} {message or ''}".rstrip()
        return GiteaDown(said, status, wait_asked_for(answer.headers))
    if message is None:
        # Gitea sends JSON or nothing. A page comes from a proxy, which may say 404 while Gitea restarts.
        return GiteaDown(f"{answer.asked} answered {status} with a page that is not Gitea's", status)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        scope = _SCOPES.search(message)
        return GiteaRefused(status, message or "no reason given", scope.group(1) if scope else None)
    if status == HTTPStatus.NOT_FOUND:
        return GiteaMissing(answer.asked.partition(" ")[2])
    return GiteaRejected(status, message or "no reason given")


def _message(body: bytes) -> str | None:
    """Gitea's own words for an error; "" when the body is empty or null, None when it is not Gitea's JSON."""
    if not body.strip():
        return ""
    try:
        said = msgspec.json.decode(body, type=ApiError | None)
        return said.message if said else ""
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
