"""The JSON shapes of people, repositories, labels, hooks and commits (facts, section 3.1)."""

import hashlib
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from tests.fakes.gitea.access import permissions
from tests.fakes.gitea.dialect import Dialect
from tests.fakes.gitea.gitrepo import Commit, Ident
from tests.fakes.gitea.state import Attachment, Hook, Label, Reaction, Repo, State, Status, User

Json = dict[str, Any]
NEVER = "0001-01-01T00:00:00Z"
READER = permissions("read")

# What a repository says about itself and nobody changes here; the order is Gitea's.
SETTINGS_HEAD: Json = {
    "has_code": True,
    "has_issues": True,
    "internal_tracker": {
        "enable_time_tracker": True,
        "allow_only_contributors_to_track_time": True,
        "enable_issue_dependencies": True,
    },
    "has_wiki": True,
    "has_pull_requests": True,
    "has_projects": True,
    "projects_mode": "all",
    "has_releases": True,
    "has_packages": True,
    "has_actions": True,
    "ignore_whitespace_conflicts": False,
    "allow_merge_commits": True,
    "allow_rebase": True,
    "allow_rebase_explicit": True,
    "allow_squash_merge": True,
    "allow_fast_forward_only_merge": True,
    "allow_merge_update": True,
    "allow_rebase_update": True,
    "allow_manual_merge": False,
    "autodetect_manual_merge": False,
    "default_delete_branch_after_merge": False,
    "default_merge_style": "merge",
    "default_update_style": "merge",
    "default_allow_maintainer_edit": False,
    "avatar_url": "",
    "internal": False,
    "mirror_interval": "",
    "object_format_name": "sha1",
    "mirror_updated": NEVER,
    "mirror_last_sync_at": NEVER,
    "topics": [],
    "licenses": [],
}


