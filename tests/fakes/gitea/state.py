"""What the fake Gitea knows: plain values, found by name or number."""

import itertools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

from tests.fakes.gitea.gitrepo import BareRepo

Level = Literal["none", "read", "write", "admin", "owner"]
# A member of an organisation's team with rights by unit: may write, but the permission endpoint says
# "read" or "none" (facts, section 4.5).
Standing = Literal["read", "write", "admin", "team-write"]


Target = Literal["repository", "organization", "system", "default"]
"""Whose a webhook is: the server has those that hear everything, and those that it copies into new repositories."""


class NotThere(LookupError):
    """Nothing of that name or number is on this Gitea."""


@dataclass(eq=False)
class User:
    id: int
    login: str
    created_at: datetime
    full_name: str = ""
    is_admin: bool = False
    is_org: bool = False
    owners: set[str] = field(default_factory=set)


@dataclass(eq=False)
class Token:
    id: int
    value: str
    user: User
    scopes: tuple[str, ...]
    name: str = "token"


@dataclass(eq=False)
class Label:
    id: int
    name: str
    color: str
    description: str = ""
    exclusive: bool = False
    is_archived: bool = False
    org: str = ""

    @property
    def scope(self) -> str:
        """The exclusive scope, "" when there is none; `a/b/c` is in the scope `a/b`."""
        head, slash, tail = self.name.rpartition("/")
        return head if self.exclusive and slash and head and tail else ""


@dataclass(eq=False)
class Reaction:
    user: User
    content: str
    created_at: datetime


@dataclass(eq=False)
class Attachment:
    id: int
    uuid: str
    name: str
    data: bytes
    created_at: datetime


@dataclass(eq=False)
class Entry:
    """One row of an issue's timeline; a comment is one of type "comment", with the same number space."""

    id: int
    type: str
    user: User
    body: str
    created_at: datetime
    updated_at: datetime
    label: Label | None = None
    assignee: User | None = None
    removed_assignee: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    reactions: list[Reaction] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)


@dataclass(eq=False)
class Review:
    id: int
    user: User
    state: str
    body: str
    commit_id: str
    submitted_at: datetime
    entry: Entry | None = None
    comments: list[Entry] = field(default_factory=list)


@dataclass(eq=False)
class Pull:
    id: int
    head_repo: "Repo"
    head_branch: str
    base_branch: str
    head_sha: str
    base_sha: str = ""
    merge_base: str = ""
    additions: int = 0
    deletions: int = 0
    changed_files: int = 0
    mergeable: bool = True
    merged_at: datetime | None = None
    merged_by: User | None = None
    merge_commit_sha: str | None = None
    reviews: list[Review] = field(default_factory=list)

    @property
    def merged(self) -> bool:
        return self.merged_at is not None


@dataclass(eq=False)
class Issue:
    id: int
    number: int
    repo: "Repo"
    user: User
    title: str
    body: str
    created_at: datetime
    updated_at: datetime
    state: Literal["open", "closed"] = "open"
    closed_at: datetime | None = None
    is_locked: bool = False
    content_version: int = 0
    labels: list[Label] = field(default_factory=list)
    assignees: list[User] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    pull: Pull | None = None

    @property
    def comments(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.type == "comment"]


@dataclass(eq=False)
class Hook:
    id: int
    url: str
    secret: str
    events: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    content_type: str = "json"
    type: str = "gitea"
    active: bool = True
    branch_filter: str = "*"
    authorization_header: str = ""
    name: str = ""
    target: Target = "repository"


@dataclass(eq=False)
class Status:
    id: int
    sha: str
    state: str
    context: str
    description: str
    target_url: str
    creator: User
    created_at: datetime


@dataclass(eq=False)
class Repo:
    id: int
    owner: User
    name: str
    git: BareRepo
    created_at: datetime
    updated_at: datetime
    default_branch: str = "main"
    private: bool = False
    archived: bool = False
    has_issues: bool = True
    parent: "Repo | None" = None
    collaborators: dict[str, Standing] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)
    issues: dict[int, Issue] = field(default_factory=dict)
    hooks: list[Hook] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    protected: set[str] = field(default_factory=set)
    refs: dict[str, str] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    def branch(self, name: str) -> str | None:
        """The commit a branch points to."""
        return self.refs.get(f"refs/heads/{name}")


class State:
    """All that is on this Gitea, behind one lock; `changed` is notified after every change."""

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.url = "http://127.0.0.1"
        # Away from UTC, so that whoever compares timestamps as strings is found out.
        self.zone = timezone(timedelta(hours=2))
        self.clock = clock or (lambda: datetime.now(UTC))
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.repos: dict[str, Repo] = {}
        self.redirects: dict[str, Repo] = {}
        self.org_hooks: dict[str, list[Hook]] = defaultdict(list)
        self.admin_hooks: list[Hook] = []
        self.org_labels: dict[str, list[Label]] = defaultdict(list)
        self._ids: dict[str, Iterator[int]] = defaultdict(lambda: itertools.count(1))
        # Issue ids and issue numbers must not look alike: mixing them up is a common mistake.
        self._ids["issue"] = itertools.count(1001)
        self._ids["comment"] = itertools.count(9001)

    def next_id(self, kind: str) -> int:
        return next(self._ids[kind])

    def now(self) -> datetime:
        """The time as Gitea shows it: whole seconds, in the server's own zone."""
        return self.clock().astimezone(self.zone).replace(microsecond=0)

    def touch(self) -> None:
        """Wakes everybody who waits for something to happen."""
        with self.lock:
            self.changed.notify_all()

    def user(self, login: str) -> User:
        found = self.users.get(login.lower())
        if found is None:
            raise NotThere(f"no user {login!r}; there are {sorted(self.users)}")
        return found

    def repo(self, full_name: str) -> Repo:
        found = self.repos.get(full_name.lower())
        if found is None:
            raise NotThere(f"no repository {full_name!r}; there are {sorted(self.repos)}")
        return found

    def issue(self, full_name: str, number: int) -> Issue:
        issues = self.repo(full_name).issues
        if number not in issues:
            raise NotThere(f"no issue {full_name}#{number}; there are {sorted(issues)}")
        return issues[number]

    def labels_for(self, repo: Repo) -> list[Label]:
        """The repository's own labels and its organisation's."""
        return [*repo.labels, *self.org_labels[repo.owner.login.lower()]]
