"""What was asked and answered, waiting for something to happen, and telling what did happen."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.fakes.gitea.dialect import Dialect
from tests.fakes.gitea.forge import Forge
from tests.fakes.gitea.state import Issue

Found = TypeVar("Found")
SHOWN_REQUESTS, SHOWN_DELIVERIES, SHOWN_TEXT = 40, 12, 300


@dataclass(eq=False)
class Exchange:
    """One request and its answer. Bodies are JSON where they are. `status` is None until the effect is there,
    and `done` once the answer is on its way.

    `status` 0 means that the connection was dropped without an answer.
    """

    method: str
    path: str
    query: dict[str, str]
    body: Any = None
    dialect: Dialect = field(default_factory=Dialect)
    user: str = ""
    status: int | None = None
    answer: Any = None
    content_type: str = ""
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    done: bool = False

    def __str__(self) -> str:
        query = "?" + "&".join(f"{name}={value}" for name, value in self.query.items()) if self.query else ""
        shown = f"<{len(self.body)} bytes>" if isinstance(self.body, bytes) else str(self.body)[:SHOWN_TEXT]
        body = "" if self.body is None else f" {shown}"
        return f"{self.method} {self.path}{query} by {self.user or 'nobody'} -> {self.status}{body}"


class Record:
    """The exchanges so far, and waiting."""

    forge: Forge

    def __init__(self) -> None:
        self.requests: list[Exchange] = []

    def wait_until(self, predicate: Callable[[], Found], what: str, timeout: float = 20.0) -> Found:
        """Waits until the predicate gives something true, and gives that; looks after every change here.

        Raises AssertionError with the story so far when it takes longer than `timeout` seconds.
        """
        state = self.forge.state
        with state.changed:
            state.changed.wait_for(predicate, timeout)
            if found := predicate():
                return found
            story = self.story()
        raise AssertionError(f"waited {timeout:g} s for {what}; what did happen:\n{story}")

    def settle(self, timeout: float = 20.0) -> None:
        """Waits until every webhook has been sent and every request answered."""

        def quiet() -> bool:
            return not self.forge.webhooks.pending() and all(item.done for item in self.requests)

        self.wait_until(quiet, "all webhooks sent and all requests answered", timeout)

    def story(self) -> str:
        """What is on this Gitea and what came in, for whoever reads a failed test."""
        with self.forge.state.lock:
            lines = [line for repo in self.forge.state.repos.values() for line in self._issues(repo.issues)]
            lines += ["requests:", *(f"  {item}" for item in self.requests[-SHOWN_REQUESTS:])]
            sent = self.forge.webhooks.deliveries[-SHOWN_DELIVERIES:]
            lines += ["deliveries:", *(f"  {delivery}" for delivery in sent)]
            lines += ["unexpected:", *(f"  {text}" for text in self.forge.unexpected)]
        return "\n".join(lines)

    def _issues(self, issues: dict[int, Issue]) -> list[str]:
        lines = []
        for issue in issues.values():
            labels = sorted(label.name for label in issue.labels)
            kind = f"pull {issue.pull.head_branch} -> {issue.pull.base_branch}" if issue.pull else "issue"
            lines.append(f"{issue.repo.full_name}#{issue.number} {kind} {issue.state} {labels}: {issue.title}")
            for entry in issue.comments:
                marks = [reaction.content for reaction in entry.reactions]
                lines.append(f"  comment {entry.id} by {entry.user.login} {marks}: {entry.body[:SHOWN_TEXT]}")
        return lines
