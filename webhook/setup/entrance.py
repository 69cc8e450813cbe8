"""Who may set the service up: a person at this very machine who has read the code in the terminal, and nobody else."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from webhook.access import ADMIN, CSRF, Access, Denied, same
from webhook.admin import why_not_from_here
from webhook.attempts import TooMany
from webhook.door import Door
from webhook.pages.frame import HEADERS
from webhook.setup.invitation import plain
from webhook.viewing import Viewer

PATH: Final = "/admin/setup"
ONLY_HERE: Final = (
    "the first-start page is only for a browser on the machine itself, at 127.0.0.1 or localhost and through no proxy"
)
OVER: Final = "the service is set up, and starts again with its settings"
_ANYWHERE: Final = "the first start"
"""Tries are counted together, wherever they come from: this machine has sixteen million addresses of its own."""

_COOKIE: Final = "kugetsu_setup"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pass:
    """The code, until somebody has used it; then `holder`, which their browser shows. `closed`: it is all over."""

    code: str
    holder: str = ""
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Entrance(Access):
    """Lets the holder of the pass in, whatever other ways of signing in there are."""

    granted: Pass = field(default_factory=lambda: Pass(secrets.token_hex()))
    entry: ClassVar[str] = f"{PATH}/code"

    def viewer(self, request: Request, *, now: float) -> Viewer:
        """Who sets the service up. Raises Denied."""
        del now
        self.check_place(request)
        if not self.granted.holder or not same(request.cookies.get(_COOKIE, ""), self.granted.holder):
            raise Denied(401, "the code of the terminal has not been typed in this browser", sign_in=True)
        if self.granted.closed:
            raise Denied(403, OVER)
        return Viewer(ADMIN, sees_all=True, csrf=self.seals.mark(CSRF, self.granted.holder))

    def check_place(self, request: Request) -> None:
        """Raise Denied for whoever is not at this machine."""
        if why_not_from_here(request):
            raise Denied(403, ONLY_HERE)

    def check_change(self, request: Request, viewer: Viewer, given: str, *, form: bool) -> None:
        """As elsewhere, and the word of our own pages is wanted with each change."""
        del form
        Access.check_change(self, request, viewer, given, form=True)

    def take(self, request: Request, code: str) -> str:
        """Use the code up; gives what the browser is to hold from now on. Raises Denied."""
        self.check_place(request)
        try:
            self.attempts.check(_ANYWHERE)
        except TooMany as error:
            raise Denied(429, str(error), wait=error.seconds) from None
        if self.granted.holder:
            raise Denied(403, "the code has been used, in another browser; start the service again for a new one")
        if not same(plain(code), plain(self.granted.code)):
            self.attempts.failed(_ANYWHERE)
            _log.warning("a wrong code was typed on the first-start page")
            raise Denied(403, "that is not the code")
        self.granted.holder = secrets.token_urlsafe(32)
        return self.granted.holder


class ByCode(msgspec.Struct, forbid_unknown_fields=True):
    code: Annotated[str, Meta(max_length=100)]
    next: str = ""


class CodePage:
    """GET and POST /admin/setup/code."""

    def __init__(self, door: Door, entrance: Entrance, used: Callable[[], None]) -> None:
        """`used` is called when the code is good for nothing any more."""
        self._door = door
        self._entrance = entrance
        self._used = used

    async def page(self, request: Request) -> Response:
        """Where the code is typed."""
        return await run_in_threadpool(self._page, request, "")

    async def take(self, request: Request) -> Response:
        """The form with the code."""
        return await self._door.anybody(ByCode, self._take)(request)

    def _page(self, request: Request, problem: str, status: int = 200) -> Response:
        try:
            self._entrance.check_place(request)
        except Denied as error:
            return self._door.refused(request, error)
        words = {"here": "", "said": "", "problem": problem}
        return self._door.frame.page("setup_code.html", None, status=status, **words)

    def _take(self, request: Request, said: ByCode) -> Response:
        try:
            holder = self._entrance.take(request, said.code)
        except Denied as error:
            if error.status != 403:  # noqa: PLR2004 - HTTP
                raise
            return self._page(request, str(error), error.status)
        self._used()
        answer = RedirectResponse(PATH, 303, headers=HEADERS)
        answer.set_cookie(_COOKIE, holder, path=PATH, httponly=True, samesite="strict")
        return answer
