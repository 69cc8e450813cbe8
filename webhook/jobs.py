"""Jobs as JSON, and a job's log as text: GET /admin/jobs, /admin/jobs/ID and /admin/jobs/ID/log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from peewee import Database, PeeweeException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from jobs.redact import Redactor, secrets_of
from models import budgets
from models.estimate import Outlook
from models.moves import State
from models.outlook import outlooks
from models.settings import Settings
from models.tables import Job, Move, Repo, Server, Thread
from webhook.admin import refusal
from webhook.status import rfc3339

PAGE = 50
"""Jobs on one page of the list."""

MOST_OUTPUT = 4000
"""Characters of a tool's output in the log; the event file has all of it."""

Json = dict[str, Any]


class Jobs:
    """The addresses below /admin/jobs."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._redactor = Redactor(secrets_of(settings))
        self._limits = budgets.limits_of(settings)

    async def list(self, request: Request) -> Response:
        """GET /admin/jobs?state=&repo=&page=: newest first."""
        return await self._answer(request, partial(self._list, request))

    async def one(self, request: Request) -> Response:
        """GET /admin/jobs/ID: the job with its moves."""
        return await self._answer(request, partial(self._one, request))

    async def log(self, request: Request) -> Response:
        """GET /admin/jobs/ID/log: what the agent did, as text without secrets."""
        return await self._answer(request, partial(self._log, request))

    async def _answer(self, request: Request, read: Callable[[], Response]) -> Response:
        if (answer := refusal(request, self._settings.admin_token)) is not None:
            return answer
        try:
            return await run_in_threadpool(self._read, read)
        except PeeweeException as error:
            return JSONResponse({"error": f"the database cannot be read: {error}"}, 503)

    def _read(self, read: Callable[[], Response]) -> Response:
        with self._database.connection_context():
            return read()

    def _list(self, request: Request) -> Response:
        asked = request.query_params
        page = max(1, int(asked["page"])) if asked.get("page", "").isdigit() else 1
        if (state := asked.get("state", "")) and state not in set(State):
            known = ", ".join(State)
            return JSONResponse({"error": f"there is no state {state!r}; the states are {known}"}, 400)
        query = _rows()
        query = query.where(Job.state == state) if state else query
        query = query.where(Repo.name == asked["repo"]) if asked.get("repo") else query
        total = query.count(self._database)
        rows = query.order_by(Job.id.desc()).paginate(page, PAGE).execute(self._database)
        pages = max(1, -(-total // PAGE))
        found = outlooks(self._database, now=self._clock(), allowed=self._limits)
        return JSONResponse(
            {"jobs": [self._job(row, found.get(row.id)) for row in rows], "page": page, "pages": pages, "total": total}
        )

    def _one(self, request: Request) -> Response:
        row = _rows().where(Job.id == request.path_params["job"]).first(self._database)
        if row is None:
            return _no_such_job(request)
        moves = Move.select().where(Move.job == row.id).order_by(Move.id).execute(self._database)
        found = outlooks(self._database, now=self._clock(), allowed=self._limits) if row.state == State.QUEUED else {}
        return JSONResponse(self._job(row, found.get(row.id)) | {"moves": [_move(move) for move in moves]})

    def _log(self, request: Request) -> Response:
        number = request.path_params["job"]
        if not Job.select().where(Job.id == number).exists(self._database):
            return _no_such_job(request)
        folder = self._settings.home / "jobs" / str(number)
        text = "\n".join(line for run in _runs(folder) for line in read_log(run))
        return PlainTextResponse(self._redactor.clean(text) + "\n")

    def _job(self, row: Job, outlook: Outlook | None) -> Json:
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
            "comment_url": self._comment_url(row),
            "worker": row.worker,
            "error": self._redactor.clean(row.error) or None,
        }

    def _comment_url(self, row: Job) -> str | None:
        thread, comment = row.thread, row.live_comment
        server = Server.select(Server.url).where(Server.name == thread.server).first(self._database)
        if server is None or comment is None or comment < 0:
            return None
        return f"{server.url}/{row.repo.name}/issues/{row.said_on or thread.issue}#issuecomment-{comment}"


def _rows() -> Any:
    """Jobs with their thread and repository, which are read together."""
    return Job.select(Job, Thread, Repo).join(Thread).switch(Job).join(Repo, on=(Job.repo == Repo.id))


def _no_such_job(request: Request) -> Response:
    return JSONResponse({"error": f"there is no job {request.path_params['job']}"}, 404)


def _move(move: Move) -> Json:
    return {
        "at": rfc3339(move.at),
        "from": move.source,
        "to": move.target,
        "outcome": move.outcome,
        "reason": move.reason,
        "worker": move.worker,
    }


def _runs(folder: Path) -> list[Path]:
    """The folders of a job's runs, oldest first."""
    return sorted(folder.glob("run-*"), key=lambda run: int(run.name.removeprefix("run-")))


class _State(msgspec.Struct):
    status: str = ""
    title: str | None = None
    input: dict[str, Any] = {}
    output: str | None = None
    error: str | None = None


class _Part(msgspec.Struct):
    text: str = ""
    tool: str = ""
    state: _State | None = None
    reason: str = ""


class _Line(msgspec.Struct):
    type: str
    timestamp: int = 0
    part: _Part | None = None
    error: Any = None


def read_log(run: Path) -> Iterator[str]:
    """The run's events as lines for people. What cannot be read is left out: the agent's output is its own affair."""
    yield f"── {run.name}"
    yield from _command(run, "setup")
    events = run / "events.jsonl"
    if events.is_file():
        with events.open("rb") as file:
            for raw in file:
                yield from _told(raw)
    complaints = run / "stderr.txt"
    if complaints.is_file() and (text := complaints.read_text(errors="replace").strip()):
        yield from ("── what it said on standard error", text[-MOST_OUTPUT:])
    yield from _command(run, "verify")


def _command(run: Path, name: str) -> Iterator[str]:
    """What a command of the repository's printed, the end of it; again for each time that it was lost and repeated."""
    for folder in sorted(run.glob(f"{name}*")):
        output, script = folder / "events.jsonl", folder / "command.sh"
        if output.is_file() and script.is_file():
            yield f"── {folder.name}: {script.read_text(errors='replace')}"
            with output.open("rb") as file:
                file.seek(max(0, output.stat().st_size - MOST_OUTPUT))
                yield file.read().decode(errors="replace")


def _told(raw: bytes) -> Iterator[str]:
    try:
        line = msgspec.json.decode(raw, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    at = rfc3339(line.timestamp / 1000) or ""
    if line.error is not None:
        yield f"{at} error: {msgspec.json.encode(line.error).decode()[:MOST_OUTPUT]}"
    elif line.part is not None and line.part.text:
        yield f"{at} {line.part.text.strip()}"
    elif line.part is not None and line.part.state is not None:
        yield from _tool(at, line.part.tool, line.part.state)


def _tool(at: str, name: str, state: _State) -> Iterator[str]:
    yield f"{at} [{name}] {state.title or ''}".rstrip()
    if command := state.input.get("command"):
        yield f"    $ {command}"
    output = (state.error or state.output or "").strip()
    if output:
        shown = output[:MOST_OUTPUT] + (" … (cut)" if len(output) > MOST_OUTPUT else "")
        yield "\n".join(f"    {row}" for row in shown.splitlines())
