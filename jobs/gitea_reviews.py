"""The part of Gitea's API that is about reviews of pull requests, and about files attached to comments.

Facts: Gitea's routers/api/v1/repo/pull_review.go and issue_comment_attachment.go. What `jobs.gitea` says of its verbs
holds here too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from jobs.gitea_http import Upload, repo_path
from jobs.gitea_issues import GiteaIssues
from models.wire import Attachment, Review, ReviewComment


@dataclass(frozen=True, slots=True)
class LineComment:
    """A remark on a line of the new file (`side` "new") or of the old one. Gitea takes any line, and shows only those
    that stand in the diff.
    """

    path: str
    line: int
    side: Literal["new", "old"]
    body: str


@dataclass(frozen=True, slots=True)
class ReviewDraft:
    """A review to be posted as a comment: it neither approves nor rejects. `commit` is the one that was looked at."""

    body: str
    commit: str
    comments: Sequence[LineComment] = ()


class GiteaReviews(GiteaIssues):
    """The verbs of `jobs.gitea.Gitea` that are about reviews and attachments."""

    def reviews(self, repo: str, n: int) -> list[Review]:
        """The reviews of a pull request that were sent, oldest first; requests for one are among them."""
        return list(self.pages(Review, f"{repo_path(repo)}/pulls/{n}/reviews"))

    def review_comments(self, repo: str, n: int, review: int) -> list[ReviewComment]:
        """The comments on lines of one review (this list has no pages)."""
        path = f"{repo_path(repo)}/pulls/{n}/reviews/{review}/comments"
        return [item for item in self.request("GET", path).read_list(ReviewComment) if item is not None]

    def find_review(self, repo: str, n: int, marker: str, author_id: int) -> Review | None:
        """The oldest review by `author_id` whose text holds `marker`. Anybody else may quote a marker."""
        for review in self.reviews(repo, n):
            if review.user is not None and review.user.id == author_id and marker in review.body:
                return review
        return None

    def add_review(self, repo: str, n: int, draft: ReviewDraft) -> Review:
        """A new review, all its remarks at once; it does not look whether there is one. GiteaRejected where the
        server does not take it as it is.
        """
        fields: dict[str, Any] = {"event": "COMMENT", "body": draft.body, "commit_id": draft.commit}
        fields["comments"] = [
            {"path": each.path, "body": each.body, f"{each.side}_position": each.line} for each in draft.comments
        ]
        return self.send(Review, "POST", f"{repo_path(repo)}/pulls/{n}/reviews", fields)

    def attached(self, uuid: str) -> bytes:
        """What is in an attached file, by its `uuid`. It lies beside the API, and takes the token all the same."""
        return self.request("GET", f"{self.web}/attachments/{quote(uuid, safe='')}").body

    def attachments(self, repo: str, comment_id: int) -> tuple[Attachment, ...]:
        """The files attached to a comment."""
        items = self.request("GET", f"{repo_path(repo)}/issues/comments/{comment_id}/assets").read_list(Attachment)
        return tuple(item for item in items if item is not None)

    def ensure_attached(self, repo: str, comment_id: int, name: str, data: bytes) -> Attachment:
        """The file of that name on the comment, attached if there is none.

        GiteaMissing where attachments are switched off, GiteaRejected where the server takes none of this kind or size.
        """
        for attachment in self.attachments(repo, comment_id):
            if attachment.name == name:
                return attachment
        path = f"{repo_path(repo)}/issues/comments/{comment_id}/assets"
        return self.request("POST", path, query={"name": name}, upload=Upload(name, data)).read(Attachment)
