"""What is found on Gitea, as the webhook that would have told of it: pure.

So it takes the same road from there: `parse`, `decide`, `accept`. What a webhook has and a look has not is left out:
who may push (Gitea is asked), and who changed the labels (the timeline says).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from models.wire import (
    Comment,
    CommentPayload,
    Issue,
    IssuePayload,
    PayloadPull,
    PullMark,
    PullRequestPayload,
    Repository,
    Review,
    ReviewComment,
    User,
)

NOBODY = User(0, "")
"""The sender of what somebody did of whom nothing is known."""


@dataclass(frozen=True, slots=True)
class Found:
    """A delivery that was not made."""

    event_type: str
    body: bytes
    edited: bool = False


def comment(repo: Repository, on: Issue, said: Comment) -> Found:
    """A comment, as new, or as edited where it was changed since."""
    action = "edited" if said.updated_at > said.created_at else "created"
    payload = CommentPayload(action, on, said, _bare(repo), said.user, is_pull=on.is_pull)
    kind = "pull_request_comment" if on.is_pull else "issue_comment"
    return Found(kind, msgspec.json.encode(payload), edited=action == "edited")


def note(repo: Repository, on: Issue, said: ReviewComment) -> Found | None:
    """A comment on a line of a pull request, which Gitea tells of like any other; None without author or time."""
    if said.user is None or said.created_at is None:
        return None
    plain = Comment(said.id, said.body, said.user, said.created_at, said.updated_at or said.created_at)
    return comment(repo, on, plain)


def issue(repo: Repository, seen: Issue) -> Found:
    """An issue or pull request as it is now: closed, or with these labels."""
    action = "closed" if seen.state == "closed" else "label_updated"
    payload = IssuePayload(action, seen, _bare(repo), NOBODY)
    return _found("issues" if action == "closed" else "issue_label", payload)


def review(repo: Repository, number: int, made: Review) -> Found:
    """A review of a pull request."""
    pull = PayloadPull(updated_at=made.said_at)
    payload = PullRequestPayload("reviewed", number, pull, _bare(repo), made.user or NOBODY)
    return _found("pull_request_review_comment", payload)


def stub(said: Comment) -> Issue:
    """The issue on which a comment stands, as far as the comment tells."""
    mark = PullMark() if said.pull_request_url else None
    return Issue(number=said.issue_number or 0, title="", user=NOBODY, pull_request=mark)


def _bare(repo: Repository) -> Repository:
    """Without the rights, which would be taken for those of the sender."""
    return Repository(repo.id, repo.full_name)


def _found(event_type: str, payload: IssuePayload | PullRequestPayload) -> Found:
    return Found(event_type, msgspec.json.encode(payload))
