"""The HTTP side as a list of routes, and the way of a delivery: size, signature, parse, decide, store, ring, 202."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from peewee import Database, PeeweeException
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from models import payloads, store, trouble
from models.events import CommentAdded, Event, Person
from models.intake import Decision, decide
from models.settings import DEFAULT_SERVER
from models.store import Incoming, NewDelivery
from webhook import body, signature
from webhook.admin_routes import admin_routes
from webhook.doorkeeper import Busy, Doorkeeper
from webhook.health import Health
from webhook.metrics import Metrics
from webhook.refusals import Refusals
from webhook.signers import LARGE, NOT_SIGNED, NotSigned, Signers
from webhook.wiring import Wiring
from webhook.writer import CannotStore, Writer

RETRY_AFTER = "10"
"""Seconds. Gitea never tries again, but people and proxies do."""

BOT_KNOWN_FOR = 5.0
"""Seconds until our account on a server is looked up again: it changes when a token does."""

LONG_COMMENT = 2000
"""Characters. Markdown made to be slow takes 4 ms at this length, and four times as long at twice that."""

SLOW_AT_ONCE = 2
"""Long comments that are read at the same time, so that they leave threads and the processor to others."""

PATIENCE = 4.0
"""Seconds for that: Gitea hangs up after five. What is not read in time is found by looking at the issue."""

KEPT_HEADERS = ("content-type", "user-agent", "x-gitea-hook-installation-target-type")
"""Headers stored with a delivery, beside those that name its event: never its signature or authorization."""

DELIVERY_HEADERS = ("x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery", "x-github-delivery")


_MOST_UUID = 64
_OK, _ACCEPTED, _TOO_MANY, _UNAVAILABLE = 200, 202, 429, 503
_log = logging.getLogger(__name__)


class Refused(Exception):
    """The delivery is not taken. `status` is the HTTP answer, the message a sentence for the sender. `signed`: it was
    signed with a secret of ours, or it is we who cannot take it.
    """

    def __init__(self, status: int, sentence: str, *, signed: bool = False) -> None:
        super().__init__(sentence)
        self.status = status
        self.signed = signed


def create_app(wiring: Wiring) -> Starlette:
    """The application. Its writer thread starts and ends with it."""
    writer = Writer(wiring.database, wiring.ring)
    receiver = Receiver(wiring, writer)
    health = Health(wiring.settings, wiring.database, wiring.clock, lambda: writer.problem)
    metrics = Metrics(wiring.settings, wiring.database, wiring.clock, lambda: receiver.refused_by, writer)
    return Starlette(
        routes=[
            Route("/webhook", receiver.receive, methods=["POST"]),
            Route("/webhook/", receiver.receive, methods=["POST"]),
            Route("/webhook/{server}", receiver.receive, methods=["POST"]),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", metrics.page),
            *admin_routes(wiring, health, lambda: receiver.refused),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _bug},
        lifespan=partial(_lifespan, writer),
    )


@asynccontextmanager
async def _lifespan(writer: Writer, _app: Starlette) -> AsyncIterator[None]:
    writer.start()
    try:
        yield
    finally:
        if not await run_in_threadpool(writer.close):
            _log.warning("stopped before every delivery was stored; their senders were not told otherwise")


async def _http_error(request: Request, error: Exception) -> Response:
    """Errors that the router raises: no such address, or not this method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    sentence = {
        404: "there is nothing at this address",
        405: f"{request.method} is not understood here; webhooks are sent and changes are made by POST",
    }
    return JSONResponse({"error": sentence.get(status, "this request is not understood")}, status, headers=headers)


async def _bug(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "something went wrong here; the log says what"}, 500)


