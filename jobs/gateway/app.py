"""The gateway over HTTP: a call of a model comes in with a job's token and goes out with the provider's key.

`POST /PROVIDER/PATH`, with the paths of `calls.PATHS` only, and only to the address in the configuration: no redirect
is followed. What is said is passed through as it comes, and neither it nor any key is ever logged.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import httpx
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from jobs.gateway import calls
from jobs.gateway.books import Books, Turned
from jobs.gateway.calls import BodyBroken, Call
from jobs.gateway.meter import Meter
from jobs.gateway.pace import Pace, wanted
from jobs.gateway.providers import Provider
from jobs.gateway.veil import Veil

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_SECONDS = 15.0
SILENT_SECONDS = 900.0
"""Between two pieces of an answer. Longer than opencode's own limits, which are the ones to end a call."""
PATIENCE_SECONDS = 240.0
"""For how long a call is kept waiting by a provider that is asked too much; opencode gives up after 300."""
MOST_ERROR = 64 << 10

_ERROR, _TOO_LARGE, _TOO_MANY, _BAD_GATEWAY = 400, 413, 429, 502


@dataclass(frozen=True)
class Served:
    """A call that was admitted: whose it is, and to whom it goes."""

    job_id: int
    provider: Provider
    path: str
    call: Call


class Gate:
    """Passes calls on. `books` are kept in one thread of their own; `client` is that of the provider's side."""

    def __init__(self, providers: Mapping[str, Provider], books: Books, client: httpx.AsyncClient) -> None:
        self._providers = providers
        self._books = books
        self._client = client
        self._paces = {name: Pace() for name in providers}
        self._veil = Veil(secret for provider in providers.values() for secret in provider.secrets)
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="books")
        self.calls = 0
        """Calls under way."""
        self.last = time.monotonic()
        """When the last one came."""

    def app(self) -> Starlette:
        route = Route("/{provider}/{path:path}", self.handle, methods=["POST"])
        app = Starlette(routes=[route], exception_handlers={404: _nothing_here, 405: _nothing_here})
        app.router.redirect_slashes = False
        return app

    def close(self) -> None:
        self._desk.submit(self._books.close)
        self._desk.shutdown()

    async def handle(self, request: Request) -> Response:
        """Answer one call of a model."""
        self.last = time.monotonic()
        provider = self._providers.get(request.path_params["provider"])
        path = request.path_params["path"]
        if provider is None or path not in calls.PATHS[provider.style]:
            return await _nothing_here(request, None)
        admitted = await self._ask(lambda: self._books.admit(calls.token_of(request.headers)))
        if isinstance(admitted, Turned):
            log.warning("a call of %s was turned away: %s", provider.name, admitted.sentence)
            return _refuse(admitted.status, admitted.kind, admitted.sentence)
        body = await _body(request)
        if body is None:
            return _refuse(_TOO_LARGE, "too_large", f"a request may have {calls.MOST_BODY} bytes at most.")
        try:
            call = calls.read_call(provider, path, body)
        except BodyBroken as error:
            return _refuse(_ERROR, "invalid_request", f"{error}.")
        return await self._pass_on(request, Served(admitted, provider, path, call))

    async def _ask(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._desk, act)

    async def _pass_on(self, request: Request, served: Served) -> Response:
        name = served.provider.name
        try:
            answer = await self._patiently(request, served)
        except httpx.HTTPError as error:
            log.warning("job=%s %s cannot be reached: %s", served.job_id, name, type(error).__name__)
            reason = f"the provider {name} cannot be reached ({type(error).__name__})."
            return _refuse(_BAD_GATEWAY, "unreachable", reason)
        if answer.is_success:
            return StreamingResponse(self._answer(answer, served), answer.status_code, headers=self._headers(answer))
        return await self._failure(answer, served)

    async def _patiently(self, request: Request, served: Served) -> httpx.Response:
        """The provider's answer, asked again for as long as it says that it is asked too much."""
        pace, until = self._paces[served.provider.name], time.monotonic() + PATIENCE_SECONDS
        while True:
            await pace.keep(until)
            answer = await self._send(request, served)
            if answer.status_code != _TOO_MANY:
                pace.went_well()
                return answer
            pause = pace.refused(wanted(answer.headers))
            log.warning("%s is asked too much: every job leaves it alone for %.1f s", served.provider.name, pause)
            if time.monotonic() + pause > until or await request.is_disconnected():
                return answer
            await answer.aclose()

    async def _send(self, request: Request, served: Served) -> httpx.Response:
        provider = served.provider
        asked = self._client.build_request(
            "POST",
            f"{provider.base_url}/{served.path}",
            headers=calls.sent(request.headers, provider),
            content=served.call.body,
        )
        return await self._client.send(asked, stream=True)

    async def _answer(self, answer: httpx.Response, served: Served) -> AsyncIterator[bytes]:
        """The answer as it comes, and then what it has used; also where the agent or the provider breaks it off."""
        call, veil = served.call, self._veil.stream()
        stream = "event-stream" in answer.headers.get("content-type", "")
        meter = Meter(len(call.body), stream=stream)
        self.calls += 1
        try:
            async for chunk in answer.aiter_bytes():
                meter.feed(chunk)
                if shown := veil.feed(chunk):
                    yield shown
            if held := veil.end():
                yield held
        finally:
            self.calls -= 1
            # In this order: what was used is booked also where the task is being cancelled.
            self._charge(served, meter)
            await answer.aclose()

    def _charge(self, served: Served, meter: Meter) -> None:
        if served.path in calls.FREE:
            return
        models = tuple(name for name in (served.call.model, meter.model) if name) or ("",)
        booked = self._desk.submit(self._books.charge, served.job_id, served.provider, models, meter.end())
        booked.add_done_callback(_complain)

    async def _failure(self, answer: httpx.Response, served: Served) -> Response:
        """An answer that is none. It is read whole, so that no part of a key is passed on, however it is written."""
        name, status = served.provider.name, answer.status_code
        log.warning("job=%s %s answered %d", served.job_id, name, status)
        text = await _beginning(answer)
        if status < _ERROR:
            reason = f"the provider {name} sends elsewhere ({status}); its address is to be set right."
            return _refuse(_BAD_GATEWAY, "redirected", reason)
        return Response(self._veil.whole(text.decode(errors="replace")), status, headers=self._headers(answer))

    def _headers(self, answer: httpx.Response) -> dict[str, str]:
        return {name: self._veil.whole(value) for name, value in calls.sent_back(answer.headers).items()}


async def _body(request: Request) -> bytes | None:
    """The whole body; None where it is too long, or its sender has gone."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > calls.MOST_BODY:
                return None
    except ClientDisconnect:
        return None
    return bytes(body)


async def _beginning(answer: httpx.Response) -> bytes:
    body = bytearray()
    try:
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > MOST_ERROR:
                break
    except httpx.HTTPError:
        pass
    finally:
        await answer.aclose()
    return bytes(body[:MOST_ERROR])


def _refuse(status: int, kind: str, sentence: str) -> Response:
    return JSONResponse(calls.refusal(kind, sentence), status)


async def _nothing_here(_request: Request, _error: Exception | None) -> Response:
    return _refuse(404, "not_found", "only calls of models are passed on, by POST, to the providers that are set up.")


def _complain(booked: object) -> None:
    error = booked.exception()  # type: ignore[attr-defined]  # a future's
    if error is not None:
        log.error("an answer could not be booked", exc_info=error)


def new_client() -> httpx.AsyncClient:
    """For the provider's side. Proxies named by our environment are used, for this is the way out of the house."""
    timeout = httpx.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS, pool=None)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    return httpx.AsyncClient(timeout=timeout, limits=limits, follow_redirects=False)
