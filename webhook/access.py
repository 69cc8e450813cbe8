"""Who comes to the admin side: signed in, by the admin token, or from this machine."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import ClassVar, Final
from urllib.parse import urlsplit

from peewee import Database
from starlette.requests import Request
from starlette.responses import Response

from models import sessions
from models.settings import Settings
from webhook.admin import refusal, why_not_from_here
from webhook.attempts import Attempts, TooMany
from webhook.seals import Seals
from webhook.senders import sender_of
from webhook.viewing import Viewer

ADMIN: Final = "admin"
"""Who asked, where an administrator did; no account of a Gitea is meant."""

OWN_SITES: Final = ("same-origin", "none")
"""What a browser says in Sec-Fetch-Site of a request that no other site has made."""

CSRF: Final = "csrf"
"""The field of a form, and `X-CSRF-Token` the header, that show that one of our own pages has made a request."""

_COOKIE: Final = "kugetsu_session"


class Denied(Exception):
    """May not do this. `status` is the HTTP answer, the message a sentence, `sign_in` whether signing in would help,
    `wait` the seconds after which it may be tried again.
    """

    def __init__(self, status: int, sentence: str, *, sign_in: bool = False, wait: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sign_in = sign_in
        self.wait = wait


def cookie_of(settings: Settings) -> tuple[str, bool]:
    """The name of the cookie that holds the session, and whether it is for TLS only: where it is, its name has browsers
    take it from nobody but this very host (draft-ietf-httpbis-rfc6265bis, section 4.1.3.2).
    """
    secure = settings.public_url.startswith("https://")
    return f"__Host-{_COOKIE}" if secure else _COOKIE, secure


def keep_session(answer: Response, settings: Settings, seals: Seals, number: str) -> None:
    """Have the browser keep the session, out of every script's reach. Lax, since it is Gitea's page that sends the
    browser back here.
    """
    name, secure = cookie_of(settings)
    sealed = seals.seal("session", number)
    answer.set_cookie(name, sealed, sessions.LASTS, path="/", secure=secure, httponly=True, samesite="lax")


@dataclass(frozen=True, slots=True)
class Access:
    """Tells who a request comes from, and whether a change was really asked for by them."""

    settings: Settings
    seals: Seals
    database: Database
    attempts: Attempts = field(default_factory=Attempts)
    entry: ClassVar[str] = "/admin/signin"
    """The page by which one comes in."""

    def viewer(self, request: Request, *, now: float) -> Viewer:
        """Who looks. Needs a connection; raises Denied."""
        if "authorization" not in request.headers and (signed_in := self._signed_in(request, now)) is not None:
            return signed_in
        if self.settings.admin_token is not None:
            return self._by_token(request)
        if self.settings.oauth_client_id is not None:
            raise Denied(401, "nobody is signed in", sign_in=True)
        if why_not := why_not_from_here(request):
            raise Denied(403, why_not)
        return Viewer(ADMIN, sees_all=True, csrf=self.seals.mark(CSRF, "this machine"))

    def session_of(self, request: Request) -> str | None:
        """The id of the session that the browser holds, whether it is still good or not."""
        name, _ = cookie_of(self.settings)
        number = self.seals.open("session", request.cookies.get(name, ""), seconds=sessions.LASTS)
        return number if isinstance(number, str) else None

    def _signed_in(self, request: Request, now: float) -> Viewer | None:
        number = self.session_of(request)
        found = sessions.find(self.database, number, now=now) if number is not None else None
        if found is None or number is None:
            return None
        csrf = self.seals.mark(CSRF, number)
        return Viewer(found.name, found.sees_all, csrf, found.repos, signed_in=True)

    def _by_token(self, request: Request) -> Viewer:
        given = "authorization" in request.headers
        if given:
            self.check_attempts(request)
        if refusal(request, self.settings.admin_token) is None:
            return Viewer(ADMIN, sees_all=True)
        if given:
            self.failed(request)
        raise Denied(401, "the admin token is missing or wrong", sign_in=True)

    def check_attempts(self, request: Request) -> None:
        """Raise Denied where nobody may try to sign in from there now."""
        try:
            self.attempts.check(self._from(request))
        except TooMany as error:
            raise Denied(429, str(error), wait=error.seconds) from None

    def failed(self, request: Request) -> None:
        """Count a try to sign in that was wrong."""
        self.attempts.failed(self._from(request))

    def _from(self, request: Request) -> str:
        return sender_of(request, self.settings.trusted_proxies)

    def check_change(self, request: Request, viewer: Viewer, given: str, *, form: bool) -> None:
        """Raise Denied for a change that a page of another site may have made the viewer's browser send. `given` is the
        word that our own pages send along; `form`: the body is one that any page's form could send.
        """
        if not viewer.csrf:
            return
        self.check_site(request)
        if (form or viewer.signed_in) and not same(given, viewer.csrf):
            raise Denied(403, "this form is no longer good: open the page again and repeat what you did")

    def check_site(self, request: Request) -> None:
        """Raise Denied for what a page of another site has made a browser send; browsers say so themselves."""
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
        ours = (request.headers.get("host", ""), urlsplit(self.settings.public_url).netloc)
        if (origin is not None and urlsplit(origin).netloc not in ours) or site not in OWN_SITES:
            raise Denied(403, "a page of another site may not steer this service")


def same(given: str, right: str) -> bool:
    """Whether two words are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(given.encode(), right.encode())
