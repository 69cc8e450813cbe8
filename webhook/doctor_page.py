"""The doctor on the admin side: /admin/doctor. A worker looks, and what it found stands here."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from models import checkups
from models.checkup import Finding
from models.side_tables import CheckupRequest
from webhook import checkup
from webhook.door import Done, Door, Problem, Visit
from webhook.status import rfc3339

LONGEST_NAME = 200
"""Characters of OWNER/REPO."""


class Call(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be looked at: "OWNER/REPO", or all of it."""

    repo: str = ""


class Doctor:
    """For who sees all: it may name any repository."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def page(self, request: Request) -> Response:
        """GET /admin/doctor: the last findings, what is wrong first, and whether another look is under way."""
        return await self._door.get(self._page)(request)

    async def ask(self, request: Request) -> Response:
        """POST /admin/doctor: have a worker look."""
        return await self._door.post(Call, self._ask)(request)

    def _page(self, visit: Visit) -> Response:
        visit.only_who_sees_all("what the doctor finds is")
        done, pending = checkups.latest(visit.database), checkups.pending(visit.database)
        found = None if done is None else checkups.findings_of(done)
        if not visit.page_wanted:
            told = {} if found is None else checkup.as_json(found)
            return JSONResponse({"pending": _told(pending), "last": None if done is None else _told(done) | told})
        ordered: list[Finding] = [] if found is None else checkup.in_order(found)
        word = "" if found is None else checkup.last_word(found)
        return visit.page("doctor.html", done=done, pending=pending, findings=ordered, word=word, now=visit.now)

    def _ask(self, visit: Visit, said: Call) -> Done:
        visit.only_who_sees_all("calling the doctor is")
        repo = said.repo.strip()
        if repo and not _is_name(repo):
            raise Problem(
                400, f"{repo[:LONGEST_NAME]!r} is wrong; right would be OWNER/REPO, or nothing for all of them"
            )
        number = checkups.ask(visit.database, repo, visit.viewer.name, now=visit.now)
        return Done({"id": number, "repo": repo, "state": "waiting"}, "The doctor is on the way.", 202)


def _is_name(repo: str) -> bool:
    return len(repo) <= LONGEST_NAME and repo.isprintable() and all(repo.split("/")) and repo.count("/") == 1


def _told(row: CheckupRequest | None) -> dict[str, Any]:
    if row is None:
        return {}
    return {
        "id": row.id,
        "repo": row.repo,
        "asked_by": row.asked_by,
        "asked_at": rfc3339(row.asked_at),
        "started_at": rfc3339(row.started_at),
        "finished_at": rfc3339(row.finished_at),
    }
