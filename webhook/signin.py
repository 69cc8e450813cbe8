"""Signing in to the pages, with Gitea or by the admin token, and out again."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from models import sessions
from models.settings import Settings
from webhook.access import ADMIN, Access, Denied, cookie_of, keep_session, same
from webhook.door import Done, Door, Problem, Visit, own_path
from webhook.oauth import NotSignedIn, Person, SignInServer
from webhook.pages.frame import HEADERS

UNDER_WAY: Final = "kugetsu_signin"
UNDER_WAY_SECONDS: Final = 600
"""How long somebody may take over Gitea's page."""


class ByToken(msgspec.Struct, forbid_unknown_fields=True):
    token: Annotated[str, Meta(max_length=1000)]
    next: Annotated[str, Meta(max_length=1000)] = "/admin"


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class SignIn:
    """The addresses below /admin/signin, and /admin/signout. `server` is None where Gitea is not to be asked."""

    def __init__(self, settings: Settings, door: Door, server: SignInServer | None) -> None:
        self._settings = settings
        self._door = door
        self._access: Access = door.access
        self._server = server
        self._cookie, self._secure = cookie_of(settings)

    async def page(self, request: Request) -> Response:
        """GET /admin/signin?next=: the ways to sign in."""
        return self._page(request, "")

    async def by_token(self, request: Request) -> Response:
        """POST /admin/signin: the form with the admin token."""
        return await self._door.anybody(ByToken, self._by_token)(request)

    async def to_gitea(self, request: Request) -> Response:
        """GET /admin/signin/gitea?next=: off to Gitea."""
        if self._server is None:
            return self._page(request, "signing in with Gitea is not set up", status=404)
        begun = self._server.begin()
        kept = {
            "state": begun.state,
            "verifier": begun.verifier,
            "next": own_path(request.query_params.get("next", "")),
        }
        answer = RedirectResponse(begun.address, 303, headers=HEADERS)
        sealed = self._access.seals.seal(UNDER_WAY, kept)
        # Lax, since it is Gitea's page that sends the browser back here.
        answer.set_cookie(
            UNDER_WAY,
            sealed,
            UNDER_WAY_SECONDS,
            path="/admin/signin",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def from_gitea(self, request: Request) -> Response:
        """GET /admin/signin/callback: back from Gitea."""
        kept = self._access.seals.open(UNDER_WAY, request.cookies.get(UNDER_WAY, ""), seconds=UNDER_WAY_SECONDS)
        if self._server is None or kept is None:
            return self._page(request, "that sign-in was not begun in this browser, or took too long", status=400)
        if said := request.query_params.get("error"):
            why = request.query_params.get("error_description") or said
            return self._page(request, f"Gitea says no: {why[:300]}", status=403)
        try:
            self._access.check_attempts(request)
            came_back_to = f"{request.url.path}?{request.url.query}"
            person = await run_in_threadpool(self._server.finish, came_back_to, kept["state"], kept["verifier"])
        except Denied as error:
            return self._door.refused(request, error)
        except NotSignedIn as error:
            self._access.failed(request)
            return self._page(request, str(error), status=403)
        number = await run_in_threadpool(self._begin, person)
        answer = self._signed_in(number, kept["next"])
        answer.delete_cookie(UNDER_WAY, path="/admin/signin", **self._kept_how())
        return answer

    async def out(self, request: Request) -> Response:
        """POST /admin/signout."""
        answer = await self._door.post(Nothing, self._out)(request)
        answer.delete_cookie(self._cookie, path="/", **self._kept_how())
        return answer

    def _page(self, request: Request, problem: str, *, status: int = 200) -> Response:
        after = own_path(request.query_params.get("next", ""))
        return self._door.frame.page(
            "signin.html",
            None,
            status=status,
            here="",
            said="",
            problem=problem,
            by_token=self._settings.admin_token is not None,
            gitea=f"/admin/signin/gitea?{urlencode({'next': after})}" if self._server else None,
            gitea_url=self._server.url if self._server else "",
            next=after,
        )

    def _by_token(self, request: Request, said: ByToken) -> Response:
        right = self._settings.admin_token
        if right is None:
            raise Problem(404, "there is no admin token; sign in with Gitea")
        self._access.check_attempts(request)
        if not same(said.token, right.get_secret_value()):
            self._access.failed(request)
            return self._page(request, "that is not the admin token", status=403)
        return self._signed_in(self._begin(Person(ADMIN, is_admin=True, repos=frozenset())), said.next)

    def _begin(self, person: Person) -> str:
        sees_all = person.is_admin or person.login.lower() in self._settings.admin_users
        with self._door.database.connection_context():
            return sessions.begin(
                self._door.database, person.login, sees_all=sees_all, repos=person.repos, now=self._door.now()
            )

    def _signed_in(self, number: str, after: str) -> Response:
        answer = RedirectResponse(own_path(after), 303, headers=HEADERS)
        keep_session(answer, self._settings, self._access.seals, number)
        return answer

    def _kept_how(self) -> dict[str, Any]:
        """Out of every script's reach. Lax, since it is Gitea's page that sends the browser back here."""
        return {"secure": self._secure, "httponly": True, "samesite": "lax"}

    def _out(self, visit: Visit, _said: Nothing) -> Done:
        if (number := self._access.session_of(visit.request)) is not None:
            sessions.end(visit.database, number)
        return Done({"signed_in": False}, "You have signed out.")
