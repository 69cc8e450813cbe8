"""What the pages follow while it happens: a job's log, and word that something has changed (server-sent events)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

from peewee import Database, PeeweeException, fn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from models import checkups
from models.moves import ENDED, State
from models.side_tables import Hook
from models.tables import Delivery, Intake, Job, Move, Worker
from webhook.access import Denied
from webhook.door import Door, Problem, Visit
from webhook.joblog import MOST_ENTRIES, JobLog, Spot
from webhook.pages.jobpage import state_values
from webhook.steps import Entry, as_text

MOST = 64
"""Streams at a time; whoever comes beyond that reloads by hand."""

PAUSE = 0.5
"""Seconds between two looks."""

SIGN_OF_LIFE, LOOK_AGAIN = 15.0, 60.0
"""Seconds after which a silent stream says that it is there, and its reader is looked at anew."""

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}

Found = TypeVar("Found")
LogOf = Callable[[Visit], tuple[Job, JobLog]]


class _Seen(NamedTuple):
    """What one look at a job found. `jumped_to`: the log has run ahead of a page that shows its end only, so what lies
    before this is left out.
    """

    entries: list[Entry]
    spot: Spot
    state: str
    over: bool
    jumped_to: Spot | None = None


class Streams:
    """Follows logs and changes for those who may see them."""

    def __init__(self, door: Door, database: Database, stopping: Callable[[Request], bool]) -> None:
        self._door = door
        self._database = database
        self._stopping = stopping
        self._open = 0
        self._changes = (0.0, "")

    async def follow(self, request: Request, log_of: LogOf, *, as_page: bool) -> Response:
        """A job's log from the place named by `after` or Last-Event-ID on, as text or as parts of its page."""
        try:
            visit = await self._door.visit(request)
            await run_in_threadpool(self._with_database, lambda: log_of(visit))
        except (Denied, Problem) as error:
            return self._door.refused(request, error)
        spot = Spot.parse(request.headers.get("last-event-id") or visit.asked("after"))
        return self._streamed(request, self._log(request, visit, log_of, spot, as_page=as_page))

    async def changes(self, request: Request) -> Response:
        """GET /admin/live: an event whenever a page would look different."""
        try:
            await self._door.visit(request)
        except (Denied, Problem) as error:
            return self._door.refused(request, error)
        return self._streamed(request, self._changed(request))

    def _streamed(self, request: Request, events: AsyncIterator[str]) -> Response:
        if self._open >= MOST:
            return self._door.refused(request, Problem(503, "too many pages are being followed; reload by hand"))
        return StreamingResponse(self._counted(events), media_type="text/event-stream", headers=_HEADERS)

    async def _counted(self, events: AsyncIterator[str]) -> AsyncIterator[str]:
        self._open += 1
        try:
            yield "retry: 2000\n\n"
            async for event in events:
                yield event
        finally:
            self._open -= 1

    async def _goes_on(self, request: Request) -> AsyncIterator[None]:
        """Until the service stops or the reader may not look any more; a pause between two turns."""
        until = time.monotonic() + LOOK_AGAIN
        while not self._stopping(request):
            yield
            await asyncio.sleep(PAUSE)
            if time.monotonic() > until:
                until = time.monotonic() + LOOK_AGAIN
                try:
                    await self._door.visit(request)
                except (Denied, PeeweeException):
                    return

    async def _log(
        self, request: Request, visit: Visit, log_of: LogOf, spot: Spot | None, *, as_page: bool
    ) -> AsyncIterator[str]:
        shown, spoken = "", time.monotonic()
        async for _ in self._goes_on(request):
            more = True
            while more:
                look = partial(self._look, visit, log_of, spot, as_page=as_page)
                seen = await run_in_threadpool(self._with_database, look)
                more, spot = bool(seen.entries), seen.spot
                if seen.state != shown:
                    shown, spoken = seen.state, time.monotonic()
                    yield _event("state", shown)
                if seen.jumped_to is not None:
                    yield _event("jump", str(seen.jumped_to))
                if seen.entries:
                    spoken = time.monotonic()
                    yield _event(
                        "steps" if as_page else "message",
                        self._told(seen.entries, request.path_params["job"], as_page),
                        str(spot),
                    )
            if seen.over:
                yield _event("end", "over")
                return
            if time.monotonic() - spoken > SIGN_OF_LIFE:
                spoken = time.monotonic()
                yield ": still here\n\n"

    def _look(self, visit: Visit, log_of: LogOf, spot: Spot | None, *, as_page: bool) -> _Seen:
        visit = replace(visit, now=self._door.now())
        row, log = log_of(visit)
        over = row.state in ENDED
        entries, found = log.after(spot, ended=over)
        state = self._door.frame.text("_jobstate.html", **state_values(visit, row)) if as_page else ""
        if as_page and len(entries) >= MOST_ENTRIES:
            window = log.before(None, ended=over)
            if window.first is not None and window.first > found:
                return _Seen(window.entries, window.last, state, over, window.first)
        return _Seen(entries, found, state, over)

    def _told(self, entries: list[Entry], number: int, as_page: bool) -> str:
        if as_page:
            return self._door.frame.text("_entries.html", entries=entries, base=f"/admin/jobs/{number}")
        return "".join(as_text(entry) for entry in entries)

    async def _changed(self, request: Request) -> AsyncIterator[str]:
        known, spoken = await run_in_threadpool(self._fingerprint), time.monotonic()
        yield _event("changed", "something may have, since the page was made")
        async for _ in self._goes_on(request):
            found = await run_in_threadpool(self._fingerprint)
            if found != known:
                known, spoken = found, time.monotonic()
                yield _event("changed", "look again")
            elif time.monotonic() - spoken > SIGN_OF_LIFE:
                spoken = time.monotonic()
                yield ": still here\n\n"

    def _fingerprint(self) -> str:
        """Differs when something has changed that a page shows; read once for all who follow."""
        at, known = self._changes
        if time.monotonic() - at < PAUSE:
            return known
        found = self._with_database(self._read_fingerprint)
        self._changes = (time.monotonic(), found)
        return found

    def _read_fingerprint(self) -> str:
        db = self._database
        running = Job.select(Job.id, Job.steps, Job.step).where(Job.state == State.RUNNING).order_by(Job.id)
        intake = Intake.select(Intake.capacity, Intake.paused, Intake.reason)
        newest = [model.select(fn.MAX(model.id)).scalar(db) for model in (Move, Delivery)]
        workers = Worker.select(Worker.name).order_by(Worker.name)
        webhooks = Hook.select(fn.MAX(Hook.looked_at), fn.SUM(Hook.asked))
        found = [list(query.tuples().execute(db)) for query in (running, intake, workers, webhooks)]
        return repr([found, newest, checkups.version(db)])

    def _with_database(self, read: Callable[[], Found]) -> Found:
        with self._database.connection_context():
            return read()


def _event(name: str, data: str, number: str = "") -> str:
    """One event (HTML Living Standard, section 9.2): each line of its data by itself."""
    lines = [f"event: {name}"] if name != "message" else []
    lines += [f"id: {number}"] if number else []
    return "\n".join([*lines, *(f"data: {line}" for line in data.splitlines())]) + "\n\n"
