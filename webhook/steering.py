"""Steering from the admin side: POST /admin/pause, /resume, /capacity, what is done to a job, and replays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta
from peewee import Database, PeeweeException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from models import ledger, limits, trouble
from models.moves import State
from models.replaying import CannotReplay, NoSuchDelivery
from models.retrying import CannotRetry, retry
from models.settings import Settings
from models.tables import Job
from webhook import body
from webhook.admin import refusal
from webhook.deliveries import replayed
from webhook.repos import CannotSwitch, Switch, switch

ADMIN = "admin"
"""Who asked, where an administrator did; no account of a Gitea is meant."""

WHY = "An administrator has cancelled it."

OWN_SITES = ("same-origin", "none")
"""What a browser says in Sec-Fetch-Site of a request that no other site has made."""


class Pause(msgspec.Struct, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(max_length=200)] = ""


class Capacity(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=1000)]


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


Said = TypeVar("Said", Pause, Capacity, Nothing, Switch)


class CannotSteer(Exception):
    """The request cannot be followed. `status` is the HTTP answer, the message a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Steering:
    """Changes what the workers go by, and rings for them. They see to the comments on the issues."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], float],
        rings: tuple[Callable[[], None], Callable[[], None]],
    ) -> None:
        """`rings` are the bells of the desk and of the agents."""
        self._settings = settings
        self._database = database
        self._clock = clock
        self._ring_desk, self._ring_agents = rings

    async def pause(self, request: Request) -> Response:
        """POST /admin/pause, {"reason"} if there is one: what runs goes on, nothing more starts."""
        return await self._answer(request, Pause, self._pause)

    async def resume(self, request: Request) -> Response:
        """POST /admin/resume."""
        return await self._answer(request, Nothing, self._resume)

    async def capacity(self, request: Request) -> Response:
        """POST /admin/capacity, {"limit": n}: so many agents at once, until somebody says otherwise."""
        return await self._answer(request, Capacity, self._capacity)

    async def webhook(self, request: Request) -> Response:
        """POST /admin/repos/OWNER/REPO/webhook: a worker makes it or mends it, or, {"remove": true}, takes it away."""
        repo = "{owner}/{repo}".format(**request.path_params)
        return await self._answer(request, Switch, lambda said: self._switch(repo, said), status=202)

    async def cancel(self, request: Request) -> Response:
        """POST /admin/jobs/ID/cancel."""
        return await self._answer(request, Nothing, lambda _: self._cancel(request.path_params["job"]))

    async def retry(self, request: Request) -> Response:
        """POST /admin/jobs/ID/retry: a new job that goes on where this one stopped."""
        return await self._answer(request, Nothing, lambda _: self._retry(request.path_params["job"]))

    async def replay(self, request: Request) -> Response:
        """POST /admin/deliveries/ID/replay: take a stored delivery in again, as one that has just come."""
        return await self._answer(request, Nothing, lambda _: self._replay(request.path_params["delivery"]))

    async def _answer(
        self, request: Request, kind: type[Said], act: Callable[[Said], dict[str, Any]], *, status: int = 200
    ) -> Response:
        refused = refusal(request, self._settings.admin_token) or self._other_site(request)
        if refused is not None:
            return refused
        try:
            said = _read(await body.read(request), kind)
            return JSONResponse(await run_in_threadpool(self._act, act, said), status)
        except (CannotSteer, CannotSwitch) as error:
            return JSONResponse({"error": str(error)}, error.status)
        except body.BodyRefused as error:
            return JSONResponse({"error": str(error)}, error.status)
        except PeeweeException as error:
            return JSONResponse({"error": f"the database cannot be written: {trouble.in_words(error)}"}, 503)

    def _other_site(self, request: Request) -> Response | None:
        """A browser on this machine may be made to call us by a page of another site. It cannot know the token; where
        there is none, it says itself where the request comes from.
        """
        if self._settings.admin_token is not None:
            return None
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
        own = origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
        if own and site in OWN_SITES:
            return None
        return JSONResponse({"error": "a page of another site may not steer this service"}, 403)

    def _act(self, act: Callable[[Said], dict[str, Any]], said: Said) -> dict[str, Any]:
        with self._database.connection_context():
            told = act(said)
        self._ring_agents()
        self._ring_desk()
        return told

    def _pause(self, said: Pause) -> dict[str, Any]:
        limits.pause(self._database, said.reason)
        return self._limits()

    def _resume(self, _said: Nothing) -> dict[str, Any]:
        limits.resume(self._database)
        return self._limits()

    def _capacity(self, said: Capacity) -> dict[str, Any]:
        limits.set_capacity(self._database, said.limit)
        return self._limits()

    def _limits(self) -> dict[str, Any]:
        row = limits.of(self._database)
        why = limits.why_nothing_starts(row)
        return {"limit": row.capacity, "paused": why is not None, "reason": why or ""}

    def _replay(self, number: int) -> dict[str, Any]:
        try:
            return replayed(self._database, number, self._settings, now=self._clock())
        except NoSuchDelivery as error:
            raise CannotSteer(404, str(error)) from None
        except CannotReplay as error:
            raise CannotSteer(409, str(error)) from None

    def _switch(self, repo: str, said: Switch) -> dict[str, Any]:
        return switch(self._database, self._settings, repo, said, now=self._clock())

    def _cancel(self, number: int) -> dict[str, Any]:
        job = self._job(number)
        if not ledger.request_cancel(self._database, number, ADMIN, now=self._clock(), why=WHY):
            raise CannotSteer(409, f"job {number} has ended already: {job.outcome}")
        return {"job": number, "state": self._job(number).state}

    def _retry(self, number: int) -> dict[str, Any]:
        self._job(number)
        try:
            new = retry(self._database, number, ADMIN, now=self._clock())
        except CannotRetry as error:
            raise CannotSteer(409, str(error)) from None
        return {"job": new, "state": str(State.QUEUED)}

    def _job(self, number: int) -> Job:
        job: Job | None = Job.select().where(Job.id == number).first(self._database)
        if job is None:
            raise CannotSteer(404, f"there is no job {number}")
        return job


def _read(text: bytes, kind: type[Said]) -> Said:
    """What the body says; none says nothing. Raises `CannotSteer`."""
    try:
        return msgspec.json.decode(text.strip() or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CannotSteer(400, f"the body cannot be read as JSON of this request: {error}") from None
