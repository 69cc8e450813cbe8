"""Gitea's JSON as the values the fake uses, so that a test sees one shape whichever server it runs on.

They are snapshots of plain fields: reactions, attachments and reviews come from the looking verbs.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fakes.gitea import Commit, Delivery, Entry, Hook, Issue, Label, Pull, Repo, Review, User
from tests.fakes.gitea.gitrepo import BareRepo, Ident

Json = dict[str, Any]


def user_of(found: Json) -> User:
    created = found.get("created")
    return User(
        id=found["id"],
        login=found["login"],
        created_at=_time(created) if created else datetime.fromtimestamp(0, UTC),
        full_name=found.get("full_name", ""),
        is_admin=found.get("is_admin", False),
    )


def label_of(found: Json) -> Label:
    is_org = "/orgs/" in found.get("url", "")
    return Label(
        id=found["id"],
        name=found["name"],
        color=found["color"],
        description=found["description"],
        exclusive=found["exclusive"],
        is_archived=found["is_archived"],
        org=found["url"].rsplit("/orgs/")[-1].partition("/")[0] if is_org else "",
    )


def repo_of(found: Json, repositories: Path) -> Repo:
    """A repository; `repositories` is where the server keeps them."""
    git = BareRepo(repositories / f"{found['full_name'].lower()}.git")
    return Repo(
        id=found["id"],
        owner=user_of(found["owner"]),
        name=found["name"],
        git=git,
        created_at=_time(found["created_at"]),
        updated_at=_time(found["updated_at"]),
        default_branch=found["default_branch"],
        private=found["private"],
        archived=found["archived"],
    )


def entry_of(found: Json) -> Entry:
    """A comment."""
    created, updated = _time(found["created_at"]), _time(found["updated_at"])
    return Entry(found["id"], "comment", user_of(found["user"]), found["body"], created, updated)


def issue_of(found: Json, repo: Repo, comments: list[Entry], pull: Pull | None) -> Issue:
    """An issue or pull request from either one's JSON."""
    return Issue(
        id=found["id"],
        number=found["number"],
        repo=repo,
        user=user_of(found["user"]),
        title=found["title"],
        body=found["body"],
        created_at=_time(found["created_at"]),
        updated_at=_time(found["updated_at"]),
        state=found["state"],
        closed_at=_time_or_none(found["closed_at"]),
        is_locked=found["is_locked"],
        content_version=found.get("content_version", 0),
        labels=[label_of(label) for label in found["labels"] or ()],
        assignees=[user_of(user) for user in found["assignees"] or ()],
        entries=comments,
        pull=pull,
    )


def pull_of(found: Json, head_repo: Repo) -> Pull:
    merged_by = found["merged_by"]
    return Pull(
        id=found["id"],
        head_repo=head_repo,
        head_branch=found["head"]["label"],  # `ref` is another one once the branch is gone
        base_branch=found["base"]["ref"],
        head_sha=found["head"]["sha"],
        base_sha=found["base"]["sha"],
        merge_base=found["merge_base"],
        additions=found.get("additions") or 0,
        deletions=found.get("deletions") or 0,
        changed_files=found.get("changed_files") or 0,
        mergeable=found["mergeable"],
        merged_at=_time_or_none(found["merged_at"]),
        merged_by=user_of(merged_by) if merged_by else None,
        merge_commit_sha=found["merge_commit_sha"],
    )


def review_of(found: Json, remarks: list[Json]) -> Review:
    made = _time(found["submitted_at"])
    review = Review(found["id"], user_of(found["user"]), found["state"], found["body"], found["commit_id"], made)
    review.comments = [_remark_of(remark) for remark in remarks]
    return review


def _remark_of(found: Json) -> Entry:
    remark = entry_of(found)
    remark.type = "code"
    places = {"path": found["path"], "new_position": found["position"], "old_position": found["original_position"]}
    remark.details = places
    return remark


def commit_of(found: Json) -> Commit:
    inner = found["commit"]
    paths = {status: _paths(found, status) for status in ("added", "removed", "modified")}
    return Commit(
        sha=found["sha"],
        author=Ident(inner["author"]["name"], inner["author"]["email"]),
        committer=Ident(inner["committer"]["name"], inner["committer"]["email"]),
        date=_time(inner["committer"]["date"]),
        message=inner["message"],
        **paths,
    )


def _paths(found: Json, status: str) -> tuple[str, ...]:
    return tuple(file["filename"] for file in found.get("files") or () if file["status"] == status)


def hook_of(row: Json) -> Hook:
    """A webhook from its row in the server's database."""
    made, changed = (datetime.fromtimestamp(row[name], UTC) for name in ("created_unix", "updated_unix"))
    events = json.loads(row["events"])["events"] or {}
    hook = Hook(row["hook_id"], row["url"], row["secret"], tuple(k for k in events if events[k]), made, changed)
    hook.content_type = "form" if row["content_type"] == FORM else "json"
    hook.target = "repository" if row["repo_id"] else "organization"
    hook.active = bool(row["is_active"])
    return hook


def delivery_of(row: Json) -> Delivery:
    """One attempt to deliver, from its row in the server's database (models/webhook/hooktask.go)."""
    asked = json.loads(row["request_content"] or "{}").get("headers", {})
    answer = json.loads(row["response_content"] or "{}")
    status, body = answer.get("status") or None, answer.get("body", "")
    return Delivery(
        id=row["id"],
        uuid=row["uuid"],
        hook=hook_of(row),
        event=asked.get("X-Gitea-Event", ""),
        event_type=row["event_type"],
        text=row["payload_content"].encode(),
        queued_at=datetime.fromtimestamp(row["delivered"] / 1e9, UTC),
        status=status,
        response=body if status else "",
        error="" if status else body,
        finished=bool(row["response_content"]),
    )


# HookContentType in models/webhook/webhook.go: 1 is JSON.
FORM = 2


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _time_or_none(text: str | None) -> datetime | None:
    return _time(text) if text else None
