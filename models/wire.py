"""Gitea's and Forgejo's JSON as small frozen values: what the API answers and what a webhook carries.

Only the fields that Kugetsu reads are named; all others are skipped by the decoder, so that a newer server
may send more. A field has a default where some version between 1.21 and 1.27, or Forgejo, leaves it out or
sends null (Go writes a nil slice or pointer as null). A field without a default is one that no version may
miss: without it decoding raises msgspec.ValidationError, whose text names the field.

Sources: modules/structs/{hook,issue,issue_comment,issue_label,pull,repo,user}.go of Gitea.
"""

from datetime import datetime
from urllib.parse import urlsplit

import msgspec


class User(msgspec.Struct, frozen=True):
    """An account. `id` is its identity: a login can be changed, and is compared without case."""

    id: int
    login: str


class Label(msgspec.Struct, frozen=True):
    """A label of a repository or an organisation. Names are not unique, ids are."""

    id: int
    name: str
    exclusive: bool = False
    color: str = ""
    description: str = ""
    is_archived: bool = False


class Contents(msgspec.Struct, frozen=True):
    """What lies at a path of a repository: a file has `content`, which is base64 on the way, a link its `target`."""

    content: bytes | None = None
    target: str | None = None


class Permissions(msgspec.Struct, frozen=True):
    """Rights on a repository. Whose they are depends on where the repository was read from."""

    admin: bool = False
    push: bool = False
    pull: bool = False


class Repository(msgspec.Struct, frozen=True):
    """A repository.

    `permissions` in an API answer are those of the token's owner. In a webhook they are the sender's for
    comments only; label events carry the poster's, or made-up ones.
    """

    id: int
    full_name: str
    default_branch: str = ""
    clone_url: str = ""
    html_url: str = ""
    permissions: Permissions | None = None
    archived: bool = False
    private: bool = False
    empty: bool = False
    has_issues: bool = True
    has_pull_requests: bool = True


class PullMark(msgspec.Struct, frozen=True):
    """What an issue carries when it is a pull request."""

    merged: bool = False
    draft: bool = False
    html_url: str = ""


class Attachment(msgspec.Struct, frozen=True):
    """A file attached to an issue or a comment. Its contents never change; `uuid` names it in addresses."""

    id: int
    name: str
    size: int = 0
    uuid: str = ""
    created_at: datetime | None = None


class Issue(msgspec.Struct, frozen=True):
    """An issue, or a pull request seen as one. Paths of the API use `number`; `id` is the database's."""

    number: int
    title: str
    user: User
    id: int = 0
    body: str = ""
    state: str = "open"
    labels: tuple[Label, ...] | None = ()
    html_url: str = ""
    pull_request: PullMark | None = None
    is_locked: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None
    closed_at: datetime | None = None
    assets: tuple[Attachment, ...] | None = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names on it, in Gitea's order (by name)."""
        return tuple(label.name for label in self.labels or ())

    @property
    def is_pull(self) -> bool:
        return self.pull_request is not None


class Comment(msgspec.Struct, frozen=True):
    """A comment on an issue or a pull request. Times have whole seconds and the server's offset."""

    id: int
    body: str
    user: User
    created_at: datetime
    updated_at: datetime
    html_url: str = ""
    issue_url: str = ""
    pull_request_url: str = ""
    assets: tuple[Attachment, ...] | None = ()

    @property
    def issue_number(self) -> int | None:
        """The number of the issue it stands on, read from the web address given; None without one."""
        path = urlsplit(self.issue_url or self.pull_request_url).path
        last = path.rstrip("/").rpartition("/")[2]
        return int(last) if last.isascii() and last.isdecimal() else None


class PullBranch(msgspec.Struct, frozen=True):
    """One side of a pull request. `repo_id` is -1 and `repo` null when the fork is gone."""

    ref: str
    sha: str
    repo_id: int = 0
    label: str = ""
    repo: Repository | None = None


class PullRequest(msgspec.Struct, frozen=True):
    """A pull request. `state` stays "closed" when merged; `merged` tells the two apart."""

    number: int
    title: str
    user: User
    head: PullBranch
    base: PullBranch
    id: int = 0
    body: str = ""
    state: str = "open"
    merged: bool = False
    draft: bool = False
    html_url: str = ""
    labels: tuple[Label, ...] | None = ()
    merge_base: str = ""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names on it, in Gitea's order (by name)."""
        return tuple(label.name for label in self.labels or ())


