"""Notifications as JSON and as a page, and their trial: /admin/notices and what belongs to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jobs.notice_sentences import trial
from jobs.redact import Redactor
from models import outbox
from models.notices import Notice, all_notices
from models.settings import Settings
from models.side_tables import Notification
from webhook.door import Done, Door, Problem, Visit
from webhook.status import rfc3339
from webhook.steering import Nothing

PAGE = 50
"""Notifications on one page of the list."""

Json = dict[str, Any]


class Notices:
    """The addresses below /admin/notices, for who sees all. `ring` wakes the workers."""

    def __init__(self, settings: Settings, door: Door, redactor: Redactor, ring: Callable[[], None]) -> None:
        self._public_url = settings.public_url
        self._notices = all_notices(settings.notify, settings.notices)
        self._door = door
        self._clean = redactor.clean
        self._ring = ring

    async def list(self, request: Request) -> Response:
        """GET /admin/notices?target=&before=: whom we tell, and what was sent, the newest first."""
        return await self._door.get(self._list)(request)

    async def test(self, request: Request) -> Response:
        """POST /admin/notices/NAME/test: have something sent to that address, to see whether it arrives."""
        return await self._door.post(Nothing, self._test)(request)

    def _list(self, visit: Visit) -> Response:
        visit.only_who_sees_all("whom the service tells is")
        query = Notification.select().order_by(Notification.id.desc())
        if visit.asked("target"):
            query = query.where(Notification.target == visit.asked("target"))
        if (before := visit.number("before")) is not None:
            query = query.where(Notification.id < before)
        rows = list(query.limit(PAGE + 1).execute(visit.database))
        shown, older = rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None
        targets = [self._target(visit, name, notice) for name, notice in self._notices.items()]
        if not visit.page_wanted:
            return JSONResponse({"targets": targets, "sent": [self._sent(row) for row in shown], "older": older})
        target = visit.asked("target")
        words = {"targets": targets, "older": older, "target": target, "clean": self._clean}
        return visit.page("notices.html", rows=shown, state_of=state_of, **words)

    def _target(self, visit: Visit, name: str, notice: Notice) -> Json:
        """One address, without what is secret of it: that may be all of it."""
        mine = Notification.select().where(Notification.target == name)
        last = mine.order_by(Notification.id.desc()).first(visit.database)
        address = notice.to.get_secret_value() if notice.to else ""
        return {
            "name": name,
            "kind": f"{address.partition('://')[0]}://…" if notice.to else "signed webhook",
            "events": [str(event) for event in notice.events],
            "repos": list(notice.repos),
            "servers": list(notice.servers),
            "last": None if last is None else self._sent(last),
        }

    def _sent(self, row: Notification) -> Json:
        return {
            "id": row.id,
            "uuid": row.uuid,
            "target": row.target,
            "event": row.event,
            "state": state_of(row),
            "title": self._clean(row.title),
            "job": row.job,
            "made_at": rfc3339(row.made_at),
            "sent_at": rfc3339(row.sent_at),
            "attempts": row.attempts,
            "problem": self._clean(row.problem),
            "facts": json.loads(self._clean(row.facts)),
        }

    def _test(self, visit: Visit, _said: Nothing) -> Done:
        visit.only_who_sees_all("whom the service tells is")
        name = str(visit.request.path_params["name"])
        if name not in self._notices:
            names = ", ".join(self._notices) or "none: set KUGETSU_NOTIFY"
            raise Problem(404, f"there is no address {name!r}; there are {names}")
        outbox.try_out(visit.database, name, trial(name, self._public_url), now=visit.now)
        self._ring()
        return Done({"target": name, "state": "waiting"}, f"A trial is on its way to {name}.", 202)


def state_of(row: Notification) -> str:
    """`sent`, `waiting`, `failing` (tried again by itself) or `given up`."""
    if row.sent_at is not None:
        return "sent"
    if row.given_up:
        return "given up"
    return "failing" if row.problem else "waiting"
