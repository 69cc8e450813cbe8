"""Who is told of what: the events of the contract, and the rules by which each goes to an address or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from models import values
from models.moves import Outcome, State
from models.patterns import repo_allowed


class Event(StrEnum):
    """What people may be told of. The names are fixed."""

    QUEUED = "task_queued"
    DEQUEUED = "task_dequeued"
    STARTED = "task_started"
    COMPLETED = "task_completed"
    ERROR = "task_error"
    CANCELLED = "task_cancelled"
    EXPIRED = "task_expired"


TEST: Final = "test"
"""The event of a notification that somebody sends to see whether it arrives."""

_ENDS = {
    Outcome.COMPLETED: Event.COMPLETED,
    Outcome.FAILED: Event.ERROR,
    Outcome.CANCELLED: Event.CANCELLED,
    Outcome.EXPIRED: Event.EXPIRED,
}


def event_of(source: str | None, target: str, outcome: str | None) -> Event | None:
    """What the move of a job from `source` to `target` tells people; `outcome` is the job's. None: nothing.

    An end is told once the issue says it, too, so that the pull request is there. A refusal is told to who asked, on
    the issue, and to nobody else.
    """
    match source, target:
        case (State.ASKED | State.RUNNING, State.QUEUED):
            return Event.QUEUED
        case (State.QUEUED, State.RUNNING):
            return Event.DEQUEUED
        case (State.RUNNING, State.RUNNING):
            return Event.STARTED
        case (State.REPORTING, State.DONE) if outcome is not None:
            return _ENDS.get(Outcome(outcome))
        case _:
            return None


def _list(value: object) -> object:
    """Text is cut at its commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Notice(BaseModel):
    """One table [notices.NAME]: an address of a messaging service, or somebody's own webhook, and what goes there."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    to: Annotated[
        SecretStr | None, Field(description="an address like tgram://BOT_TOKEN/CHAT, as apprise reads them")
    ] = None
    webhook: Annotated[values.WebUrl | None, Field(description="an address like https://example.com/hook")] = None
    secret: Annotated[SecretStr | None, Field(description="the secret with which a webhook is signed")] = None
    events: Annotated[tuple[Event, ...], BeforeValidator(_list), Field(description=f"some of {', '.join(Event)}")] = (
        tuple(Event)
    )
    repos: Annotated[
        values.RepoPatterns, Field(description="patterns OWNER/NAME like acme/*, to leave out !acme/secret")
    ] = ("*",)
    servers: Annotated[tuple[str, ...], BeforeValidator(_list), Field(description="names of servers; none: all")] = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.to is None) == (self.webhook is None):
            raise ValueError("either to or webhook")
        if (self.webhook is None) != (self.secret is None):
            raise ValueError("a webhook has a secret, an address has none")
        return self

    def wants(self, event: Event, server: str, repo: str) -> bool:
        """Whether this is told of that event in that repository, "owner/name", of that server."""
        there = not self.servers or server in self.servers
        return there and event in self.events and repo_allowed(self.repos, repo)


def all_notices(addresses: Sequence[str], tables: Mapping[str, Notice]) -> dict[str, Notice]:
    """Every address by its name: those of KUGETSU_NOTIFY are `notify-1`, `notify-2`, … and are told of everything."""
    plain = {f"notify-{number}": Notice(to=SecretStr(text)) for number, text in enumerate(addresses, 1)}
    return {**plain, **tables}
