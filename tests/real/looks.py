"""What a person sees who looks at a real Gitea: the looking verbs of the fake, asked of the API."""

import base64
from typing import Any

from tests.fakes.gitea import Commit, Delivery, Entry, Issue, NotThere, Repo, Review
from tests.real.deliveries import DeliveryLog
from tests.real.seat import Seat
from tests.real.server import GiteaServer
from tests.real.values import (
    Json,
    commit_of,
    entry_of,
    issue_of,
    label_of,
    pull_of,
    repo_of,
    review_of,
)


class RealLooks:
    """The looking verbs; the administrator of the site does the looking. Values are what is there at that moment."""

    def __init__(self, server: GiteaServer) -> None:
        self.server = server
        self._log = DeliveryLog(server.database)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def admin(self) -> Seat:
        return self.server.admin

    @property
    def deliveries(self) -> list[Delivery]:
        """Every webhook so far, oldest first, those of deleted hooks excepted."""
        return self._log.all()

    @property
    def unexpected(self) -> list[str]:
        """What broke the server: empty at the end of a good test. It records no unknown routes or fields."""
        return [line for line in self.server.log().splitlines() if "PANIC" in line]

    def issue_of(self, repo: str, n: int) -> Issue:
        """An issue or pull request; NotThere when there is none."""
        found = self.admin.api("GET", f"/repos/{repo}/issues/{n}")
        if found["pull_request"]:
            found = self.admin.api("GET", f"/repos/{repo}/pulls/{n}")
        return self._issue(self._repo(repo), found)

    def issues_of(self, repo: str) -> list[Issue]:
        place = self._repo(repo)
        found = list(self.admin.every(f"/repos/{repo}/issues", state="all", type="issues"))
        return [self._issue(place, item) for item in reversed(found)]

    def comments_of(self, repo: str, n: int, by: str = "") -> list[Entry]:
        """The plain comments, all or one person's."""
        found = [entry_of(item) for item in self.admin.api("GET", f"/repos/{repo}/issues/{n}/comments") or ()]
        return [entry for entry in found if not by or entry.user.login.lower() == by.lower()]

    def labels_of(self, repo: str, n: int) -> list[str]:
        """The names of an issue's labels, sorted."""
        return sorted(label["name"] for label in self.admin.api("GET", f"/repos/{repo}/issues/{n}/labels") or ())

    def label_names(self, repo: str) -> list[str]:
        """The names of the labels that the repository has, sorted."""
        return sorted(label["name"] for label in self.admin.every(f"/repos/{repo}/labels"))

    def pulls_of(self, repo: str, state: str = "") -> list[Issue]:
        """The pull requests, all or the "open" or "closed" ones."""
        place = self._repo(repo)
        found = list(self.admin.every(f"/repos/{repo}/pulls", state=state or "all"))
        return [self._issue(place, item) for item in sorted(found, key=lambda item: int(item["number"]))]

    def reviews_of(self, repo: str, n: int) -> list[Review]:
        path = f"/repos/{repo}/pulls/{n}/reviews"
        return [
            review_of(item, self.admin.api("GET", f"{path}/{item['id']}/comments")) for item in self.admin.every(path)
        ]

    def reactions_of(self, repo: str, on: int | Issue | Entry) -> list[tuple[str, str]]:
        """(login, content) of each reaction to an issue (by number) or a comment."""
        found = self.admin.api("GET", f"{reactions_path(repo, on)}/reactions") or ()
        return [(item["user"]["login"], item["content"]) for item in found]

    def branches_of(self, repo: str) -> dict[str, str]:
        """Each branch with its commit."""
        return {item["name"]: item["commit"]["id"] for item in self.admin.every(f"/repos/{repo}/branches")}

    def file_at(self, repo: str, branch: str, path: str) -> str | None:
        """A file's text on a branch, None when it is not there."""
        try:  # not by /raw/, which gives the default branch's file for a branch that is not there
            found = self.admin.api("GET", f"/repos/{repo}/contents/{path}", ref=branch)
        except NotThere:
            return None
        return base64.b64decode(found["content"]).decode()

    def log(self, repo: str, branch: str) -> list[Commit]:
        """The branch's commits, newest first."""
        return [commit_of(item) for item in self.admin.every(f"/repos/{repo}/commits", sha=branch, stat="false")]

    def _repo(self, full_name: str) -> Repo:
        return repo_of(self.admin.api("GET", f"/repos/{full_name}"), self.server.repositories)

    def _issue(self, repo: Repo, found: Json) -> Issue:
        pull = None
        if found.get("head"):
            other: Any = found["head"]["repo"]
            home = repo if not other or other["id"] == repo.id else repo_of(other, self.server.repositories)
            pull = pull_of(found, home)
        return issue_of(found, repo, self.comments_of(repo.full_name, found["number"]), pull)

    def _label_id(self, repo: str, name: str) -> int:
        """The id of a label of the repository or of its organisation, as the forms and the API want it."""
        labels = [label_of(item) for item in self.admin.every(f"/repos/{repo}/labels")]
        for label in sorted(labels, key=lambda label: label.id):
            if label.name == name:
                return label.id
        raise NotThere(f"no label {name!r} in {repo}; there are {sorted(label.name for label in labels)}")


def reactions_path(repo: str, on: int | Issue | Entry) -> str:
    """Where the API has the reactions to an issue (or its number) or a comment, without the last word."""
    if isinstance(on, Entry):
        return f"/repos/{repo}/issues/comments/{on.id}"
    return f"/repos/{repo}/issues/{on if isinstance(on, int) else on.number}"
