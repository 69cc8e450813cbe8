"""Jobs as JSON and as pages: GET /admin/jobs, /admin/jobs/ID and what belongs to it."""

from __future__ import annotations

from typing import Any

from peewee import SQL, fn
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from jobs.keepsake import PATCH
from jobs.redact import Redactor
from models import budgets
from models.estimate import Outlook
from models.moves import State
from models.outlook import outlooks
from models.settings import Settings
from models.tables import Job, Move, Repo
from webhook.door import Door, Problem, Visit
from webhook.joblist import PAGE, Wanted, narrowed, newest, with_threads
from webhook.joblog import JobLog, Spot
from webhook.negotiation import wants_stream
from webhook.pages.jobpage import job_values
from webhook.pages.links import comment_url, server_urls
from webhook.status import rfc3339
from webhook.steps import as_text
from webhook.streams import Streams

Json = dict[str, Any]


class Jobs:
    """The addresses below /admin/jobs."""

    def __init__(self, settings: Settings, door: Door, streams: Streams, redactor: Redactor) -> None:
        self._settings = settings
        self._door = door
        self._streams = streams
        self._redactor = redactor
        self._allowed = budgets.limits_of(settings)

    async def list(self, request: Request) -> Response:
        """GET /admin/jobs: newest first. JSON by `page`, the page by the number of a job `before`."""
        return await self._door.get(self._list)(request)

    async def one(self, request: Request) -> Response:
        """GET /admin/jobs/ID: the job with its moves."""
        return await self._door.get(self._one)(request)

    async def log(self, request: Request) -> Response:
        """GET /admin/jobs/ID/log: what the agent did, as text without secrets; as a stream, it is followed."""
        if wants_stream(request):
            return await self._streams.follow(request, self._log_of, as_page=False)
        return await self._door.get(self._log)(request)

    async def steps(self, request: Request) -> Response:
        """GET /admin/jobs/ID/steps: the log as a stream of what the page shows."""
        return await self._streams.follow(request, self._log_of, as_page=True)

    async def output(self, request: Request) -> Response:
        """GET /admin/jobs/ID/output?at=: the whole of one entry of the log."""
        return await self._door.get(self._output)(request)

    async def prompt(self, request: Request) -> Response:
        """GET /admin/jobs/ID/prompt?run=: what the agent was told."""
        return await self._door.get(self._prompt)(request)

    async def diff(self, request: Request) -> Response:
        """GET /admin/jobs/ID/diff: what the agent made."""
        return await self._door.get(self._diff)(request)

    def _list(self, visit: Visit) -> Response:
        wanted = Wanted.of(visit)
        return self._list_page(visit, wanted) if visit.page_wanted else self._list_json(visit, wanted)

    def _list_page(self, visit: Visit, wanted: Wanted) -> Response:
        rows = newest(visit.database, visit.sight, wanted, before=visit.number("before"), most=PAGE + 1)
        return visit.page(
            "jobs.html",
            jobs=rows[:PAGE],
            wanted=wanted,
            older=rows[PAGE - 1].id if len(rows) > PAGE else None,
            is_first=not visit.asked("before"),
            outlooks=outlooks(visit.database, now=visit.now, allowed=self._allowed),
            repos=_repos(visit),
            now=visit.now,
        )

    def _list_json(self, visit: Visit, wanted: Wanted) -> Response:
        page = visit.number_of_page
        numbers = narrowed(visit.database, visit.sight, wanted, Job.select(Job.id))
        counted = narrowed(visit.database, visit.sight, wanted, Job.select(fn.COUNT(SQL("*"))))
        total = int(counted.scalar(visit.database))
        ids = [row.id for row in numbers.order_by(Job.id.desc()).paginate(page, PAGE).execute(visit.database)]
        found = outlooks(visit.database, now=visit.now, allowed=self._allowed)
        jobs = [self._json(visit, row, found.get(row.id)) for row in with_threads(visit.database, ids)]
        return JSONResponse({"jobs": jobs, "page": page, "pages": max(1, -(-total // PAGE)), "total": total})

    def _one(self, visit: Visit) -> Response:
        row = self.job(visit)
        moves = list(Move.select().where(Move.job == row.id).order_by(Move.id).execute(visit.database))
        found = outlooks(visit.database, now=visit.now, allowed=self._allowed) if row.state == State.QUEUED else {}
        if visit.page_wanted:
            values = job_values(visit, row, self._settings, self._redactor, self.log_of(row))
            return visit.page("job.html", **values, moves=moves, outlook=found.get(row.id))
        told = [self._move(move) for move in moves]
        return JSONResponse(self._json(visit, row, found.get(row.id)) | {"moves": told})

    def _log(self, visit: Visit) -> Response:
        log = self.log_of(self.job(visit))
        lines = (as_text(entry) for entry in log.all())
        return StreamingResponse((text for text in lines if text), media_type="text/plain")

    def _log_of(self, visit: Visit) -> tuple[Job, JobLog]:
        row = self.job(visit)
        return row, self.log_of(row)

    def _output(self, visit: Visit) -> Response:
        spot = Spot.parse(visit.asked("at"))
        entry = self.log_of(self.job(visit)).one(spot) if spot else None
        if entry is None:
            raise Problem(404, "there is no such entry in this log")
        return PlainTextResponse(entry.body + "\n")

    def _prompt(self, visit: Visit) -> Response:
        run = visit.asked("run")
        return self._file(visit, f"run-{run if run.isascii() and run.isdecimal() else 1}/prompt.txt")

    def _diff(self, visit: Visit) -> Response:
        return self._file(visit, PATCH)

    def _file(self, visit: Visit, name: str) -> Response:
        path = self._settings.home / "jobs" / str(self.job(visit).id) / name
        if not path.is_file():
            raise Problem(404, "it is not kept, or was never there")
        return PlainTextResponse(self._redactor.clean(path.read_text(errors="replace")))

    def job(self, visit: Visit) -> Job:
        """The job of the address, for the viewer's eyes. Raises Problem."""
        number = visit.request.path_params["job"]
        found = with_threads(visit.database, [number]) if number < 2**63 else []
        if not found or not visit.sight.sees(found[0].repo_id):
            raise Problem(404, f"there is no job {number}")
        return found[0]

    def log_of(self, row: Job) -> JobLog:
        """The log of a job."""
        return JobLog(self._settings.home / "jobs" / str(row.id), self._redactor.clean)

    def _json(self, visit: Visit, row: Job, outlook: Outlook | None) -> Json:
        thread, repo = row.thread, row.repo
        return {
            "id": row.id,
            "server": thread.server,
            "repo": repo.name,
            "issue": thread.issue,
            "recipe": row.recipe,
            "state": row.state,
            "outcome": row.outcome,
            "position": outlook.position if outlook else None,
            "eta_seconds": outlook.eta_seconds if outlook else None,
            "attempt": row.attempt + 1,
            "asked_by": row.asked_by,
            "asked_at": rfc3339(row.asked_at),
            "started_at": rfc3339(row.started_at),
            "finished_at": rfc3339(row.finished_at),
            "tokens": row.tokens_in + row.tokens_out,
            "cost": row.cost,
            "pull": row.pull or thread.pull,
            "comment_url": comment_url(row, server_urls(visit.database, self._settings)),
            "worker": row.worker,
            "error": self._redactor.clean(row.error) or None,
        }

    def _move(self, move: Move) -> Json:
        return {
            "at": rfc3339(move.at),
            "from": move.source,
            "to": move.target,
            "outcome": move.outcome,
            "reason": self._redactor.clean(move.reason),
            "worker": move.worker,
        }


def _repos(visit: Visit) -> list[str]:
    """The names to choose from."""
    names = {row.name for row in Repo.select(Repo.id, Repo.name).execute(visit.database) if visit.sight.sees(row.id)}
    return sorted(names)
