"""GET /admin/status."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from models.settings import Settings
from webhook.counting import DeliveryCounts
from webhook.door import Door, Visit
from webhook.health import Health
from webhook.status import read


class Admin:
    """The status as JSON. `refused` counts by HTTP status the deliveries turned away since the start."""

    def __init__(
        self, settings: Settings, door: Door, refused: Callable[[], Mapping[int, int]], health: Health
    ) -> None:
        self._settings = settings
        self._door = door
        self._refused = refused
        self._health = health
        self._counts = DeliveryCounts()

    async def status(self, request: Request) -> Response:
        """GET /admin/status: everything at one glance."""
        return await self._door.get(self._status)(request)

    def _status(self, visit: Visit) -> Response:
        visit.only_who_sees_all("the status of everything is")
        db, verdicts = visit.database, self._counts.read(visit.database)
        status = read(db, self._settings, now=visit.now, refused=self._refused(), verdicts=verdicts)
        return JSONResponse({**status, "storage": self._health.storage()})
