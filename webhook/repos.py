"""The repositories as JSON, and their webhooks on request: GET /admin/repos, POST /admin/repos/OWNER/REPO/webhook.

Gitea is not asked here: the table holds what a worker last saw, and what somebody wants for it to see to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from peewee import Database, PeeweeException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from models import hooks
from models.settings import Settings
from models.tables import Hook
from webhook.admin import refusal
from webhook.status import rfc3339

Json = dict[str, Any]


class Switch(msgspec.Struct, forbid_unknown_fields=True):
    """What is wanted of a webhook: made or mended, or else removed. `server` where the name alone is not clear."""

    server: str = ""
    remove: bool = False


class CannotSwitch(Exception):
    """This webhook cannot be asked for. `status` is the HTTP answer, the message a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Repos:
    """GET /admin/repos."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database

    async def list(self, request: Request) -> Response:
        """Every repository that the bot sees, with its webhook, labels and file."""
        if (answer := refusal(request, self._settings.admin_token)) is not None:
            return answer
        try:
            return JSONResponse(await run_in_threadpool(self._read, listing))
        except PeeweeException as error:
            return JSONResponse({"error": f"the database cannot be read: {error}"}, 503)

    def _read(self, read: Callable[[Database, Settings], Json]) -> Json:
        with self._database.connection_context():
            return read(self._database, self._settings)


def listing(db: Database, settings: Settings) -> Json:
    """All that is known of the repositories. Times are RFC 3339."""
    addresses = {name: hooks.address_of(settings, name) for name in settings.servers}
    return {
        "webhooks": settings.webhooks,
        "addresses": addresses,
        "repos": [repo_as_json(db, settings, row) for row in hooks.repos(db)],
    }


def repo_as_json(db: Database, settings: Settings, row: Hook) -> Json:
    """One repository."""
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


def switch(db: Database, settings: Settings, repo: str, said: Switch, *, now: float) -> Json:
    """Note what is wanted of the webhook of `repo` ("OWNER/NAME"); a worker sees to it. Raises CannotSwitch."""
    row = _named(db, repo, said.server)
    if settings.webhooks == "off":
        raise CannotSwitch(409, "KUGETSU_WEBHOOKS is off; right would be auto or manual")
    if not row.allowed and not said.remove:
        raise CannotSwitch(409, f"{row.place} is not among the repositories in KUGETSU_REPOS")
    if row.by is not None and said.remove:
        whose = f"organisation {row.by}" if row.by else "whole server"
        raise CannotSwitch(409, f"{row.place} has none of its own: that of the {whose} tells of it")
    hooks.ask(db, row, "removed" if said.remove else "made", now=now)
    return {"server": row.server, "repo": row.place, "webhook": "to be removed" if said.remove else "to be made right"}


def _named(db: Database, repo: str, server: str) -> Hook:
    found = [row for row in hooks.named(db, repo) if server in ("", row.server)]
    if not found:
        raise CannotSwitch(404, f"the bot sees no repository {repo}; one that is new is found within five minutes")
    if len(found) > 1:
        names = ", ".join(row.server for row in found)
        raise CannotSwitch(409, f'{repo} is on several servers; right would be {{"server": NAME}} with one of {names}')
    return found[0]
