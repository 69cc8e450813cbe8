"""OAuth 2 for signing in elsewhere: the grant page, and the token it leads to.

As in Gitea's routers/web/auth/oauth2_provider.go, 1.26: the order of its checks, its errors and its words. Nobody logs
in here: the grant page has a button for each person.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from functools import partial
from html import escape
from urllib.parse import parse_qsl, urlencode

from tests.fakes.gitea.api import Answer, Request
from tests.fakes.gitea.state import State, Token, User

PLAIN = {"Content-Type": "text/html; charset=utf-8"}
ALL = ("read:user", "read:repository", "read:issue", "write:repository", "write:issue")


@dataclass(eq=False)
class Application:
    """An OAuth2 application, as somebody registers it under Settings, Applications."""

    name: str
    redirects: tuple[str, ...]
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    secret: str = field(default_factory=lambda: f"gto_{secrets.token_hex(16)}")


@dataclass
class Grant:
    """A code on its way: good once."""

    application: Application
    user: User
    redirect: str
    scope: str
    challenge: str
    method: str


class OAuth:
    """The pages below /login/oauth."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._applications: dict[str, Application] = {}
        self._grants: dict[str, Grant] = {}

    def register(self, name: str, *redirects: str) -> Application:
        application = Application(name, redirects)
        self._applications[application.id] = application
        return application

    def answer(self, request: Request) -> Answer | None:
        """The answer; None where the address is another's."""
        with self._state.lock:
            match request.method, request.path:
                case "GET", "/login/oauth/authorize":
                    return self._authorize(request.query)
                case "POST", "/login/oauth/grant":
                    return self._grant(dict(parse_qsl(request.raw.decode(), keep_blank_values=True)))
                case "POST", "/login/oauth/access_token":
                    return self._access_token(dict(parse_qsl(request.raw.decode(), keep_blank_values=True)))
                case _:
                    return None

    def _authorize(self, asked: dict[str, str]) -> Answer:
        application = self._applications.get(asked.get("client_id", ""))
        if application is None:
            return _page("Client ID not registered", "", 400)
        if asked.get("redirect_uri", "") not in application.redirects:
            return _page("Unregistered Redirect URI", "", 400)
        if asked.get("response_type") != "code":
            why = "Only code response type is supported."
            return _back(asked, error="unsupported_response_type", error_description=why)
        if asked.get("code_challenge_method", "") not in {"S256", "plain", ""}:
            return _back(asked, error="invalid_request", error_description="unsupported code challenge method")
        fields = "".join(_hidden(name, text) for name, text in asked.items())
        buttons = "".join(_button(user.login, f"as {user.login}") for user in self._people()) + _button("", "Cancel")
        form = f'<form method="post" action="/login/oauth/grant">{fields}{buttons}</form>'
        return _page(f"Authorize {application.name} to access your account?", form, 200)

    def _people(self) -> list[User]:
        return [user for user in self._state.users.values() if not user.is_org]

    def _grant(self, asked: dict[str, str]) -> Answer:
        if not asked.get("as"):
            return _back(asked, error="access_denied", error_description="the request is denied")
        code, application = f"gta_{secrets.token_hex(16)}", self._applications[asked["client_id"]]
        how = (asked.get("code_challenge", ""), asked.get("code_challenge_method", ""))
        user = self._state.user(asked["as"])
        self._grants[code] = Grant(application, user, asked["redirect_uri"], asked.get("scope", ""), *how)
        return _back(asked, code=code)

    def _access_token(self, asked: dict[str, str]) -> Answer:
        application = self._applications.get(asked.get("client_id", ""))
        grant = self._grants.get(asked.get("code", ""))
        refusal = _why_not(asked, application, grant)
        if refusal is not None or grant is None:
            return refusal or _refusal("invalid_grant", "invalid grant")
        del self._grants[asked["code"]]
        return Answer(200, self._token(grant))

    def _token(self, grant: Grant) -> dict[str, object]:
        """Of a scope only what is one of a token's; none at all means all (Gitea's grantAdditionalScopes)."""
        scopes = tuple(word for word in grant.scope.split() if ":" in word) or ALL
        token = Token(self._state.next_id("token"), f"ey.{secrets.token_hex(20)}", grant.user, scopes)
        self._state.tokens[token.value] = token
        shape = {"access_token": token.value, "token_type": "bearer", "expires_in": 3600}
        return {**shape, "refresh_token": f"ey.{secrets.token_hex(20)}"}


def _why_not(asked: dict[str, str], application: Application | None, grant: Grant | None) -> Answer | None:
    """The first thing that is wrong with a request for a token."""
    unauthorized = partial(_refusal, "unauthorized_client")
    if asked.get("grant_type") != "authorization_code":
        why = "Only refresh_token or authorization_code grant type is supported"
        return _refusal("unsupported_grant_type", why)
    if application is None:
        return _refusal("invalid_client", f"cannot load client with client id: {asked.get('client_id', '')!r}")
    checks = (
        (asked.get("client_secret", "") == application.secret, "invalid client secret"),
        (asked.get("redirect_uri", "") in {"", *application.redirects}, "unexpected redirect URI"),
        (grant is not None, "client is not authorized"),
        (grant is not None and _proves(grant, asked.get("code_verifier", "")), "failed PKCE code challenge"),
    )
    wrong = next((words for right, words in checks if not right), None)
    if wrong is None and grant is not None and grant.application is not application:
        return _refusal("invalid_grant", "invalid grant")
    return unauthorized(wrong) if wrong is not None else None


def _proves(grant: Grant, verifier: str) -> bool:
    if grant.method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == grant.challenge
    return verifier == grant.challenge


def _back(asked: dict[str, str], **more: str) -> Answer:
    told = urlencode({**more, "state": asked.get("state", "")})
    return Answer(303, b"", {"Location": f"{asked['redirect_uri']}?{told}"})


def _refusal(error: str, description: str) -> Answer:
    return Answer(400, {"error": error, "error_description": description})


def _page(title: str, body: str, status: int) -> Answer:
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
    text = f"{head}<h1>{escape(title)}</h1>{body}"
    return Answer(status, text.encode(), dict(PLAIN))


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


def _button(login: str, text: str) -> str:
    return f'<button name="as" value="{escape(login)}">{escape(text)}</button>'
