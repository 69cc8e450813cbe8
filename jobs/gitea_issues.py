"""The half of Gitea's API that is about an issue: its text, comments, reactions, labels and history.

Where a fact has no other source it was read in Gitea's routers/api/v1/repo/issue*.go, versions 1.21 to 1.27, and
in Forgejo's. What `jobs.gitea` says of its verbs holds here too.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Literal

from jobs.gitea_answers import GiteaDown, GiteaMissing, GiteaRejected
from jobs.gitea_http import PAGE_SIZE, PAGES, GiteaHttp, repo_path
from models.wire import Comment, Issue, Label, TimelineEntry

SCOPE = "kugetsu/"
# A page of the timeline is filtered after it was cut: one full of review line comments arrives empty, and more
# may follow. Two in a row would need a hundred of them.
EMPTY_TIMELINE_PAGES = 2


@dataclass(frozen=True, slots=True)
class LabelSpec:
    """A label as it should be made: `color` is six hex digits."""

    name: str
    color: str
    description: str


LABELS = (
    LabelSpec("kugetsu/code", "1d76db", "Ask: write the code and open a pull request"),
    LabelSpec("kugetsu/research", "5319e7", "Ask: look into it and answer here"),
    LabelSpec("kugetsu/review", "0052cc", "Ask: review this pull request"),
    LabelSpec("kugetsu/queued", "fbca04", "Waiting for a free agent"),
    LabelSpec("kugetsu/running", "d4a72c", "The agent is at work"),
    LabelSpec("kugetsu/done", "0e8a16", "Finished"),
    LabelSpec("kugetsu/failed", "b60205", "Ended without a result; the comment says why"),
    LabelSpec("kugetsu/cancelled", "8b949e", "Stopped on request"),
)


class GiteaIssues(GiteaHttp):
    """The verbs of `jobs.gitea.Gitea` that are about an issue."""

    def issue(self, repo: str, n: int) -> Issue:
        return self.get(Issue, f"{repo_path(repo)}/issues/{n}")

    def issues(
        self,
        repo: str,
        *,
        state: Literal["open", "closed", "all"] = "open",
        label: str | None = None,
        since: datetime | None = None,
    ) -> Iterator[Issue]:
        """Issues and pull requests, newest first: those carrying `label`, and changed at `since` or later.

        Gitea forgets the label filter when the repository has no label of that name, so it is applied here too.
        """
        query = {"state": state} | ({"labels": label} if label else {}) | _since(since)
        for issue in self.pages(Issue, f"{repo_path(repo)}/issues", **query):
            if label is None or label in issue.label_names:
                yield issue

    def timeline(self, repo: str, n: int) -> list[TimelineEntry]:
        """All that happened on the issue, oldest first; who put a label there stands nowhere else."""
        path = f"{repo_path(repo)}/issues/{n}/timeline"
        entries: list[TimelineEntry] = []
        empty = 0
        with self._issue_looked_for(repo, n):
            for page in range(1, PAGES + 1):
                answer = self.request("GET", path, query={"page": page, "limit": PAGE_SIZE})
                items = answer.read_list(TimelineEntry)
                entries += [item for item in items if item is not None]
                empty = 0 if items else empty + 1
                if empty == EMPTY_TIMELINE_PAGES:
                    return entries
        raise GiteaDown(f"GET {path} has no end: {PAGES} pages")

    # Comments

    def comments(self, repo: str, n: int) -> list[Comment]:
        """All plain comments, oldest first (this list has no pages); texts of reviews are not among them."""
        with self._issue_looked_for(repo, n):
            items = self.request("GET", f"{repo_path(repo)}/issues/{n}/comments").read_list(Comment)
        return [item for item in items if item is not None]

    def comments_since(self, repo: str, since: datetime) -> Iterator[Comment]:
        """Comments on any issue of the repository changed at `since` (whole seconds) or later, oldest first."""
        return self.pages(Comment, f"{repo_path(repo)}/issues/comments", **_since(since))

    def comment(self, repo: str, comment_id: int) -> Comment | None:
        """The comment; None when it is gone, or is one of a review (Gitea answers 204 for those)."""
        try:
            answer = self.request("GET", f"{repo_path(repo)}/issues/comments/{comment_id}")
        except GiteaMissing:
            return None
        return None if answer.status == HTTPStatus.NO_CONTENT else answer.read(Comment)

    def has_comment(self, repo: str, comment_id: int) -> bool:
        """Whether the comment, plain or of a review, is still there."""
        try:
            self.request("GET", f"{repo_path(repo)}/issues/comments/{comment_id}")
        except GiteaMissing:
            return False
        return True

    def add_comment(self, repo: str, n: int, body: str) -> Comment:
        """A new comment. GiteaRefused on a locked issue without write access; GiteaRejected when archived."""
        with self._issue_looked_for(repo, n):
            return self.send(Comment, "POST", f"{repo_path(repo)}/issues/{n}/comments", {"body": body})

    def edit_comment(self, repo: str, comment_id: int, body: str) -> None:
        """Replace the comment's text. GiteaMissing when somebody deleted it."""
        self.request("PATCH", f"{repo_path(repo)}/issues/comments/{comment_id}", body={"body": body})

    def find_comment(self, repo: str, n: int, marker: str, author_id: int) -> Comment | None:
        """The oldest comment by `author_id` whose text holds `marker`. Anybody else may quote a marker."""
        for comment in self.comments(repo, n):
            if comment.user.id == author_id and marker in comment.body:
                return comment
        return None

    def react(self, repo: str, comment_id: int, content: str) -> None:
        """React to a comment with "eyes", "-1", …; once more changes nothing."""
        self.request("POST", f"{repo_path(repo)}/issues/comments/{comment_id}/reactions", body={"content": content})

    def react_issue(self, repo: str, n: int, content: str) -> None:
        """React to the issue itself; once more changes nothing."""
        self.request("POST", f"{repo_path(repo)}/issues/{n}/reactions", body={"content": content})

    # Labels

    def issue_labels(self, repo: str, n: int) -> tuple[Label, ...]:
        """What the issue carries now, labels of the organisation included."""
        items = self.request("GET", f"{repo_path(repo)}/issues/{n}/labels").read_list(Label)
        return tuple(item for item in items if item is not None)

    def repo_labels(self, repo: str) -> list[Label]:
        """The repository's own labels; of two with one name (Gitea allows it) the older comes first."""
        return sorted(self.pages(Label, f"{repo_path(repo)}/labels"), key=lambda label: label.id)

    def create_label(self, repo: str, spec: LabelSpec) -> Label:
        """A new label, exclusive in its scope. It does not look whether there is one of that name."""
        body = {"name": spec.name, "color": f"#{spec.color}", "description": spec.description, "exclusive": True}
        return self.send(Label, "POST", f"{repo_path(repo)}/labels", body)

    def ensure_labels(self, repo: str, specs: Sequence[LabelSpec] = LABELS) -> Mapping[str, Label]:
        """The labels by name, those missing made. One that a person made otherwise stays as it is."""
        found: dict[str, Label] = {}
        for label in self.repo_labels(repo):
            found.setdefault(label.name, label)
        return {spec.name: found.get(spec.name) or self.create_label(repo, spec) for spec in specs}

    def put_label(self, repo: str, n: int, name: str) -> None:
        """Make `name` the one label of the scope kugetsu/ on the issue; the label is created if need be.

        With exclusive labels that is one call: Gitea takes the others off. Those that somebody made without the
        flag stay, so they are taken off after. What is so already costs no call, since each one is an event.
        """
        labels = self.issue_labels(repo, n)
        if name not in {label.name for label in labels}:
            label = self.ensure_labels(repo, [_spec(name)])[name]
            labels = self._add_label(repo, n, label)
        mine = next(label.id for label in labels if label.name == name)
        for label in labels:
            if label.name.startswith(SCOPE) and label.id != mine:
                self._remove_label(repo, n, label)

    def _add_label(self, repo: str, n: int, label: Label) -> tuple[Label, ...]:
        """Everything on the issue after adding. By id: names are understood since 1.22 only."""
        path = f"{repo_path(repo)}/issues/{n}/labels"
        items = self.request("POST", path, body={"labels": [label.id]}).read_list(Label)
        labels = tuple(item for item in items if item is not None)
        if label.id not in {each.id for each in labels}:
            # Ids that Gitea does not know are ignored with a 200: somebody deleted the label meanwhile.
            raise GiteaDown(f"the label {label.name} vanished from {repo} while it was put on #{n}")
        return labels

    def touch_labels(self, repo: str, n: int) -> None:
        """Add no label at all: nothing changes, its time does not, nobody is told, and a webhook tells of it."""
        self.request("POST", f"{repo_path(repo)}/issues/{n}/labels", body={"labels": []})

    def _remove_label(self, repo: str, n: int, label: Label) -> None:
        """Take it off. A label deleted meanwhile is off (404, before 1.27 and in Forgejo 422)."""
        try:
            self.request("DELETE", f"{repo_path(repo)}/issues/{n}/labels/{label.id}")
        except GiteaMissing:
            return
        except GiteaRejected as rejected:
            if rejected.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise

    @contextmanager
    def _issue_looked_for(self, repo: str, n: int) -> Iterator[None]:
        """Tell a missing issue from a broken server: comments and timeline answer 500 for both."""
        try:
            yield
        except GiteaDown as down:
            if down.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                self.issue(repo, n)  # raises GiteaMissing
            raise


def own_label(recipe: str) -> LabelSpec:
    """The label that asks for a recipe of the repository's own."""
    return LabelSpec(f"{SCOPE}{recipe}", "c5def5", f"Ask: {recipe}, as .kugetsu.toml has it")


def _spec(name: str) -> LabelSpec:
    """How to make the label `name`; one of a repository's own recipes gets a neutral look."""
    ours = (spec for spec in LABELS if spec.name == name)
    return next(ours, own_label(name.removeprefix(SCOPE)))


def _since(since: datetime | None) -> dict[str, str]:
    return {"since": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")} if since else {}
