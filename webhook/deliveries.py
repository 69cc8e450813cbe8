"""Deliveries as JSON and as pages, and their replay: /admin/deliveries and what belongs to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from peewee import SQL, fn
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from jobs.redact import Redactor
from models.replaying import CannotReplay, NoSuchDelivery, replay
from models.settings import Settings
from models.tables import Ask, Delivery
from webhook.door import Done, Door, Problem, Visit
from webhook.status import rfc3339
from webhook.steering import Nothing

PAGE = 50
"""Deliveries on one page of the list."""

MOST_BODY = 40_000
"""Characters of a body on its page; the whole has an address of its own."""

FILTERS = {
    "verdict": Delivery.verdict,
    "source": Delivery.source,
    "server": Delivery.server,
    "repo": Delivery.repo,
    "event": Delivery.event_type,
    "uuid": Delivery.uuid,
}
"""What the list can be narrowed down by."""

COLUMNS = (
    Delivery.id, Delivery.server, Delivery.source, Delivery.uuid, Delivery.event_type, Delivery.repo, Delivery.issue,
    Delivery.verdict, Delivery.detail, Delivery.received_at,
)  # fmt: skip
"""All but headers and body, which are long."""

SOURCES = {"webhook": "a webhook", "reconcile": "found by looking: its webhook was lost", "replay": "replayed"}
VALUES = {"verdict": ("accepted", "duplicate", "ignored"), "source": tuple(SOURCES)}

Json = dict[str, Any]


class Deliveries:
    """The addresses below /admin/deliveries. `ring` is the bell of the desk."""

    def __init__(self, settings: Settings, door: Door, redactor: Redactor, ring: Callable[[], None]) -> None:
        self._settings = settings
        self._door = door
        self._clean = redactor.clean
        self._ring = ring

    async def list(self, request: Request) -> Response:
        """GET /admin/deliveries?verdict=&source=&server=&repo=&event=&uuid=: newest first. JSON by `page`, the page by
        the number of a delivery `before`.
        """
        return await self._door.get(self._list)(request)

    async def one(self, request: Request) -> Response:
        """GET /admin/deliveries/ID: with headers and body."""
        return await self._door.get(self._one)(request)

    async def body(self, request: Request) -> Response:
        """GET /admin/deliveries/ID/body: what was sent, whole."""
        return await self._door.get(self._body)(request)

    async def replay(self, request: Request) -> Response:
        """POST /admin/deliveries/ID/replay: take a stored delivery in again, as one that has just come."""
        return await self._door.post(Nothing, self._replay)(request)

    def _list(self, visit: Visit) -> Response:
        asked = {name: visit.asked(name) for name in FILTERS if visit.asked(name)}
        for name, wanted in asked.items():
            if wanted not in VALUES.get(name, (wanted,)):
                raise Problem(400, f"there is no {name} {wanted!r}; there are {', '.join(VALUES[name])}")
        return self._list_page(visit, asked) if visit.page_wanted else self._list_json(visit, asked)

    def _list_page(self, visit: Visit, asked: Mapping[str, str]) -> Response:
        query = _narrowed(visit, asked, Delivery.select(*COLUMNS))
        if (before := visit.number("before")) is not None:
            query = query.where(Delivery.id < before)
        rows = list(query.order_by(Delivery.id.desc()).limit(PAGE + 1).execute(visit.database))
        return visit.page(
            "deliveries.html",
            deliveries=rows[:PAGE],
            older=rows[PAGE - 1].id if len(rows) > PAGE else None,
            is_first=not before,
            asked=dict(asked),
            verdicts=VALUES["verdict"],
            sources=SOURCES,
            clean=self._clean,
        )

    def _list_json(self, visit: Visit, asked: Mapping[str, str]) -> Response:
        page = visit.number_of_page
        total = int(_narrowed(visit, asked, Delivery.select(fn.COUNT(SQL("*")))).scalar(visit.database))
        rows = _narrowed(visit, asked, Delivery.select(*COLUMNS))
        rows = rows.order_by(Delivery.id.desc()).paginate(page, PAGE).execute(visit.database)
        told = [self._row(row) for row in rows]
        return JSONResponse({"deliveries": told, "page": page, "pages": max(1, -(-total // PAGE)), "total": total})

    def _one(self, visit: Visit) -> Response:
        row = self._delivery(visit)
        asks = list(Ask.select().where(Ask.delivery == row.id).order_by(Ask.id).execute(visit.database))
        headers = {name: self._clean(value) for name, value in sorted(_headers(row.headers))}
        if not visit.page_wanted:
            more = {"headers": headers, "body": self._clean(row.body), "asks": [ask.id for ask in asks]}
            return JSONResponse(self._row(row) | more)
        text = self._clean(_pretty(row.body))
        return visit.page(
            "delivery.html",
            delivery=row,
            asks=asks,
            headers=headers,
            body=text[:MOST_BODY],
            is_cut=len(text) > MOST_BODY,
            size=len(row.body.encode()),
            source=SOURCES.get(row.source, row.source),
            clean=self._clean,
        )

    def _body(self, visit: Visit) -> Response:
        return PlainTextResponse(self._clean(_pretty(self._delivery(visit).body)) + "\n")

    def _replay(self, visit: Visit, _said: Nothing) -> Done:
        number, servers = self._delivery(visit).id, self._settings.servers
        allows = self._settings.allows
        try:
            accepted = replay(visit.database, number, servers=servers, allows=allows, now=visit.now)
        except NoSuchDelivery as error:
            raise Problem(404, str(error)) from None
        except CannotReplay as error:
            raise Problem(409, str(error)) from None
        self._ring()
        told = {"status": accepted.verdict, "detail": accepted.detail, "delivery": str(accepted.delivery_id)}
        sentence = f"Replayed as delivery {accepted.delivery_id}: {accepted.verdict}, {accepted.detail}."
        return Done(told | {"replay_of": number}, sentence)

    def _delivery(self, visit: Visit) -> Delivery:
        """The delivery of the address, for the viewer's eyes. Raises Problem."""
        number = visit.request.path_params["delivery"]
        mine = visit.sight.deliveries(Delivery.select().where(Delivery.id == min(number, 2**63 - 1)))
        row: Delivery | None = mine.first(visit.database)
        if row is None:
            raise Problem(404, f"there is no delivery {number}; they are kept for a while only")
        return row

    def _row(self, row: Delivery) -> Json:
        return {
            "id": row.id,
            "server": row.server,
            "source": row.source,
            "uuid": row.uuid,
            "event": row.event_type,
            "repo": row.repo or None,
            "issue": row.issue,
            "verdict": row.verdict,
            "detail": self._clean(row.detail),
            "received_at": rfc3339(row.received_at),
        }


def _narrowed(visit: Visit, asked: Mapping[str, str], query: Any) -> Any:
    """`query` of deliveries, without those that are not asked for or not for this viewer's eyes."""
    query = visit.sight.deliveries(query)
    for name, wanted in asked.items():
        query = query.where(FILTERS[name] == wanted)
    return query


def _pretty(body: str) -> str:
    """JSON with two spaces for each level; what is no JSON as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body


def _headers(text: str) -> list[tuple[str, str]]:
    read: Any = json.loads(text or "{}")
    return [(str(name), str(value)) for name, value in read.items()] if isinstance(read, dict) else []
