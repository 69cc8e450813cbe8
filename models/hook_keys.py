"""The secret that a webhook of ours is made with: each has one of its own, made from the one that is set.

Gitea shows a webhook's secret to whoever administers the repository (templates/repo/settings/webhook/settings.tmpl).
With the one that is set they could sign whatever they like for every other repository; with their own only for that.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256

SERVER_SCOPE = "server"


def repository_scope(number: int) -> str:
    """What a repository's own webhook may tell of. `number` is the server's own, which stays under another name."""
    return f"repository {number}"


def organization_scope(owner: str) -> str:
    """What an organisation's webhook may tell of; letter case does not count."""
    return f"organization {owner.lower()}"


def scope_of(place: str, number: int | None) -> str:
    """Of the webhook in this place: "OWNER/REPO" with its number, "OWNER", or "" for the server."""
    if "/" in place:
        return repository_scope(number or 0)
    return organization_scope(place) if place else SERVER_SCOPE


def secret_for(secret: str, scope: str) -> str:
    """The webhook's own secret: 64 hexadecimal letters, from which the one that is set cannot be found."""
    return hmac.new(secret.encode(), f"kugetsu: webhook of {scope}".encode(), sha256).hexdigest()


def keys_for(secrets: Sequence[str], scope: str) -> list[bytes]:
    """The keys with which a webhook of this scope may sign, one for each secret that is set."""
    return [secret_for(secret, scope).encode() for secret in secrets]
