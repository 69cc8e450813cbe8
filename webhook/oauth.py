"""Signing in with Gitea: the authorization code flow of OAuth 2 with PKCE (RFC 6749, section 4.1; RFC 7636).

Beside the first start the one place where the HTTP side calls Gitea: with the token of the person who signs in, never
with the bot's, and never on the way of a webhook. The token is forgotten as soon as Gitea has said who they are and
where they may write.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec
from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oauth2.rfc6749.parameters import (
    parse_authorization_code_response,
    prepare_grant_uri,
    prepare_token_request,
)
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from jobs.gitea_answers import GiteaError
from jobs.gitea_http import GiteaHttp, post_form
from models.settings import DEFAULT_SERVER, Settings
from models.wire import Repository

CALLBACK: Final = "/admin/signin/callback"
SCOPES: Final = "read:user read:repository"
"""What the token may do. Gitea before 1.23 and Forgejo give it all that the person may, whatever is asked for."""

PATIENCE: Final = 10.0
"""Seconds to wait for Gitea to say something; somebody looks at a blank page meanwhile."""


class NotSignedIn(Exception):
    """Gitea has not said who this is; the message is a sentence without its full stop."""


class Begun(NamedTuple):
    """A sign-in under way: where the browser is sent, and what must be the same when it comes back."""

    address: str
    state: str
    verifier: str


class Person(NamedTuple):
    """Who has signed in. `repos` are those they may write to, where they are no administrator of the server."""

    login: str
    is_admin: bool
    repos: frozenset[str]


class _User(msgspec.Struct):
    login: str
    is_admin: bool = False


class _Token(msgspec.Struct):
    access_token: str = ""
    error: str = ""
    error_description: str = ""


@dataclass(frozen=True, slots=True)
class SignInServer:
    """The Gitea that people sign in with. `secret` is "" for an application that is registered as public."""

    url: str
    client_id: str
    secret: str
    callback: str

    @classmethod
    def of(cls, settings: Settings) -> SignInServer | None:
        """As the settings have it; None where nobody is to sign in with Gitea."""
        server = settings.servers.get(DEFAULT_SERVER)
        if settings.oauth_client_id is None or server is None or not server.url:
            return None
        secret = settings.oauth_client_secret.get_secret_value() if settings.oauth_client_secret else ""
        return cls(server.url, settings.oauth_client_id, secret, f"{settings.public_url}{CALLBACK}")

    def begin(self) -> Begun:
        """A sign-in begins."""
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        address = prepare_grant_uri(
            f"{self.url}/login/oauth/authorize",
            self.client_id,
            "code",
            redirect_uri=self.callback,
            scope=SCOPES,
            state=state,
            code_challenge=create_s256_code_challenge(verifier),  # type: ignore[no-untyped-call]
            code_challenge_method="S256",
        )
        return Begun(str(address), state, verifier)

    def finish(self, came_back_to: str, state: str, verifier: str) -> Person:
        """Who this is, by the address to which Gitea has sent the browser. Blocks on Gitea; raises NotSignedIn."""
        try:
            answer = parse_authorization_code_response(came_back_to, state)
            return self._person(self._token(str(answer["code"]), verifier))
        except OAuth2Error as error:
            raise NotSignedIn(f"Gitea's answer is not one to the question that was asked: {error}") from error
        except GiteaError as error:
            raise NotSignedIn(f"Gitea did not say who this is: {error}") from error

    def _token(self, code: str, verifier: str) -> str:
        form = prepare_token_request(
            "authorization_code",
            redirect_uri=self.callback,
            code=code,
            code_verifier=verifier,
            client_id=self.client_id,
            client_secret=self.secret,
        )
        read = post_form(self.url, "/login/oauth/access_token", str(form), timeout=PATIENCE).read(_Token)
        if not read.access_token:
            why = read.error_description or read.error or "no reason given"
            raise NotSignedIn(f"Gitea refuses this application: {why}; are client id and secret right?")
        return read.access_token

    def _person(self, token: str) -> Person:
        with GiteaHttp(self.url, token, timeout=PATIENCE) as gitea:
            user = gitea.get(_User, "/user")
            mine = () if user.is_admin else gitea.pages(Repository, "/user/repos")
            writable = [repo.full_name for repo in mine if repo.permissions is not None and repo.permissions.push]
        return Person(user.login, user.is_admin, frozenset(writable))