class TimelineEntry(msgspec.Struct, frozen=True):
    """One thing that happened on an issue. For type "label", body "1" means added and "" removed."""

    id: int
    type: str
    created_at: datetime
    body: str = ""
    label: Label | None = None
    user: User | None = None

    @property
    def adds_label(self) -> bool:
        return self.type == "label" and self.body == "1"


class Review(msgspec.Struct, frozen=True):
    """A review of a pull request: its verdict and its text, without the comments on lines. `user` is null for a team.

    `updated_at` is newer than `submitted_at` where the review was begun some time before it was sent.
    """

    id: int
    state: str
    submitted_at: datetime
    user: User | None = None
    body: str = ""
    updated_at: datetime | None = None
    html_url: str = ""
    commit_id: str = ""
    comments_count: int = 0

    @property
    def said_at(self) -> datetime:
        return max(self.submitted_at, self.updated_at or self.submitted_at)

    @property
    def comment_id(self) -> int | None:
        """Its number among the comments, which the address carries (`#issuecomment-12`); None without one."""
        number = urlsplit(self.html_url).fragment.removeprefix("issuecomment-")
        return int(number) if number.isascii() and number.isdecimal() and int(number) else None


class ReviewComment(msgspec.Struct, frozen=True):
    """A comment on a line. `position` is the line of the file as the pull request leaves it; where that is 0,
    `original_position` is the line of the file as it was before.
    """

    id: int
    body: str = ""
    path: str = ""
    position: int = 0
    original_position: int = 0
    diff_hunk: str = ""
    user: User | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Branch(msgspec.Struct, frozen=True):
    """A branch and the commit it points to (null in an empty repository)."""

    class Tip(msgspec.Struct, frozen=True):
        """The commit; Gitea calls the full hash `id`."""

        id: str

    name: str
    commit: Tip | None = None


class CollaboratorPermission(msgspec.Struct, frozen=True):
    """Answer of /collaborators/{user}/permission: none, read, write, admin or owner."""

    permission: str
    user: User | None = None


class HookTarget(msgspec.Struct, frozen=True):
    """Where a webhook goes. Its secret is never told."""

    url: str = ""
    content_type: str = ""


class Hook(msgspec.Struct, frozen=True):
    """A webhook of a repository, an organisation or the whole server. `events` come in any order; Gitea 1.26 names the
    three kinds of review by one word, others list them. From 1.27 on `authorization_header` is not told.
    """

    id: int
    type: str = ""
    config: HookTarget = HookTarget()
    events: tuple[str, ...] | None = ()
    active: bool = False
    branch_filter: str = ""
    authorization_header: str = ""


class ServerVersion(msgspec.Struct, frozen=True):
    """Answer of /version: "1.27.0", or Forgejo's "15.0.1+gitea-1.22.0"."""

    version: str


class ApiError(msgspec.Struct, frozen=True):
    """Body of an answer that is not 2xx. Some proxies and old versions send none of it."""

    message: str = ""


class IssuePayload(msgspec.Struct, frozen=True):
    """Webhook body of the events issues, issue_label, issue_assign and issue_milestone."""

    action: str
    issue: Issue
    repository: Repository
    sender: User


class PayloadPull(msgspec.Struct, frozen=True):
    """A pull request inside a webhook: no more of it is needed, and old deliveries miss even its number."""

    title: str = ""
    state: str = "open"
    merged: bool = False
    user: User | None = None
    labels: tuple[Label, ...] | None = ()
    updated_at: datetime | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names on it, in Gitea's order (by name)."""
        return tuple(label.name for label in self.labels or ())


class PullRequestPayload(msgspec.Struct, frozen=True):
    """Webhook body of the pull_request events. `number` also serves in API paths of issues."""

    action: str
    number: int
    pull_request: PayloadPull
    repository: Repository
    sender: User


class CommentPayload(msgspec.Struct, frozen=True):
    """Webhook body of issue_comment and pull_request_comment. Versions before 1.8 leave `is_pull` out."""

    action: str
    issue: Issue
    comment: Comment
    repository: Repository
    sender: User
    is_pull: bool | None = None
