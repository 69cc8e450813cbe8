"""The JSON shapes of issues, comments, timelines, pull requests and reviews (facts, section 3.1)."""

import re

from tests.fakes.gitea.state import Entry, Issue, Repo, Review
from tests.fakes.gitea.wire import READER, Json, Shapes, stamp


class IssueShapes(Shapes):
    """What belongs to one issue number."""

    def issue_page(self, issue: Issue) -> str:
        return f"{self.page(issue.repo)}/{'pulls' if issue.pull else 'issues'}/{issue.number}"

    def issue(self, issue: Issue) -> Json:
        people = [self.user(user) for user in issue.assignees]
        shape: Json = {
            "id": issue.id,
            "url": f"{self.api}/repos/{issue.repo.full_name}/issues/{issue.number}",
            "html_url": self.issue_page(issue),
            "number": issue.number,
            "user": self.user(issue.user),
            "original_author": "",
            "original_author_id": 0,
            "title": issue.title,
            "body": issue.body,
            "ref": "",
            "assets": [self.attachment(asset) for asset in issue.attachments],
            "labels": self.labels(issue.repo, issue.labels),
            "milestone": None,
            **({"projects": None} if self.dialect.gitea(27) else {}),
            "assignee": people[0] if people else None,
            "assignees": people or None,
            "state": issue.state,
            "is_locked": issue.is_locked,
            "comments": len(issue.comments),
            "created_at": stamp(issue.created_at),
            "updated_at": stamp(issue.updated_at),
            "closed_at": stamp(issue.closed_at),
            "due_date": None,
            "time_estimate": 0,
            "pull_request": self._pull_mark(issue),
            "repository": {
                "id": issue.repo.id,
                "name": issue.repo.name,
                "owner": issue.repo.owner.login,
                "full_name": issue.repo.full_name,
            },
            "pin_order": 0,
        }
        return shape | self._version(issue)

    def _version(self, issue: Issue) -> Json:
        return {"content_version": issue.content_version} if self.dialect.gitea(26) else {}

    def _pull_mark(self, issue: Issue) -> Json | None:
        if issue.pull is None:
            return None
        return {
            "merged": issue.pull.merged,
            "merged_at": stamp(issue.pull.merged_at),
            "draft": is_draft(issue),
            "html_url": self.issue_page(issue),
        }

    def comment(self, issue: Issue, entry: Entry) -> Json:
        page = self.issue_page(issue)
        return {
            "id": entry.id,
            "html_url": f"{page}#issuecomment-{entry.id}",
            "pull_request_url": page if issue.pull else "",
            "issue_url": "" if issue.pull else page,
            "user": self.user(entry.user),
            "original_author": "",
            "original_author_id": 0,
            "body": entry.body,
            "assets": [self.attachment(asset) for asset in entry.attachments],
            "created_at": stamp(entry.created_at),
            "updated_at": stamp(entry.updated_at),
        }

    def timeline_entry(self, issue: Issue, entry: Entry) -> Json:
        page = self.issue_page(issue)
        shape: Json = {
            "id": entry.id,
            "type": entry.type,
            "html_url": f"{page}#issuecomment-{entry.id}",
            "pull_request_url": page if issue.pull else "",
            "issue_url": "" if issue.pull else page,
            "user": self.user(entry.user),
            "body": entry.body,
            "created_at": stamp(entry.created_at),
            "updated_at": stamp(entry.updated_at),
            "old_project_id": 0,
            "project_id": 0,
            "old_milestone": None,
            "milestone": None,
            "tracked_time": None,
            "old_title": "",
            "new_title": "",
            "old_ref": "",
            "new_ref": "",
            "ref_issue": None,
            "ref_comment": None,
            "ref_action": "none",
            "ref_commit_sha": "",
            "review_id": 0,
            "label": self.label(issue.repo, entry.label) if entry.label else None,
            "assignee": self.user(entry.assignee),
            "assignee_team": None,
            "removed_assignee": entry.removed_assignee,
            "resolve_doer": None,
            "dependent_issue": None,
        }
        return shape | self._timeline_details(entry)

    def _timeline_details(self, entry: Entry) -> Json:
        details = dict(entry.details)
        if referring := details.get("ref_issue"):
            details["ref_issue"] = self.issue(referring)
        return details

    def pull(self, issue: Issue, rights: dict[str, bool] | None = None) -> Json:
        """A pull request; `rights` are those of the caller, or of whoever caused the webhook."""
        pull = issue.pull
        if pull is None:
            raise ValueError(f"#{issue.number} is no pull request")
        people = [self.user(user) for user in issue.assignees]
        page = self.issue_page(issue)
        shape: Json = {
            "id": pull.id,
            "url": page,
            "number": issue.number,
            "user": self.user(issue.user),
            "title": issue.title,
            "body": issue.body,
            "labels": self.labels(issue.repo, issue.labels),
            "milestone": None,
            "assignee": people[0] if people else None,
            "assignees": people,
            "requested_reviewers": [],
            "requested_reviewers_teams": [],
            "state": issue.state,
            "draft": is_draft(issue),
            "is_locked": issue.is_locked,
            "comments": len(issue.comments),
            "review_comments": _review_comments(issue),
            "additions": pull.additions,
            "deletions": pull.deletions,
            "changed_files": pull.changed_files,
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "mergeable": pull.mergeable,
            "merged": pull.merged,
            "merged_at": stamp(pull.merged_at),
            "merge_commit_sha": pull.merge_commit_sha,
            "merged_by": self.user(pull.merged_by),
            "allow_maintainer_edit": False,
        }
        return shape | self._pull_ends(issue, rights or READER) | self._version(issue)

    def pull_in_list(self, issue: Issue, rights: dict[str, bool]) -> Json:
        """As `pull`, but lists say less (seen of 1.26.3)."""
        shape = self.pull(issue, rights)
        if self.dialect.gitea(26):
            for name in ("additions", "deletions", "changed_files"):
                del shape[name]
            for name in ("assignees", "requested_reviewers", "requested_reviewers_teams"):
                shape[name] = shape[name] or None
            shape["merged_by"] = None
        return shape

    def _pull_ends(self, issue: Issue, rights: dict[str, bool]) -> Json:
        pull = issue.pull
        if pull is None:
            return {}
        base = issue.repo.branch(pull.base_branch) if issue.state == "open" else pull.base_sha
        head = self._pull_end(pull.head_repo, pull.head_branch, pull.head_sha, rights)
        if pull.head_repo.branch(pull.head_branch) is None:
            head["ref"] = f"refs/pull/{issue.number}/head"
        return {
            "base": self._pull_end(issue.repo, pull.base_branch, base or pull.base_sha, rights),
            "head": head,
            "merge_base": pull.merge_base,
            "due_date": None,
            "created_at": stamp(issue.created_at),
            "updated_at": stamp(issue.updated_at),
            "closed_at": stamp(issue.closed_at),
            "pin_order": 0,
            **({"flow": 0} if self.dialect.forgejo else {}),
        }

    def _pull_end(self, repo: Repo, branch: str, sha: str, rights: dict[str, bool]) -> Json:
        shape = self.repository(repo, rights)
        return {"label": branch, "ref": branch, "sha": sha, "repo_id": repo.id, "repo": shape}

    def review(self, issue: Issue, review: Review) -> Json:
        page = self.issue_page(issue)
        return {
            "id": review.id,
            "user": self.user(review.user),
            "team": None,
            "state": review.state,
            "body": review.body,
            "commit_id": review.commit_id,
            "stale": issue.pull is not None and review.commit_id != issue.pull.head_sha,
            "official": False,
            "dismissed": False,
            "comments_count": len(review.comments),
            "submitted_at": stamp(review.submitted_at),
            "updated_at": stamp(review.submitted_at),
            "html_url": f"{page}#issuecomment-{review.entry.id if review.entry else 0}",
            "pull_request_url": page,
        }

    def review_comment(self, issue: Issue, review: Review, entry: Entry) -> Json:
        page = self.issue_page(issue)
        old, new = entry.details["old_position"], entry.details["new_position"]
        return {
            "id": entry.id,
            "body": entry.body,
            "user": self.user(entry.user),
            "resolver": None,
            "pull_request_review_id": review.id,
            "created_at": stamp(entry.created_at),
            "updated_at": stamp(entry.updated_at),
            "path": entry.details["path"],
            "commit_id": review.commit_id,
            "original_commit_id": "",
            "diff_hunk": _hunk(issue, review, entry),
            "position": new,
            "original_position": old,
            "html_url": f"{page}#issuecomment-{entry.id}",
            "pull_request_url": page,
        }


