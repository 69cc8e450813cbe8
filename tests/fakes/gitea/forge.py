"""The parts every change needs: what is known, how it is written, and how it is announced."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.gitea.access import permissions, permissions_of
from tests.fakes.gitea.dialect import Dialect
from tests.fakes.gitea.state import Entry, Issue, State, User
from tests.fakes.gitea.webhooks import Webhooks
from tests.fakes.gitea.wire import Json
from tests.fakes.gitea.wire_issues import IssueShapes

OWNER = permissions("owner")
NOBODY = permissions("none")


@dataclass
class Forge:
    """One Gitea without its HTTP side. Whoever changes something holds `state.lock`."""

    state: State
    dialect: Dialect
    shapes: IssueShapes
    webhooks: Webhooks
    root: Path
    unexpected: list[str] = field(default_factory=list)

    def surprise(self, what: str) -> None:
        """Records what no test should bring about: an unknown route, an unknown field, a bug of the fake."""
        with self.state.lock:
            self.unexpected.append(what)
            self.state.touch()

    def note(self, issue: Issue, kind: str, doer: User, body: str = "", **details: object) -> Entry:
        """Adds a row to the timeline; every row bumps the issue's `updated_at` (facts, section 4.4)."""
        now = self.state.now()
        entry = Entry(self.state.next_id("comment"), kind, doer, body, now, now, details=dict(details))
        issue.entries.append(entry)
        issue.updated_at = now
        self.state.touch()
        return entry

    def announce(self, issue: Issue, doer: User, action: str, *, kind: str = "", **more: object) -> None:
        """An issue or pull request changed: `kind` is "", "label", "assign", "sync", … (facts, section 3.2).

        `more` may hold `labels` (what the payload claims), `changes`, `commit_id`, `before`, `after`.
        """
        labels = more.pop("labels", None)
        changed = {"changes": changes} if (changes := more.pop("changes", None)) else {}
        commit = more.pop("commit_id", "")
        stem = "pull_request" if issue.pull else "issue"
        event = f"{stem}_{kind}" if kind else {"issue": "issues"}.get(stem, stem)
        repository = self.shapes.repository(issue.repo, self._event_rights(issue, doer, event, action))
        head: Json = {"action": action, **more, "number": issue.number, **changed}
        tail: Json = {"repository": repository, "sender": self.shapes.user(doer), "commit_id": commit}
        if issue.pull:
            body: Json = {"pull_request": self._pull_seen_by(issue, doer), "requested_reviewer": None}
            tail |= {"review": None}
        else:
            body = {"issue": self.shapes.issue(issue)}
        if labels is not None:
            body["pull_request" if issue.pull else "issue"]["labels"] = labels
        self.webhooks.emit(issue.repo, event, head | body | tail)

    def _pull_seen_by(self, issue: Issue, doer: User) -> Json:
        return self.shapes.pull(issue, permissions_of(issue.repo, doer))

    def _event_rights(self, issue: Issue, doer: User, event: str, action: str) -> dict[str, bool]:
        """Whose rights `repository.permissions` shows differs by event (facts, section 3.3)."""
        if event.endswith("_assign"):
            return permissions_of(issue.repo, doer)
        if event == "pull_request_sync" or (event == "pull_request_label" and action == "label_updated"):
            return OWNER
        if event == "pull_request" and issue.pull and issue.pull.merged:
            return permissions_of(issue.repo, doer)
        return permissions_of(issue.repo, issue.user)

    def announce_comment(self, issue: Issue, entry: Entry, doer: User, *, action: str, old: str | None = None) -> None:
        """A comment was made, changed or deleted; the rights shown are the sender's."""
        shapes = self.shapes
        payload: Json = {"action": action, "issue": shapes.issue(issue)}
        if issue.pull and self.dialect.pull_in_comment:
            payload["pull_request"] = self._pull_seen_by(issue, doer)
        payload["comment"] = shapes.comment(issue, entry)
        if old is not None:
            payload["changes"] = self.changes(body=old)
        payload["repository"] = shapes.repository(issue.repo, permissions_of(issue.repo, doer))
        payload |= {"sender": shapes.user(doer), "is_pull": issue.pull is not None}
        kind = "pull_request_comment" if issue.pull else "issue_comment"
        self.webhooks.emit(issue.repo, kind, payload)

    def changes(self, **old: str) -> Json:
        """The `changes` of an `edited` event; since Gitea 1.25 with two keys that are always null."""
        empty = {"added_labels": None, "removed_labels": None} if self.dialect.gitea(25) else {}
        return {name: {"from": text} for name, text in old.items()} | empty

    def announce_review(self, issue: Issue, doer: User, state: str, text: str) -> None:
        """A review was made: neither its id nor its inline comments are told (facts, section 3.2).

        Whose rights it shows: nobody's in particular (seen of 1.26.3; the poster is not loaded at that moment).
        """
        names = {"APPROVED": "approved", "REQUEST_CHANGES": "rejected"}
        event = f"pull_request_review_{names.get(state, 'comment')}"
        payload: Json = {
            "action": "reviewed",
            "number": issue.number,
            "pull_request": self._pull_seen_by(issue, doer),
            "requested_reviewer": self.shapes.user(doer),
            "repository": self.shapes.repository(issue.repo, permissions_of(issue.repo, None)),
            "sender": self.shapes.user(doer),
            "commit_id": "",
            "review": {"type": event, "content": text},
        }
        self.webhooks.emit(issue.repo, event, payload)
