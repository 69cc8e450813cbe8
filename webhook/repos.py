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

    async def organization_webhook(self, request: Request) -> Response:
        """POST /admin/organizations/OWNER/webhook: the same for the one of all of an organisation's repositories."""
        return await self._door.post(Switch, self._switch_organization)(request)

    async def server_webhook(self, request: Request) -> Response:
        """POST /admin/servers/NAME/webhook: the same for the one of all of a server's repositories."""
        return await self._door.post(Switch, self._switch_server)(request)

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
                "wide": self._wide(visit),
            }
        )

    def _wide(self, visit: Visit) -> Sequence[Json]:
        """The webhooks for many repositories, for who sees all of those."""
        rows = hooks.wide(visit.database) if visit.viewer.sees_all else []
        return [_wide_as_json(row) for row in rows if row.server in self._settings.servers]

    def _page(self, visit: Visit, rows: Sequence[Hook]) -> Response:
        """What is wrong first: of many repositories the others need no look."""
        rows = sorted(rows, key=lambda row: (row.state == "fine", row.place.lower()))[:MOST_SHOWN]
        heard = [hooks.last_delivery(visit.database, row.server, row.place) for row in rows]
        told = [repo_as_json(visit.database, self._settings, row) for row in rows]
        repos = [{**one, "heard_at": at} for one, at in zip(told, heard, strict=True)]
        return visit.page(
            "repos.html", repos=repos, wide=self._wide(visit), webhooks=self._settings.webhooks, clean=self._clean
        )

    def _switch(self, visit: Visit, said: Switch) -> Done:
        self._check_may_switch(visit)
        row = self._wanted(visit, said)
        told = {"server": row.server, "repo": row.place}
        return self._asked(visit, said, row, told, f"{row.place}{self._on(row.server)}")

    def _switch_organization(self, visit: Visit, said: Switch) -> Done:
        self._check_may_switch(visit)
        owner = str(visit.request.path_params["owner"])
        servers = hooks.servers_of(visit.database, owner)
        found = sorted(name for name in servers if said.server in ("", name) and name in self._settings.servers)
        if not found:
            raise Problem(404, f"the bot sees no repository of {owner}")
        if len(found) > 1:
            raise Problem(409, _which(owner, found))
        (server,) = found
        return self._switch_wide(visit, said, server, servers[server], f"the organisation {owner}{self._on(server)}")

    def _switch_server(self, visit: Visit, said: Switch) -> Done:
        self._check_may_switch(visit)
        name = str(visit.request.path_params["server"])
        if name not in self._settings.servers:
            raise Problem(404, f"there is no server {name!r}; there are {', '.join(self._settings.servers) or 'none'}")
        return self._switch_wide(visit, said, name, hooks.SERVER, f"the server {name}")

    def _switch_wide(self, visit: Visit, said: Switch, *where: str) -> Done:
        server, place, whose = where
        if not said.remove and not hooks.allows_all_of(self._settings.repos_on(server), place):
            what = (
                f"its webhook would tell of all repositories of {whose}, and KUGETSU_REPOS does not allow all of them"
            )
            raise Problem(409, what)
        told = {"server": server} | ({"organization": place} if place else {})
        return self._asked(visit, said, hooks.ensure(visit.database, server, place), told, whose)

    def _asked(self, visit: Visit, said: Switch, row: Hook, told: Json, whose: str) -> Done:
        hooks.ask(visit.database, row, "removed" if said.remove else "made", now=visit.now)
        self._ring()
        what = "to be removed" if said.remove else "to be made right"
        return Done({**told, "webhook": what}, f"The webhook of {whose} is {what}.", 202)

    def _on(self, server: str) -> str:
        """Which server something is on, where there are several."""
        return f" on {server}" if len(self._settings.servers) > 1 else ""

    def _check_may_switch(self, visit: Visit) -> None:
        """Raises Problem."""
        visit.only_who_sees_all("changing webhooks is")
        if self._settings.webhooks == "off":
            raise Problem(409, "KUGETSU_WEBHOOKS is off; right would be auto or manual")

    def _wanted(self, visit: Visit, said: Switch) -> Hook:
        """The repository, where this may be wanted of its webhook. Raises Problem."""
        row = self._named(visit, said.server)
        if not row.allowed and not said.remove:
            raise Problem(409, f"{row.place} is not among the repositories in KUGETSU_REPOS, or repos of its server")
        if row.by is not None and said.remove:
            whose = f"organisation {row.by}" if row.by else "whole server"
            where = f"/admin/organizations/{row.by}/webhook" if row.by else f"/admin/servers/{row.server}/webhook"
            raise Problem(
                409, f"{row.place} has none of its own: that of the {whose} tells of it; right would be {where}"
            )
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
            raise Problem(409, _which(name, [row.server for row in found]))
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


def _wide_as_json(row: Hook) -> Json:
    """A webhook for many repositories."""
    return {
        "server": row.server,
        "of": "organization" if row.place else "server",
        "organization": row.place or None,
        "state": row.state,
        "problem": row.problem,
        "cure": row.cure,
        "pending": row.asked > row.answered,
        "looked_at": rfc3339(row.looked_at),
    }


def _which(name: str, servers: Sequence[str]) -> str:
    return f'{name} is on several servers; right would be {{"server": NAME}} with one of {", ".join(servers)}'


def _whose(row: Hook) -> str:
    if row.by is None:
        return "repository"
    return "organization" if row.by else "server"
