"""The door of the admin side: every address below /admin goes through here.

It lets in who may, reads what they send, runs what answers on a thread with a connection, and gives errors as JSON or
as a page, whatever was asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from peewee import Database, PeeweeException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from models import trouble
from webhook import body
from webhook.access import CSRF, Access, Denied
from webhook.negotiation import wants_page
from webhook.pages.frame import HEADERS, Frame
from webhook.viewing import Sight, Viewer

LONGEST_BODY = 1024 * 1024
"""Bytes. What is sent here are a few words."""

MOST_FIELDS = 1000
"""Of one form: a tick for each of many repositories."""

BACK, FORM = "back", "application/x-www-form-urlencoded"
SAID, SAID_SECONDS = "kugetsu_said", 30

Endpoint = Callable[[Request], Awaitable[Response]]
Said = TypeVar("Said")
_log = logging.getLogger(__name__)


class Problem(Exception):
    """The request cannot be answered. `status` is the HTTP answer, the message a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who was let in. `said` is what became of the change that they made just before, `now`
    seconds since the epoch.
    """

    request: Request
    viewer: Viewer
    database: Database
    now: float
    frame: Frame
    said: str = ""
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def page_wanted(self) -> bool:
        return wants_page(self.request)

    @property
    def sight(self) -> Sight:
        """What the viewer sees of the tables."""
        if "sight" not in self.kept:
            self.kept["sight"] = Sight.of(self.database, self.viewer)
        found: Sight = self.kept["sight"]
        return found

    def asked(self, name: str) -> str:
        """A parameter of the address, "" where it is missing."""
        return self.request.query_params.get(name, "").strip()

    def number(self, name: str, digits: int = 18) -> int | None:
        """A whole number in the address, None where there is none, or one that fits no column."""
        given = self.asked(name)
        return int(given) if given.isascii() and given.isdecimal() and len(given) <= digits else None

    @property
    def number_of_page(self) -> int:
        """Which page of a list is asked for, from 1."""
        return max(1, self.number("page", 9) or 1)

    def only_who_sees_all(self, what: str) -> None:
        """Raises Problem for anybody else; `what` begins its sentence, such as "the log is"."""
        if not self.viewer.sees_all:
            raise Problem(403, f"{what} for who sees all repositories")

    def page(self, template: str, **values: Any) -> Response:
        """A page of `templates/`."""
        answer = self.frame.page(template, self.viewer, here=self.request.url.path, said=self.said, **values)
        if self.said:
            answer.delete_cookie(SAID, path="/admin")
        return answer


@dataclass(frozen=True, slots=True)
class Done:
    """A change was made: what it is in JSON, and in a sentence for the page."""

    told: Mapping[str, Any]
    sentence: str
    status: int = 200


class Door:
    """Makes endpoints of what answers."""

    def __init__(self, access: Access, frame: Frame, database: Database, clock: Callable[[], float]) -> None:
        self.access = access
        self.frame = frame
        self.database = database
        self._clock = clock

    def get(self, read: Callable[[Visit], Response]) -> Endpoint:
        """An endpoint that shows something: `read` blocks, with a connection of its thread."""

        async def endpoint(request: Request) -> Response:
            try:
                viewer = await run_in_threadpool(self._viewer, request)
                return await run_in_threadpool(self._read, request, viewer, read)
            except (Denied, Problem, PeeweeException) as error:
                return self._refused(request, error)

        return endpoint

    def post(self, kind: type[Said], act: Callable[[Visit, Said], Done | Response]) -> Endpoint:
        """An endpoint that changes something. `kind` is a msgspec struct of what is sent, as JSON or as a form. What
        was done is told on the page that the form names; an answer of its own is given as it is.
        """

        async def endpoint(request: Request) -> Response:
            try:
                sent, fields = await _sent(request)
                viewer = await run_in_threadpool(self._viewer, request)
                is_form = fields is not None
                word = (fields or {}).get(CSRF) or request.headers.get("x-csrf-token", "")
                self.access.check_change(request, viewer, word, form=is_form)
                said = _convert(fields, kind) if fields is not None else _decode(sent, kind)
                done = await run_in_threadpool(self._act, request, viewer, act, said)
                if isinstance(done, Response):
                    return done
                return self._done(done, (fields or {}).get(BACK)) if is_form else JSONResponse(done.told, done.status)
            except (Denied, Problem, PeeweeException) as error:
                return self._refused(request, error)

        return endpoint

    def anybody(self, kind: type[Said], act: Callable[[Request, Said], Response]) -> Endpoint:
        """An endpoint for a form of ours that is sent by who has not come in yet."""

        async def endpoint(request: Request) -> Response:
            try:
                sent, fields = await _sent(request)
                self.access.check_site(request)
                said = _convert(fields, kind) if fields is not None else _decode(sent, kind)
                return await run_in_threadpool(act, request, said)
            except (Denied, Problem, PeeweeException) as error:
                return self._refused(request, error)

        return endpoint

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock()

    async def visit(self, request: Request) -> Visit:
        """Who looks, for an endpoint that answers bit by bit. Raises Denied and PeeweeException."""
        viewer = await run_in_threadpool(self._viewer, request)
        return self._visit(request, viewer)

    def refused(self, request: Request, error: Denied | Problem) -> Response:
        """The answer to who is not let in, or has asked for what is not there."""
        return self._refused(request, error)

    def _viewer(self, request: Request) -> Viewer:
        with self.database.connection_context():
            return self.access.viewer(request, now=self._clock())

    def _visit(self, request: Request, viewer: Viewer) -> Visit:
        said = self.access.seals.open("said", request.cookies.get(SAID, ""), seconds=SAID_SECONDS)
        return Visit(request, viewer, self.database, self._clock(), self.frame, said or "")

    def _read(self, request: Request, viewer: Viewer, read: Callable[[Visit], Response]) -> Response:
        with self.database.connection_context():
            return read(self._visit(request, viewer))

    def _act(
        self, request: Request, viewer: Viewer, act: Callable[[Visit, Said], Done | Response], said: Said
    ) -> Done | Response:
        with self.database.connection_context():
            return act(self._visit(request, viewer), said)

    def _done(self, done: Done, back: str | None) -> Response:
        """Back to the page, which then says what was done."""
        answer = RedirectResponse(own_path(back or ""), 303, headers=HEADERS)
        said = self.access.seals.seal("said", done.sentence)
        answer.set_cookie(SAID, said, max_age=SAID_SECONDS, path="/admin", httponly=True, samesite="lax")
        return answer

    def _refused(self, request: Request, error: Exception) -> Response:
        status, sentence = _what(error)
        if isinstance(error, Denied) and error.sign_in and wants_page(request):
            there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            after = urlencode({"next": there if request.method == "GET" else "/admin"})
            return RedirectResponse(f"{self.access.entry}?{after}", 303, headers=HEADERS)
        headers = _headers_for(error)
        if wants_page(request):
            answer = self.frame.page("problem.html", None, status=status, sentence=sentence, here="", said="")
            answer.headers.update(headers)
            return answer
        return JSONResponse({"error": sentence}, status, headers=headers)


def _headers_for(error: Exception) -> dict[str, str]:
    if not isinstance(error, Denied):
        return {}
    named = {"WWW-Authenticate": 'Bearer realm="kugetsu"'} if error.status == 401 else {}  # noqa: PLR2004 - HTTP
    return named | ({"Retry-After": str(error.wait)} if error.wait is not None else {})


def own_path(address: str) -> str:
    """`address` where it is a path of the admin side, else the first page: nobody is sent to another site."""
    parts = urlsplit(address)
    own = not parts.scheme and not parts.netloc and "\\" not in address and address.isprintable()
    return address if own and (parts.path == "/admin" or parts.path.startswith("/admin/")) else "/admin"


def _what(error: Exception) -> tuple[int, str]:
    if isinstance(error, Denied | Problem):
        return error.status, str(error)
    words = trouble.in_words(error)
    _log.error("the admin side cannot use the database: %s", words)
    return 503, f"the database cannot be used: {words}"


async def _sent(request: Request) -> tuple[bytes, dict[str, str] | None]:
    """The body, and its fields where it is a form."""
    try:
        sent = await body.read(request, limit=LONGEST_BODY)
    except body.BodyRefused as error:
        raise Problem(error.status, str(error)) from None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM or not sent:
        return sent, None
    try:
        return sent, dict(parse_qsl(sent.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise Problem(400, f"the form cannot be read: {error}") from None


def _convert(fields: Mapping[str, str], kind: type[Said]) -> Said:
    given = {name: value for name, value in fields.items() if name not in (CSRF, BACK)}
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(400, f"the form does not say what it should: {error}") from None


def _decode(sent: bytes, kind: type[Said]) -> Said:
    """What the body says; none says nothing."""
    try:
        return msgspec.json.decode(sent.strip() or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"the body cannot be read as JSON of this request: {error}") from None
