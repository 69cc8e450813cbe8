"""What Kugetsu asks of Gitea, as verbs. All of it can be repeated: who writes looks first.

`repo` is always "owner/name", `n` the number of an issue or pull request (one sequence for both). Every verb may
raise the errors of `jobs.gitea_answers`; each docstring names only what is particular. Where a fact has no other
source it was read in Gitea's routers/api/v1/repo, versions 1.21 to 1.27, and in Forgejo's.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from jobs.gitea_answers import Answer, GiteaDown, GiteaError, GiteaMissing, GiteaRefused, GiteaRejected
from jobs.gitea_hooks import GiteaHooks
from jobs.gitea_http import repo_path
from jobs.gitea_issues import LABELS, SCOPE, LabelSpec
from jobs.gitea_reviews import GiteaReviews, LineComment, ReviewDraft
from jobs.retry_after import moment_of
from models.wire import Branch, CollaboratorPermission, Contents, PullRequest, Repository, ServerVersion, User

__all__ = [
    "LABELS",
    "SCOPE",
    "Allowed",
    "Denied",
    "Gitea",
    "GiteaDown",
    "GiteaError",
    "GiteaMissing",
    "GiteaRefused",
    "GiteaRejected",
    "LabelSpec",
    "LineComment",
    "ReviewDraft",
]


SCOPE_PROBES = ("/repos/-/-/issues/1/labels", "/repos/-/-/branches/x")
"""They need write:issue and write:repository; read:user is what `me` needs."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The person may write to the repository."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The person may not, or it cannot be known; `reason` is a sentence for the person."""

    reason: str


class Gitea(GiteaReviews, GiteaHooks):
    """One server, seen by the bot whose token it is. Made like `GiteaHttp`: base_url, token, timeout."""

    def version(self) -> str:
        """Such as "1.27.0", or "15.0.1+gitea-1.22.0" for Forgejo, whose suffix never moves."""
        return self.get(ServerVersion, "/version").version

    def now(self) -> float:
        """The server's clock, by which it dates everything, in seconds since the epoch; ours where it tells none."""
        return _moment(self.request("GET", "/version"))

    def me(self) -> User:
        """The bot itself. GiteaRefused with missing_scope "read:user" where the token lacks it."""
        return self.get(User, "/user")

    def check_scopes(self) -> None:
        """Raise GiteaRefused, which names it, where the token lacks a scope that our work needs.

        Scopes are checked before anything is looked for, so each probe asks for a change to what cannot be there: no
        account is called "-" (seen on 1.26.3; routers/api/v1/api.go, models/user/user.go).
        """
        for probe in SCOPE_PROBES:
            with suppress(GiteaMissing, GiteaRejected):
                self.request("DELETE", probe)

    def repos(self) -> Iterator[Repository]:
        """The repositories that the bot owns or works in, as a collaborator or a member of a team."""
        return self.pages(Repository, "/user/repos")

    def repo_by_id(self, number: int) -> Repository:
        """The repository of this number, whatever it is called now."""
        return self.get(Repository, f"/repositories/{number}")

    def repo(self, repo: str) -> Repository:
        """The repository, with the bot's own permissions."""
        return self.get(Repository, repo_path(repo))

    def repo_now(self, repo: str) -> tuple[Repository, float]:
        """The repository that has this name, or had it before it was renamed, and the server's clock as in `now`."""
        answer = self.request("GET", repo_path(repo))
        return answer.read(Repository), _moment(answer)

    def branch(self, repo: str, name: str) -> str | None:
        """The full hash the branch points to; None when there is no such branch (or an empty repository)."""
        try:
            found = self.get(Branch, f"{repo_path(repo)}/branches/{quote(name)}")
        except GiteaMissing:
            return None
        return found.commit.id if found.commit else None

    def file(self, repo: str, path: str) -> bytes | None:
        """A file of the default branch, or where a link leads; None where it, or any commit, is missing. Not asked for
        by /raw/, since of half a file nobody could tell that it is one. GiteaRejected where it is larger than the
        server shows ([api] DEFAULT_MAX_BLOB_SIZE, 10 MiB): without it is not the same as empty.
        """
        try:
            answer = self.request("GET", f"{repo_path(repo)}/contents/{quote(path)}")
        except GiteaMissing:
            return None
        if answer.body.lstrip().startswith(b"["):  # a folder, or no commit at all
            return None
        found = answer.read(Contents)
        if found.content is not None:
            return found.content
        if found.target is None:
            raise GiteaRejected(answer.status, f"{path} is too large to be shown")
        return found.target.encode()

    def permission(self, repo: str, login: str) -> str:
        """none, read, write, admin or owner. Only an admin of the repository may ask about others (403).

        Members of a team with rights per unit are reported lower than they are: write and above is reliable,
        anything lower is no proof.
        """
        return self._permission(repo, login).permission

    def _permission(self, repo: str, login: str) -> CollaboratorPermission:
        path = f"{repo_path(repo)}/collaborators/{quote(login, safe='')}/permission"
        return self.get(CollaboratorPermission, path)

    def assignees(self, repo: str) -> list[User]:
        """Who can be assigned: those with write access, and members of teams that may at least read issues here."""
        items = self.request("GET", f"{repo_path(repo)}/assignees").read_list(User)
        return [item for item in items if item is not None]

    def may_write(self, repo: str, login: str, user_id: int | None = None) -> Allowed | Denied:
        """Whether the person may write to the repository; when it cannot be known, no. `user_id` is the account that is
        meant: a login may be another one's by now.

        A bad token or a missing scope is raised: that is the operator's to mend, not the person's to be told.
        """
        try:
            found = self._permission(repo, login)
        except GiteaMissing:
            return Denied(f"there is no account {login}, or it has no part in {repo}")
        except GiteaRefused as refused:
            if refused.is_of_the_token:
                raise
            return Denied(
                f"the bot may not look up what {login} may do in {repo}: make it an administrator of the repository,"
                f" or list {login} in allow_users",
            )
        if user_id is not None and found.user is not None and found.user.id != user_id:
            return Denied(f"the account that is called {login} now is another one than the one that asked")
        if found.permission in {"write", "admin", "owner"}:
            return Allowed()
        return Denied(f"{login} has {found.permission} access to {repo}, and write access is needed")

    # Pull requests

    def pull(self, repo: str, n: int) -> PullRequest:
        return self.get(PullRequest, f"{repo_path(repo)}/pulls/{n}")

    def open_pull(self, repo: str, head: str, base: str | None = None) -> PullRequest | None:
        """The open pull request from the repository's own branch `head`, into `base` if given.

        The open ones are listed: /pulls/{base}/{head} gives any state, whichever row comes first, and a fork may
        have a branch of the same name.
        """
        for pull in self.pages(PullRequest, f"{repo_path(repo)}/pulls", state="open", sort="recentupdate"):
            own = pull.head.ref == head and pull.head.repo_id == pull.base.repo_id
            if own and base in {None, pull.base.ref}:
                return pull
        return None

    def ensure_pull(self, repo: str, head: str, base: str, title: str, body: str) -> PullRequest:
        """The open pull request of `head`, made if there is none.

        One that a person pointed at another base is kept. 409 means that somebody made it in between.
        """
        found = self.open_pull(repo, head)
        if found:
            return found
        fields = {"head": head, "base": base, "title": title, "body": body}
        try:
            return self.send(PullRequest, "POST", f"{repo_path(repo)}/pulls", fields)
        except GiteaRejected as rejected:
            found = self.open_pull(repo, head) if rejected.status == HTTPStatus.CONFLICT else None
            if found is None:
                raise
            return found

    def edit_pull(
        self,
        repo: str,
        n: int,
        *,
        title: str | None = None,
        body: str | None = None,
    ) -> PullRequest:
        """Change the title, the text, or both; None leaves it."""
        given = {"title": title, "body": body}
        fields = {key: value for key, value in given.items() if value is not None}
        return self.send(PullRequest, "PATCH", f"{repo_path(repo)}/pulls/{n}", fields)


def _moment(answer: Answer) -> float:
    """When it was given, by the server's clock; by ours where it tells none."""
    return moment_of(answer.headers.get("Date", "")) or float(int(time.time()))
