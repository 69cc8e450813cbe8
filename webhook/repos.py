"""The repositories as JSON, and their webhooks on request: GET /admin/repos, POST /admin/repos/OWNER/REPO/webhook.

Gitea is not asked here: the table holds what a worker last saw, and what somebody wants for it to see to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from peewee import Database
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from jobs.redact import Redactor
from models import hooks
from models.settings import Settings
from models.side_tables import Hook
from webhook.door import Done, Door, Problem, Visit
from webhook.status import rfc3339

MOST_SHOWN = 200
"""Repositories on the page; JSON has all of them."""

Json = dict[str, Any]


class Switch(msgspec.Struct, forbid_unknown_fields=True):
    """What is wanted of a webhook: made or mended, or else removed. `server` where the name alone is not clear."""

    server: str = ""
    remove: bool = False


class Repos:
    """The addresses below /admin/repos. `ring` is the bell of the desk."""

    def __init__(self, settings: Settings, door: Door, ring: Callable[[], None], redactor: Redactor) -> None:
        self._settings = settings
        self._door = door
        self._ring = ring
        self._clean = redactor.clean

    async def list(self, request: Request) -> Response:
        """GET /admin/repos: every repository that the bot sees, with its webhook, labels and file."""
        return await self._door.get(self._list)(request)

    async def webhook(self, request: Request) -> Response:
        """POST /admin/repos/OWNER/REPO/webhook: a worker makes it or mends it, or, {"remove": true}, takes it away."""
        return await self._door.post(Switch, self._switch)(request)

    def _list(self, visit: Visit) -> Response:
        settings = self._settings
        known = [row for row in hooks.repos(visit.database) if row.server in settings.servers]
        rows = [row for row in known if visit.viewer.may_see(row.server, row.place)]
        if visit.page_wanted:
            return self._page(visit, rows)
        return JSONResponse(
            {
                "webhooks": settings.webhooks,
                "addresses": {name: hooks.address_of(settings, name) for name in settings.servers},
                "repos": [repo_as_json(visit.database, settings, row) for row in rows],
            }
        )

    def _page(self, visit: Visit, rows: Sequence[Hook]) -> Response:
        """What is wrong first: of many repositories the others need no look."""
        rows = sorted(rows, key=lambda row: (row.state == "fine", row.place.lower()))[:MOST_SHOWN]
        heard = [hooks.last_delivery(visit.database, row.server, row.place) for row in rows]
        told = [repo_as_json(visit.database, self._settings, row) for row in rows]
        repos = [{**one, "heard_at": at} for one, at in zip(told, heard, strict=True)]
        return visit.page("repos.html", repos=repos, webhooks=self._settings.webhooks, clean=self._clean)

    def _switch(self, visit: Visit, said: Switch) -> Done:
        row = self._wanted(visit, said)
        hooks.ask(visit.database, row, "removed" if said.remove else "made", now=visit.now)
        self._ring()
        what = "to be removed" if said.remove else "to be made right"
        told = {"server": row.server, "repo": row.place, "webhook": what}
        on = f" on {row.server}" if len(self._settings.servers) > 1 else ""
        return Done(told, f"The webhook of {row.place}{on} is {what}.", 202)

    def _wanted(self, visit: Visit, said: Switch) -> Hook:
        """The repository, where this may be wanted of its webhook. Raises Problem."""
        if not visit.viewer.sees_all:
            raise Problem(403, "only who sees all repositories may change webhooks here")
        row = self._named(visit, said.server)
        if self._settings.webhooks == "off":
            raise Problem(409, "KUGETSU_WEBHOOKS is off; right would be auto or manual")
        if not row.allowed and not said.remove:
            raise Problem(409, f"{row.place} is not among the repositories in KUGETSU_REPOS, or repos of its server")
        if row.by is not None and said.remove:
            whose = f"organisation {row.by}" if row.by else "whole server"
            raise Problem(409, f"{row.place} has none of its own: that of the {whose} tells of it")
        return row

    def _named(self, visit: Visit, server: str) -> Hook:
        """The repository of the address; one that is not known is looked for. Raises Problem."""
        name = "{owner}/{repo}".format(**visit.request.path_params)
        if server and server not in self._settings.servers:
            raise Problem(404, f"there is no server {server!r}; there are {', '.join(self._settings.servers)}")
        known = [row for row in hooks.named(visit.database, name) if row.server in self._settings.servers]
        found = [row for row in known if server in ("", row.server)]
        if not found:
            hooks.list_soon(visit.database, now=visit.now)
            self._ring()
            raise Problem(404, f"the bot sees no repository {name}; if it is new, it is looked for now: try again soon")
        if len(found) > 1:
            names = ", ".join(row.server for row in found)
            raise Problem(409, f'{name} is on several servers; right would be {{"server": NAME}} with one of {names}')
        return found[0]


def repo_as_json(db: Database, settings: Settings, row: Hook) -> Json:
    """One repository. Times are RFC 3339."""
    server = settings.servers.get(row.server)
    return {
        "server": row.server,
        "repo": row.place,
        "url": f"{server.url}/{row.place}" if server else None,
        "allowed": row.allowed,
        "archived": row.archived,
        "rights": row.rights,
        "webhook": {
            "state": row.state,
            "problem": row.problem,
            "cure": row.cure,
            "of": _whose(row),
            "pending": row.asked > row.answered,
            "looked_at": rfc3339(row.looked_at),
            "last_delivery": rfc3339(hooks.last_delivery(db, row.server, row.place)),
        },
        "labels": {"missing": row.labels_missing.split(", ") if row.labels_missing else []},
        "file": {"valid": not row.file_problem, "problem": row.file_problem},
    }


def _whose(row: Hook) -> str:
    if row.by is None:
        return "repository"
    return "organization" if row.by else "server"
