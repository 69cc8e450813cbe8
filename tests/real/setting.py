"""Setting the scene on a real Gitea: people, organisations, repositories, rights, hooks, labels."""

import base64
import itertools
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from tests.fakes.gitea import BOT_SCOPES, Hook, Label, NotThere, Repo, User
from tests.fakes.gitea.gitrepo import Files
from tests.fakes.gitea.state import Standing
from tests.real.looks import RealLooks
from tests.real.server import GiteaServer
from tests.real.values import Json, label_of, repo_of, user_of

FLUSH_SECONDS = 20.0
# Rights by unit, as a team made in the web pages has them (facts, section 4.5).
TEAM_UNITS = {"repo.code": "write", "repo.issues": "write", "repo.pulls": "write"}


class RealSetting(RealLooks):
    """The verbs that come before a story. Done by the administrator of the site; all are undone by `stop`."""

    def __init__(self, server: GiteaServer) -> None:
        super().__init__(server)
        self._repositories: list[str] = []
        self._orgs: list[str] = []
        self._tokens: dict[str, tuple[str, str]] = {}
        self._names = itertools.count(1)

    @property
    def pid(self) -> int | None:
        """Of the server's process, where it runs."""
        return self.server.pid

    def up(self) -> None:
        self.server.up()

    def down(self) -> None:
        """Ends the server, until `up`."""
        self.server.down()
        self._log.break_off()

    def stop(self) -> None:
        """Takes away the repositories and organisations; people stay, and are found again by the next test."""
        self.up()
        while self._repositories:
            self._delete(f"/repos/{self._repositories.pop()}")
        while self._orgs:
            self._delete(f"/orgs/{self._orgs.pop()}")

    def _delete(self, path: str) -> None:
        with suppress(NotThere):  # a test may have deleted it
            self.admin.api("DELETE", path)

    def user(self, login: str, full_name: str = "", *, is_admin: bool = False) -> User:
        """A person (or a bot: Gitea sees no difference); the same one when they exist already."""
        try:
            return user_of(self.admin.api("GET", f"/users/{login}"))
        except NotThere:
            seat = self.server.seat(login)
        who = {"username": login, "email": seat.email, "password": seat.password, "full_name": full_name}
        made = self.admin.api("POST", "/admin/users", {**who, "must_change_password": False})
        if is_admin:
            self.admin.api("PATCH", f"/admin/users/{login}", {"login_name": login, "source_id": 0, "admin": True})
        return user_of(made)

    def org(self, login: str, *, owners: Iterable[str] = ()) -> User:
        """An organisation; its owners own its repositories."""
        if not self._is_org(login):
            self.admin.api("POST", "/orgs", {"username": login})
            self._orgs.append(login)
        for owner in owners:
            self.user(owner)
            self._join(login, "Owners", owner)
        return user_of(self._org(login))

    def _org(self, login: str) -> Json:
        found: Json = self.admin.api("GET", f"/orgs/{login}")
        return {**found, "login": found["name"]}

    def _is_org(self, login: str) -> bool:
        try:
            return bool(self._org(login))
        except NotThere:
            return False

    def _is_anybody(self, login: str) -> bool:
        try:
            return bool(self.admin.api("GET", f"/users/{login}"))
        except NotThere:
            return False

    def _join(self, org: str, team: str, login: str) -> int:
        """Makes somebody a member of a team; gives the team's id."""
        teams = {item["name"]: item["id"] for item in self.admin.every(f"/orgs/{org}/teams")}
        if team not in teams:
            wanted = {"name": team, "permission": "none", "units_map": TEAM_UNITS}
            teams[team] = self.admin.api("POST", f"/orgs/{org}/teams", wanted)["id"]
        self.admin.api("PUT", f"/teams/{teams[team]}/members/{login}")
        return int(teams[team])

    def token_for(self, login: str, scopes: Sequence[str] = BOT_SCOPES) -> str:
        """A new access token."""
        self.user(login)
        name = f"token-{next(self._names)}-{secrets.token_hex(4)}"
        path = f"/users/{login}/tokens"
        value = str(self.server.seat(login).api("POST", path, {"name": name, "scopes": list(scopes)})["sha1"])
        self._tokens[value] = (login, name)
        return value

    def revoke(self, token: str) -> None:
        """From now on this token is wrong."""
        login, name = self._tokens.pop(token)
        self.server.seat(login).api("DELETE", f"/users/{login}/tokens/{name}")

    def repo(
        self,
        full_name: str,
        *,
        files: Files | None = None,
        collaborators: Mapping[str, Standing] | None = None,
        private: bool = False,
        default_branch: str = "main",
    ) -> Repo:
        """A repository with a first commit of these files (none at all: an empty repository).

        An owner whom nobody knows becomes an organisation, collaborators become users.
        """
        owner, _, name = full_name.partition("/")
        if not self._is_anybody(owner):
            self.org(owner)
        path = f"/orgs/{owner}/repos" if self._is_org(owner) else f"/admin/users/{owner}/repos"
        self.admin.api("POST", path, {"name": name, "private": private, "default_branch": default_branch})
        self._repositories.append(full_name)
        if files:
            self._first_commit(full_name, files, default_branch)
        for login, standing in (collaborators or {}).items():
            self.let(full_name, login, standing)
        return self._repo(full_name)

    def _first_commit(self, repo: str, files: Files, branch: str) -> None:
        rows = [
            {"operation": "create", "path": path, "content": base64.b64encode(_bytes(text)).decode()}
            for path, text in files.items()
            if text is not None
        ]
        body = {"files": rows, "message": "Initial commit", "branch": branch}
        self.admin.api("POST", f"/repos/{repo}/contents", body)
        # A push is announced later, and would reach hooks made in between; so would one of the test before.
        self.server.flush(FLUSH_SECONDS)

    def fork(self, repo: str, by: str) -> Repo:
        """A copy under the person's own name; pull requests from it are `head="PERSON:branch"`."""
        made = self.server.seat(by).api("POST", f"/repos/{repo}/forks", {})
        self._repositories.append(made["full_name"])
        return repo_of(made, self.server.repositories)

    def let(self, repo: str, login: str, standing: Standing | None) -> None:
        """Makes somebody a collaborator, or (None) no longer one."""
        self.user(login)
        path = f"/repos/{repo}/collaborators/{login}"
        if standing is None:
            self.admin.api("DELETE", path)
        elif standing == "team-write":
            org = repo.partition("/")[0]
            self.admin.api("PUT", f"/teams/{self._join(org, 'writers', login)}/repos/{repo}")
        else:
            self.admin.api("PUT", path, {"permission": standing})

    def rename(self, repo: str, name: str) -> str:
        """Gives the repository another name; gives its new full name."""
        full_name = str(self.admin.api("PATCH", f"/repos/{repo}", {"name": name})["full_name"])
        self._repositories = [full_name if known == repo else known for known in self._repositories]
        return full_name

    def archive(self, repo: str, *, archived: bool = True) -> None:
        self.admin.api("PATCH", f"/repos/{repo}", {"archived": archived})

    def hook(
        self,
        repo_or_org: str,
        url: str,
        secret: str,
        events: Sequence[str] = ("issues", "pull_request", "push"),
        content_type: str = "json",
    ) -> Hook:
        """A webhook of a repository ("owner/name") or of an organisation ("owner")."""
        where = "repos" if "/" in repo_or_org else "orgs"
        config = {"url": url, "content_type": content_type, "secret": secret}
        body = {"type": "gitea", "active": True, "events": list(events), "config": config}
        made = self.admin.api("POST", f"/{where}/{repo_or_org}/hooks", body)
        return self._log.hook(made["id"])

    def create_label(self, repo: str, name: str, color: str = "00aabb", *, exclusive: bool = False) -> Label:
        body = {"name": name, "color": f"#{color}", "exclusive": exclusive}
        return label_of(self.admin.api("POST", f"/repos/{repo}/labels", body))


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
