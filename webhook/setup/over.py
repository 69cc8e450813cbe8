"""What is at the addresses of the first start once the service is set up: how it comes up, then the doctor's word."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from models import checkups, hooks
from models.hooks import SERVER
from models.settings import Settings
from models.side_tables import Hook
from models.tables import Server, Worker
from webhook.door import Door, Problem, Visit
from webhook.health import SILENT
from webhook.pages.frame import HEADERS, Frame

DOCTOR = "/admin/doctor"


class SetUpOver:
    """For who sees all. Nothing can be changed here."""

    def __init__(self, settings: Settings, door: Door) -> None:
        self._settings = settings
        self._door = door

    def routes(self, _frame: Frame) -> list[BaseRoute]:
        """The addresses below /admin/setup."""
        return [Route("/admin/setup", self._door.get(_closed)), Route("/admin/setup/done", self._door.get(self._done))]

    def _done(self, visit: Visit) -> Response:
        """The worker, Gitea and the webhooks, until all have been seen to; then the doctor is called, once."""
        visit.only_who_sees_all("the first start is")
        db = visit.database
        if checkups.latest(db) is not None or checkups.pending(db) is not None:
            return RedirectResponse(DOCTOR, 303, headers=HEADERS)
        workers = list(Worker.select().where(Worker.seen_at > visit.now - SILENT).execute(db))
        servers = list(Server.select().order_by(Server.name).execute(db))
        rows = [row for row in hooks.repos(db) if row.allowed and not row.archived]
        if workers and servers and (any(not server.ok for server in servers) or self._looked_after(visit, rows)):
            checkups.ask(db, "", visit.viewer.name, now=visit.now)
            return RedirectResponse(DOCTOR, 303, headers=HEADERS)
        return visit.page("setup_done.html", workers=workers, servers=servers, hooks=rows)

    def _looked_after(self, visit: Visit, rows: list[Hook]) -> bool:
        """Whether the webhooks have been made, or what is wrong with them is known."""
        if self._settings.webhooks == "off":
            return True
        mine = Hook.select().where((Hook.place == SERVER) & (Hook.looked_at > 0))
        return mine.exists(visit.database) and all(row.looked_at > 0 or row.failures for row in rows)


def _closed(_visit: Visit) -> Response:
    raise Problem(410, "the first start is over: the service is set up")
