"""Deliveries as JSON, and their replay: GET /admin/deliveries and /admin/deliveries/ID, POST …/ID/replay."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from peewee import Database, PeeweeException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jobs.known_secrets import secrets_of
from jobs.redact import Redactor
from models import trouble
from models.replaying import replay
from models.settings import Settings, repo_allowed
from models.tables import Ask, Delivery
from webhook.admin import refusal
from webhook.status import rfc3339

PAGE = 50
"""Deliveries on one page of the list."""

FILTERS = {"verdict": Delivery.verdict, "source": Delivery.source, "repo": Delivery.repo, "event": Delivery.event_type}
"""What the list can be narrowed down by."""

COLUMNS = (
    Delivery.id, Delivery.server, Delivery.source, Delivery.uuid, Delivery.event_type, Delivery.repo, Delivery.issue,
    Delivery.verdict, Delivery.detail, Delivery.received_at,
)  # fmt: skip
"""All but headers and body, which are long."""

VALUES = {"verdict": ("accepted", "duplicate", "ignored"), "source": ("webhook", "reconcile", "replay")}

Json = dict[str, Any]


class NoSuchValue(Exception):
    """The list cannot be narrowed down like this; the message says what would be right."""


class Deliveries:
    """The addresses below /admin/deliveries that only read."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._redactor = Redactor(secrets_of(settings))

    async def list(self, request: Request) -> Response:
        """GET /admin/deliveries?verdict=&source=&repo=&event=&page=: newest first."""
        return await self._answer(request, partial(self._list, request.query_params))

    async def one(self, request: Request) -> Response:
        """GET /admin/deliveries/ID: with headers and body."""
        return await self._answer(request, partial(self._one, request.path_params["delivery"]))

    async def _answer(self, request: Request, read: Callable[[], Response]) -> Response:
        if (answer := refusal(request, self._settings.admin_token)) is not None:
            return answer
        try:
            return await run_in_threadpool(self._read, read)
        except PeeweeException as error:
            return JSONResponse({"error": f"the database cannot be read: {trouble.in_words(error)}"}, 503)

    def _read(self, read: Callable[[], Response]) -> Response:
        with self._database.connection_context():
            return read()

    def _list(self, asked: Mapping[str, str]) -> Response:
        try:
            return JSONResponse(listed(self._database, asked, self._redactor))
        except NoSuchValue as error:
            return JSONResponse({"error": str(error)}, 400)

    def _one(self, number: int) -> Response:
        found = shown(self._database, number, self._redactor)
        return JSONResponse(found or {"error": f"there is no delivery {number}"}, 200 if found else 404)


def listed(db: Database, asked: Mapping[str, str], redactor: Redactor) -> Json:
    """One page of the deliveries, the newest first, without their bodies. Raises NoSuchValue."""
    page = max(1, int(asked["page"])) if asked.get("page", "").isdecimal() and len(asked["page"]) < 10 else 1  # noqa: PLR2004
    query = Delivery.select(*COLUMNS)
    for name, field in FILTERS.items():
        if wanted := asked.get(name):
            if wanted not in VALUES.get(name, (wanted,)):
                raise NoSuchValue(f"there is no {name} {wanted!r}; there are {', '.join(VALUES[name])}")
            query = query.where(field == wanted)
    total = query.count(db)
    rows = query.order_by(Delivery.id.desc()).paginate(page, PAGE).execute(db)
    pages = max(1, -(-total // PAGE))
    return {"deliveries": [_row(row, redactor) for row in rows], "page": page, "pages": pages, "total": total}


def shown(db: Database, number: int, redactor: Redactor) -> Json | None:
    """One delivery with its headers, its body without secrets, and the numbers of the asks it brought."""
    row = Delivery.select().where(Delivery.id == number).first(db)
    if row is None:
        return None
    headers = {name: redactor.clean(str(value)) for name, value in json.loads(row.headers or "{}").items()}
    asks = [ask.id for ask in Ask.select(Ask.id).where(Ask.delivery == number).order_by(Ask.id).execute(db)]
    return _row(row, redactor) | {"headers": headers, "body": redactor.clean(row.body), "asks": asks}


def replayed(db: Database, number: int, settings: Settings, *, now: float) -> Json:
    """Replay a delivery; says what a webhook's answer says. Raises NoSuchDelivery, CannotReplay."""
    allowed = partial(repo_allowed, settings.repos)
    accepted = replay(db, number, servers=settings.servers, repo_allowed=allowed, now=now)
    told = {"status": accepted.verdict, "detail": accepted.detail, "delivery": str(accepted.delivery_id)}
    return told | {"replay_of": number}


def _row(row: Delivery, redactor: Redactor) -> Json:
    return {
        "id": row.id,
        "server": row.server,
        "source": row.source,
        "uuid": row.uuid,
        "event": row.event_type,
        "repo": row.repo or None,
        "issue": row.issue,
        "verdict": row.verdict,
        "detail": redactor.clean(row.detail),
        "received_at": rfc3339(row.received_at),
    }