class Receiver:
    """Takes deliveries in. `refused_by` counts those that were turned away, by server and HTTP status; they are not
    stored.
    """

    def __init__(self, wiring: Wiring, writer: Writer) -> None:
        self._settings = wiring.settings
        self._clock = wiring.clock
        self._writer = writer
        self._bots = Bots(wiring.database)
        self._signers = Signers(wiring.settings, wiring.database)
        self._secrets = self._signers.servers()
        self._refusals = Refusals(wiring.database, wiring.clock)
        self._doorkeeper = Doorkeeper(wiring.settings.trusted_proxies)
        self._slow = asyncio.Semaphore(SLOW_AT_ONCE)
        self.refused_by: Counter[tuple[str, int]] = Counter()

    @property
    def refused(self) -> Mapping[int, int]:
        """How many were turned away, by HTTP status."""
        found: Counter[int] = Counter()
        for (_, status), number in self.refused_by.items():
            found[status] += number
        return found

    async def receive(self, request: Request) -> Response:
        """Answer one delivery, with a body that Gitea shows under Recent Deliveries."""
        headers = _headers_of(request)
        uuid = _first(headers, DELIVERY_HEADERS)[:_MOST_UUID]
        try:
            incoming = await self._read(request, headers, uuid)
            accepted = await self._writer.submit(incoming)
        except Busy as busy:
            return self._refuse(request, busy.status, str(busy), uuid, quietly=True)
        except Refused as refused:
            return await self._turn_away(request, refused, uuid)
        except CannotStore as problem:
            return self._refuse(request, _UNAVAILABLE, str(problem), uuid)
        status = _ACCEPTED if accepted.verdict == "accepted" else _OK
        return _answer(status, accepted.verdict, accepted.detail, uuid or str(accepted.delivery_id))

    async def _read(self, request: Request, headers: Mapping[str, str], uuid: str) -> Incoming:
        """The delivery, verified and understood. Raises Refused."""
        server = _server_of(request)
        with self._doorkeeper.reading(request, headers):
            text = await self._signed_text(request, headers, server)
        bot = await self._bot(server)
        event_type = payloads.event_type_of(headers)
        decision = await self._understand(event_type, text, server, bot)
        delivery = NewDelivery(
            server=server,
            source="webhook",
            uuid=uuid,
            event_type=event_type,
            headers=_kept(headers),
            body=text.decode(),
            received_at=self._clock(),
        )
        return Incoming(delivery, decision)

    async def _signed_text(self, request: Request, headers: Mapping[str, str], server: str) -> bytes:
        """What was signed. What holds no signature is not read at all. Raises Refused."""
        self._refuse_unknown(server)
        try:
            body.check(headers)
            if not signature.is_claimed(headers):
                raise Refused(401, NOT_SIGNED)
            text = body.text_of(headers, await body.read(request))
            await self._signers.check(server, text, headers)
        except body.BodyRefused as refused:
            raise Refused(refused.status, str(refused)) from None
        except NotSigned as refused:
            raise Refused(401, str(refused), signed=refused.ours) from None
        except PeeweeException as error:
            raise _cannot_be_stored(error) from error
        return text

    def _refuse_unknown(self, server: str) -> None:
        secrets = self._secrets.get(server)
        if secrets is None and server != DEFAULT_SERVER:
            raise Refused(404, "no server of this name is set up here")
        if not secrets:
            raise Refused(401, "no webhook secret is set up here, so every delivery is refused")

    async def _bot(self, server: str) -> Person | None:
        try:
            return await self._bots.of(server)
        except PeeweeException as error:
            _log.warning("our account on %s could not be looked up: %s", server, trouble.in_words(error))
            raise _cannot_be_stored(error) from error

    async def _understand(self, event_type: str, text: bytes, server: str, bot: Person | None) -> Decision:
        """What the delivery asks. Raises Refused. Long texts are read beside the event loop, so that nobody waits."""
        parse = partial(_parse, event_type, text)
        event = await run_in_threadpool(parse) if len(text) > LARGE else parse()
        meant = partial(decide, event, bot=bot, repo_allowed=partial(self._settings.allows, server))
        if not isinstance(event, CommentAdded) or len(event.text) <= LONG_COMMENT:
            return meant()
        try:
            async with asyncio.timeout(PATIENCE), self._slow:
                return await run_in_threadpool(meant)
        except TimeoutError:
            raise Refused(_UNAVAILABLE, "too many long comments are being read now", signed=True) from None

    async def _turn_away(self, request: Request, refused: Refused, uuid: str) -> Response:
        """Refuse, and write it down, unless this sender only tries."""
        tries = not refused.signed and not self._doorkeeper.refused(request)
        if not tries and (server := _server_of(request)) in self._secrets:
            await self._refusals.note(server, refused.status, str(refused))
        return self._refuse(request, refused.status, str(refused), uuid, quietly=tries)

    def _refuse(self, request: Request, status: int, sentence: str, uuid: str, *, quietly: bool = False) -> Response:
        server = _server_of(request) if _server_of(request) in self._secrets else ""
        self.refused_by[server, status] += 1
        level = logging.DEBUG if quietly else logging.WARNING
        _log.log(level, "a delivery of %s was refused (%d): %s", server or "no known server", status, sentence)
        headers = {"Retry-After": RETRY_AFTER} if status in (_UNAVAILABLE, _TOO_MANY) else None
        return _answer(status, "refused", sentence, uuid, headers)


class Bots:
    """Our account on each server, remembered for a while: every delivery needs it and it hardly ever changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, Person | None]] = {}

    async def of(self, server: str) -> Person | None:
        """Our account on `server`, None while no worker has seen it. Raises PeeweeException."""
        until, person = self._known.get(server, (0.0, None))
        if time.monotonic() >= until:
            person = await run_in_threadpool(self._look_up, server)
            if person is not None:  # else a mention would go unheard long after a worker has learnt who we are
                self._known[server] = (time.monotonic() + BOT_KNOWN_FOR, person)
        return person

    def _look_up(self, server: str) -> Person | None:
        with self._database.connection_context():
            return store.bot_of(self._database, server)


def _parse(event_type: str, text: bytes) -> Event:
    try:
        return payloads.parse(event_type, text)
    except payloads.Malformed as error:
        raise Refused(400, str(error), signed=True) from None


def _headers_of(request: Request) -> dict[str, str]:
    """The headers by lower-case name, the first where one is repeated: Starlette searches a list at every look."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(request.headers.raw)}


def _server_of(request: Request) -> str:
    return str(request.path_params.get("server", DEFAULT_SERVER))


def _cannot_be_stored(error: PeeweeException) -> Refused:
    return Refused(_UNAVAILABLE, f"this cannot be stored now: {trouble.in_words(error)}", signed=True)


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    names = (*KEPT_HEADERS, *DELIVERY_HEADERS, *payloads.TYPE_HEADERS, *payloads.COARSE_HEADERS)
    return {name: headers[name] for name in names if name in headers}


def _first(headers: Mapping[str, str], names: Sequence[str]) -> str:
    return next((headers[name] for name in names if headers.get(name)), "")


def _answer(
    status: int, verdict: str, detail: str, delivery: str, headers: Mapping[str, str] | None = None
) -> Response:
    content = {"status": verdict, "detail": detail, "delivery": delivery}
    return JSONResponse(content, status, headers=headers)
