"""What is said of webhooks: what is wrong, and where it is mended. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from models.hooks import HookState, is_loopback, is_private


def cannot_look(url: str, place: str, rights: str, scope: str | None) -> dict[str, Any]:
    """Gitea does not let us see the webhooks of this place."""
    if scope:
        problem = f"the token lacks the scope {scope}"
        return {"state": HookState.REFUSED, "problem": problem, "cure": f"{url}/user/settings/applications"}
    problem = f"only an administrator of a repository may look after its webhooks, and the bot has {rights} access"
    return {"state": HookState.REFUSED, "problem": problem, "cure": f"{url}/{place}/settings/collaboration"}


def cannot_look_widely(url: str, place: str, error: Exception) -> dict[str, Any]:
    """Gitea does not let us see the webhooks of this organisation, or ("") of the whole server."""
    right = f"the bot owns {place} and its token has write:organization" if place else "it is the site administrator's"
    problem = f"webhooks here can be seen and made only where {right}: {error}"
    return {"state": HookState.REFUSED, "problem": problem, "cure": f"{url}/user/settings/applications"}


def somebody_elses(address: str) -> dict[str, Any]:
    """Deliveries come in by a webhook that is not ours."""
    problem = f"webhooks arrive, but by one with another address than {address}; none is made beside it unasked"
    return {"state": HookState.ADDRESS, "problem": problem, "cure": ""}


def did_not_arrive(address: str, refused: str, page: str) -> dict[str, Any]:
    """A test delivery was sent and not taken in. `refused` is why one was turned away meanwhile."""
    if refused:
        problem = f"a test delivery was turned away: {refused}"
    else:
        problem = f"a test delivery to {address} did not arrive; {host_rule(address) or 'Gitea says why on this page'}"
    return {"state": HookState.FAILING, "problem": problem, "cure": page}


def missed_asks(count: int, page: str) -> dict[str, Any]:
    """So many asks were found by looking, and nothing has come in since."""
    problem = f"{count} of what was asked in the last 24 hours came in by no webhook and was found by looking"
    return {"state": HookState.FAILING, "problem": problem, "cure": page}


def host_rule(address: str) -> str:
    """The line of app.ini without which Gitea calls no such address; "" where it calls it unasked."""
    host = urlsplit(address).hostname or ""
    kind = "loopback" if is_loopback(host) else "private" if is_private(host) else ""
    if not kind:
        return ""
    return f"does app.ini of Gitea say, under [webhook], ALLOWED_HOST_LIST = external, {kind}?"


def page_of(url: str, repo: str, hook: int | None) -> str:
    """Where Gitea shows the webhook and what became of its deliveries."""
    return f"{url}/{repo}/settings/hooks" + (f"/{hook}" if hook else "")
