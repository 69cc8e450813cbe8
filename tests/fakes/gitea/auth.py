"""Who calls: tokens in headers, Basic credentials, sudo (facts, sections 4.1 and 5)."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from tests.fakes.gitea.state import State, Token, User


class Refused(Exception):
    """The credentials are wrong (401), or do not allow acting for somebody else."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Caller:
    """Who calls, and with which token; nobody when no credentials came."""

    user: User | None = None
    token: Token | None = None


def authenticate(state: State, headers: Mapping[str, str], query: Mapping[str, str]) -> Caller:
    """Reads the Authorization header; credentials that are wrong raise `Refused`, none are fine."""
    value = headers.get("authorization", "")
    if not value:
        return Caller()
    token = state.tokens.get(_token_text(value))
    if token is None:
        raise Refused(401, "invalid username, password or token")
    name = headers.get("sudo") or query.get("sudo")
    return _sudo(state, token, name) if name else Caller(token.user, token)


def _token_text(header: str) -> str:
    """The token in an Authorization header, "" when there is none: `token X`, `Bearer X` or Basic."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() in {"token", "bearer"}:
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        name, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return name if password in {"", "x-oauth-basic"} else password


def _sudo(state: State, token: Token, name: str) -> Caller:
    if not token.user.is_admin:
        raise Refused(403, "Only administrators allowed to sudo.")
    found = state.users.get(name.lower())
    if found is None:
        raise Refused(404, f"user does not exist [uid: 0, name: {name}]")
    return Caller(found, token)