def stamp(moment: datetime | None) -> str | None:
    """RFC 3339 in the server's own zone, seconds only; UTC is written `Z`, as Go does."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


class Shapes:
    """Turns what the fake knows into what Gitea would write."""

    def __init__(self, state: State, dialect: Dialect) -> None:
        self.state = state
        self.dialect = dialect

    @property
    def api(self) -> str:
        return f"{self.state.url}/api/v1"

    def page(self, repo: Repo) -> str:
        return f"{self.state.url}/{repo.full_name}"

    def user(self, user: User | None, *, to_self: bool = False) -> Json | None:
        """A person; `to_self` is how GET /user shows them, everywhere else admins look like anybody."""
        if user is None:
            return None
        digest = hashlib.md5(user.login.encode(), usedforsecurity=False).hexdigest()
        shape: Json = {
            "id": user.id,
            "login": user.login,
            "login_name": "",
            "source_id": 0,
            "full_name": user.full_name,
            "email": self.email(user),
            "avatar_url": f"{self.state.url}/avatars/{digest}",
            "html_url": f"{self.state.url}/{user.login}",
            "language": "en-US" if to_self else "",
            "is_admin": to_self and user.is_admin,
            "last_login": NEVER,
            "created": stamp(user.created_at),
            "restricted": False,
            "active": to_self,
            "prohibit_login": False,
            "location": "",
            "website": "",
            "description": "",
            "visibility": "public",
            "followers_count": 0,
            "following_count": 0,
            "starred_repos_count": 0,
            "username": user.login,
        }
        return shape | ({"pronouns": ""} if self.dialect.forgejo else {})

    def email(self, user: User) -> str:
        return f"{user.id}+{user.login.lower()}@noreply.{urlsplit(self.state.url).hostname}"

    def ident(self, user: User) -> Ident:
        """The author of a commit that Gitea itself makes for this person."""
        return Ident(user.full_name or user.login, self.email(user))

    def label(self, repo: Repo, label: Label) -> Json:
        place = f"orgs/{label.org}" if label.org else f"repos/{repo.full_name}"
        return {
            "id": label.id,
            "name": label.name,
            "exclusive": label.exclusive,
            "is_archived": label.is_archived,
            "color": label.color,
            "description": label.description,
            "url": f"{self.api}/{place}/labels/{label.id}",
        }

    def labels(self, repo: Repo, labels: list[Label]) -> list[Json]:
        return [self.label(repo, label) for label in sorted(labels, key=lambda label: label.name)]

    def repository(self, repo: Repo, rights: dict[str, bool]) -> Json:
        """A repository; `rights` is what its `permissions` say, which differs by event and by caller."""
        shape = {"id": repo.id, "owner": self.user(repo.owner), "name": repo.name, "full_name": repo.full_name}
        shape |= self._repository_facts(repo) | self._repository_counts(repo) | {"permissions": rights}
        shape |= SETTINGS_HEAD | {"has_issues": repo.has_issues}
        if repo.parent:
            shape["parent"] = self.repository(repo.parent, rights)
        return shape

    def _repository_facts(self, repo: Repo) -> Json:
        page, name = self.page(repo), repo.full_name
        return {
            "description": "",
            "empty": not repo.refs,
            "private": repo.private,
            "fork": repo.parent is not None,
            "template": False,
            "mirror": False,
            "size": 120,
            "language": "",
            "languages_url": f"{self.api}/repos/{name}/languages",
            "html_url": page,
            "url": f"{self.api}/repos/{name}",
            "link": "",
            "ssh_url": f"git@{urlsplit(self.state.url).hostname}:{name}.git",
            "clone_url": f"{page}.git",
            "original_url": "",
            "website": "",
        }

    def _repository_counts(self, repo: Repo) -> Json:
        still_open = [issue for issue in repo.issues.values() if issue.state == "open"]
        return {
            "stars_count": 0,
            "forks_count": sum(other.parent is repo for other in self.state.repos.values()),
            "watchers_count": 1,
            "branch_count": sum(ref.startswith("refs/heads/") for ref in repo.refs),
            "open_issues_count": sum(issue.pull is None for issue in still_open),
            "open_pr_counter": sum(issue.pull is not None for issue in still_open),
            "release_counter": 0,
            "default_branch": repo.default_branch,
            "archived": repo.archived,
            "created_at": stamp(repo.created_at),
            "updated_at": stamp(repo.updated_at),
            "archived_at": "1970-01-01T00:00:00Z",
        }

    def reaction(self, reaction: Reaction) -> Json:
        user = self.user(reaction.user)
        return {"user": user, "content": reaction.content, "created_at": stamp(reaction.created_at)}

    def attachment(self, asset: Attachment) -> Json:
        return {
            "id": asset.id,
            "name": asset.name,
            "size": len(asset.data),
            "download_count": 0,
            "created_at": stamp(asset.created_at),
            "uuid": asset.uuid,
            "browser_download_url": f"{self.state.url}/attachments/{asset.uuid}",
        }

    def hook(self, hook: Hook) -> Json:
        shape = {
            "id": hook.id,
            "type": hook.type,
            "branch_filter": hook.branch_filter,
            "config": {"content_type": hook.content_type, "url": hook.url},
            "events": self._hook_events(hook),
            "authorization_header": "" if self.dialect.gitea(27) else hook.authorization_header,
            "active": hook.active,
            "updated_at": stamp(hook.updated_at),
            "created_at": stamp(hook.created_at),
        }
        return shape | ({"name": hook.name} if self.dialect.gitea(26) else {})

    def _hook_events(self, hook: Hook) -> list[str]:
        """The types a hook listens to; Gitea 1.26.3 names the three kinds of review by one word (seen)."""
        if not self.dialect.gitea(26):
            return list(hook.events)
        review = "pull_request_review_"
        kinds = (f"{review}approved", f"{review}rejected", f"{review}comment")
        return list(dict.fromkeys("pull_request_review" if kind in kinds else kind for kind in hook.events))

    def pushed_commit(self, repo: Repo, commit: Commit) -> Json:
        """A commit as push events and branches show it."""
        return {
            "id": commit.sha,
            "message": commit.message,
            "url": f"{self.page(repo)}/commit/{commit.sha}",
            "author": self._signature(commit.author),
            "committer": self._signature(commit.committer),
            "verification": None,
            "timestamp": stamp(commit.date),
            "added": list(commit.added),
            "removed": list(commit.removed),
            "modified": list(commit.modified),
        }

    def _signature(self, ident: Ident) -> Json:
        known = [user.login for user in self.state.users.values() if self.email(user) == ident.email]
        return {"name": ident.name, "email": ident.email, "username": known[0] if known else ""}

    def commit(self, repo: Repo, commit: Commit) -> Json:
        """A commit as the commit lists show it."""
        url = f"{self.api}/repos/{repo.full_name}/git/commits/{commit.sha}"
        date = stamp(commit.date)
        touched = {"added": commit.added, "removed": commit.removed, "modified": commit.modified}
        files = [{"filename": path, "status": status} for status, paths in touched.items() for path in paths]
        who = {
            "author": {"name": commit.author.name, "email": commit.author.email, "date": date},
            "committer": {"name": commit.committer.name, "email": commit.committer.email, "date": date},
        }
        tree = {"url": url.replace("/git/commits/", "/git/trees/"), "sha": commit.sha, "created": date}
        return {
            "url": url,
            "sha": commit.sha,
            "created": date,
            "html_url": f"{self.page(repo)}/commit/{commit.sha}",
            "commit": {"url": url, **who, "message": commit.message, "tree": tree, "verification": None},
            "author": None,
            "committer": None,
            "parents": [],
            "files": files,
            "stats": None,
        }

    def status(self, repo: Repo, status: Status) -> Json:
        return {
            "id": status.id,
            "status": status.state,
            "target_url": status.target_url,
            "description": status.description,
            "url": f"{self.api}/repos/{repo.full_name}/statuses/{quote(status.sha)}",
            "context": status.context,
            "creator": self.user(status.creator),
            "created_at": stamp(status.created_at),
            "updated_at": stamp(status.created_at),
        }