def is_draft(issue: Issue) -> bool:
    """Gitea has no draft flag: the title's prefix makes one."""
    return issue.pull is not None and issue.title.upper().startswith(("WIP:", "[WIP]"))


def _hunk(issue: Issue, review: Review, entry: Entry) -> str:
    """The diff down to the commented line, at most four lines of it (services/gitdiff, CutDiffAroundLine)."""
    old, new = entry.details["old_position"], entry.details["new_position"]
    if issue.pull is None or not issue.pull.merge_base:
        return ""
    diff = issue.repo.git.line("diff", issue.pull.merge_base, review.commit_id, "--", entry.details["path"])
    kept: list[str] = []
    at_old = at_new = 0
    for line in diff.split("\n"):
        if found := re.match(r"@@ -(\d+)(?:,\d+)? \+(\d+)", line):
            at_old, at_new, kept = int(found[1]), int(found[2]), [line]
        elif kept:
            kept.append(line)
            if (new and line[:1] in "+ " and at_new == new) or (not new and line[:1] in "- " and at_old == old):
                return "\n".join([kept[0], *kept[1:][-4:]])
            at_new, at_old = at_new + (line[:1] in "+ "), at_old + (line[:1] in "- ")
    return ""


def _review_comments(issue: Issue) -> int:
    return sum(len(review.comments) for review in issue.pull.reviews) if issue.pull else 0
