"""Deliveries as pages: the list, and one with its headers and body."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from jobs.redact import Redactor
from models.tables import Ask, Delivery
from webhook.door import Door, Problem, Visit

PAGE = 50
MOST_BODY = 40_000
"""Characters of a body on its page; the whole has an address of its own."""

VERDICTS = ("accepted", "duplicate", "ignored")
SOURCES = {"webhook": "a webhook", "reconcile": "found by looking, its webhook was lost", "replay": "replayed"}
_COLUMNS = ("id", "server", "source", "event_type", "repo", "issue", "verdict", "detail", "received_at")


class Deliveries:
    """The pages below /admin/deliveries."""

    def __init__(self, door: Door, redactor: Redactor) -> None:
        self._door = door
        self._clean = redactor.clean

    async def list(self, request: Request) -> Response:
        """GET /admin/deliveries: newest first, below the number `before`."""
        return await self._door.get(self._list)(request)

    async def one(self, request: Request) -> Response:
        """GET /admin/deliveries/ID."""
        return await self._door.get(self._one)(request)

    async def body(self, request: Request) -> Response:
        """GET /admin/deliveries/ID/body: what was sent, whole."""
        return await self._door.get(self._body)(request)

    def _list(self, visit: Visit) -> Response:
        asked = {name: visit.asked(name) for name in ("verdict", "repo", "source", "uuid")}
        before = visit.asked("before")
        query = visit.sight.deliveries(Delivery.select(*(getattr(Delivery, name) for name in _COLUMNS)))
        for name, text in asked.items():
            query = query.where(getattr(Delivery, name) == text) if text else query
        if before.isdecimal() and len(before) < 19:  # noqa: PLR2004 - fits the column
            query = query.where(Delivery.id < int(before))
        rows = list(query.order_by(Delivery.id.desc()).limit(PAGE + 1).execute(visit.database))
        return visit.page(
            "deliveries.html",
            deliveries=rows[:PAGE],
            older=rows[PAGE - 1].id if len(rows) > PAGE else None,
            asked={name: text for name, text in asked.items() if text},
            verdicts=VERDICTS,
            sources=SOURCES,
            clean=self._clean,
        )

    def _one(self, visit: Visit) -> Response:
        row = self._row(visit)
        asks = list(Ask.select().where(Ask.delivery == row.id).order_by(Ask.id).execute(visit.database))
        text = self._clean(_pretty(row.body))
        return visit.page(
            "delivery.html",
            delivery=row,
            asks=asks,
            headers=sorted((name, self._clean(value)) for name, value in _headers(row.headers)),
            body=text[:MOST_BODY],
            is_cut=len(text) > MOST_BODY,
            size=len(row.body.encode()),
            source=SOURCES.get(row.source, row.source),
            clean=self._clean,
        )

    def _body(self, visit: Visit) -> Response:
        return PlainTextResponse(self._clean(_pretty(self._row(visit).body)) + "\n")

    def _row(self, visit: Visit) -> Delivery:
        number = visit.request.path_params["delivery"]
        mine = visit.sight.deliveries(Delivery.select().where(Delivery.id == min(number, 2**63 - 1)))
        row: Delivery | None = mine.first(visit.database)
        if row is None:
            raise Problem(404, f"there is no delivery {number}")
        return row


def _pretty(body: str) -> str:
    """JSON with two spaces for each level; what is no JSON as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body


def _headers(text: str) -> list[tuple[str, str]]:
    read: Any = json.loads(text or "{}")
    return [(str(name), str(value)) for name, value in read.items()] if isinstance(read, dict) else []
