"""Webhooks by Gitea's API: of a repository, an organisation, or the whole server (system hooks).

A place is "OWNER/REPO", "OWNER" or "" for the server. A repository's hooks need its administrator, an organisation's
its owner and the scope write:organization, the server's the site's administrator and write:admin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from jobs.gitea_http import GiteaHttp, repo_path
from models.wire import Hook


@dataclass(frozen=True, slots=True)
class HookSpec:
    """How a webhook is to be. `events` are words of the API, which stand for groups."""

    address: str
    secret: str
    events: Sequence[str]
    authorization: str = ""
    branches: str = "*"
    content_type: str = "json"


class GiteaHooks(GiteaHttp):
    """The verbs of `jobs.gitea.Gitea` that are about webhooks."""

    def hooks(self, place: str) -> list[Hook]:
        """All webhooks there, other people's too. GiteaRefused without the right, GiteaMissing where there is no such
        place; a person's account is no organisation. Of the server its system hooks, not those it gives to each new
        repository: all that Gitea up to 1.22 and Forgejo list, and later ones where nothing else is asked for.
        """
        return list(self.pages(Hook, f"{_path(place)}/hooks"))

    def create_hook(self, place: str, spec: HookSpec) -> Hook:
        """A new one. Gitea makes another for an address that has one already: look first."""
        config = {"url": spec.address, "content_type": spec.content_type, "secret": spec.secret}
        if not place:
            config["is_system_webhook"] = "true"
        return self.send(Hook, "POST", f"{_path(place)}/hooks", {"type": "gitea", "config": config, **_how(spec)})

    def edit_hook(self, place: str, number: int, spec: HookSpec) -> Hook:
        """Replace all of it but the secret, which cannot be changed: Gitea resets what is not sent."""
        config = {"url": spec.address, "content_type": spec.content_type}
        return self.send(Hook, "PATCH", f"{_path(place)}/hooks/{number}", {"config": config, **_how(spec)})

    def delete_hook(self, place: str, number: int) -> None:
        """GiteaMissing where somebody has done that already."""
        self.request("DELETE", f"{_path(place)}/hooks/{number}")

    def try_hook(self, repo: str, number: int) -> None:
        """Have Gitea send it a push that was none. Up to 1.27.0 nothing is sent, and all is said to be well, where it
        does not want pushes; GiteaMissing for a repository without commits (seen on 1.26.3).
        """
        self.request("POST", f"{repo_path(repo)}/hooks/{number}/tests")


def _path(place: str) -> str:
    if "/" in place:
        return repo_path(place)
    return f"/orgs/{quote(place, safe='')}" if place else "/admin"


def _how(spec: HookSpec) -> dict[str, object]:
    return {
        "active": True,
        "events": list(spec.events),
        "branch_filter": spec.branches,
        "authorization_header": spec.authorization,
    }
