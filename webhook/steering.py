"""Steering from the admin side: POST /admin/pause, /resume, /capacity, /admin/jobs/ID/cancel, /retry and /priority."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from models import ledger, limits, reordering
from models.moves import State
from models.retrying import CannotRetry, retry
from models.tables import Job
from webhook.door import Done, Door, Problem, Visit

WHY = "An administrator has cancelled it."
PRIORITIES = {"low": -1, "normal": 0, "high": 1}


class Pause(msgspec.Struct, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(max_length=200)] = ""


class Capacity(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=1000)]


class Retry(msgspec.Struct, forbid_unknown_fields=True):
    fresh: bool = False


class Priority(msgspec.Struct, forbid_unknown_fields=True):
    priority: Literal["low", "normal", "high"]


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Steering:
    """Changes what the workers go by, and rings for them. They see to the comments on the issues."""

    def __init__(self, door: Door, rings: tuple[Callable[[], None], Callable[[], None]]) -> None:
        """`rings` are the bells of the desk and of the agents."""
        self._door = door
        self._ring_desk, self._ring_agents = rings

    async def pause(self, request: Request) -> Response:
        """POST /admin/pause, {"reason"} if there is one: what runs goes on, nothing more starts."""
        return await self._door.post(Pause, self._pause)(request)

    async def resume(self, request: Request) -> Response:
        """POST /admin/resume."""
        return await self._door.post(Nothing, self._resume)(request)

    async def capacity(self, request: Request) -> Response:
        """POST /admin/capacity, {"limit": n}: so many agents at once, until somebody says otherwise."""
        return await self._door.post(Capacity, self._capacity)(request)

    async def cancel(self, request: Request) -> Response:
        """POST /admin/jobs/ID/cancel."""
        return await self._door.post(Nothing, self._cancel)(request)

    async def retry(self, request: Request) -> Response:
        """POST /admin/jobs/ID/retry: a new job that goes on where this one stopped, or, {"fresh": true}, in a new
        session.
        """
        return await self._door.post(Retry, self._retry)(request)

    async def priority(self, request: Request) -> Response:
        """POST /admin/jobs/ID/priority, {"priority": "low" | "normal" | "high"}, of a job that waits."""
        return await self._door.post(Priority, self._priority)(request)

    def _pause(self, visit: Visit, said: Pause) -> Done:
        visit.only_who_sees_all("changing this is")
        limits.pause(visit.database, said.reason)
        return self._steered(visit, "Paused: what runs goes on, nothing more starts.")

    def _resume(self, visit: Visit, _said: Nothing) -> Done:
        visit.only_who_sees_all("changing this is")
        limits.resume(visit.database)
        return self._steered(visit, "Resumed: what waits starts as there is room.")

    def _capacity(self, visit: Visit, said: Capacity) -> Done:
        visit.only_who_sees_all("changing this is")
        limits.set_capacity(visit.database, said.limit)
        return self._steered(visit, f"Up to {said.limit} agents run at once from now on.")

    def _steered(self, visit: Visit, sentence: str) -> Done:
        row = limits.of(visit.database)
        self._ring()
        why = limits.why_nothing_starts(row)
        return Done({"limit": row.capacity, "paused": why is not None, "reason": why or ""}, sentence)

    def _cancel(self, visit: Visit, _said: Nothing) -> Done:
        job = _job(visit)
        if not ledger.request_cancel(visit.database, job.id, visit.viewer.name, now=visit.now, why=WHY):
            raise Problem(409, f"job {job.id} has ended already: {job.outcome}")
        self._ring()
        return Done({"job": job.id, "state": _job(visit).state}, f"Job {job.id} is being cancelled.")

    def _retry(self, visit: Visit, said: Retry) -> Done:
        number = _job(visit).id
        try:
            new = retry(visit.database, number, visit.viewer.name, now=visit.now, fresh=said.fresh)
        except CannotRetry as error:
            raise Problem(409, str(error)) from None
        self._ring()
        return Done({"job": new, "state": str(State.QUEUED)}, f"Job {new} does it again.")

    def _priority(self, visit: Visit, said: Priority) -> Done:
        job, priority = _job(visit), PRIORITIES[said.priority]
        if not reordering.set_priority(visit.database, job.id, priority, visit.viewer.name, now=visit.now):
            raise Problem(409, f"job {job.id} does not wait any more: it is {job.state}")
        self._ring()
        return Done({"job": job.id, "priority": said.priority}, f"Job {job.id} has {said.priority} priority now.")

    def _ring(self) -> None:
        self._ring_agents()
        self._ring_desk()


def _job(visit: Visit) -> Job:
    """The job of the address, which the viewer may see: whoever may write to a repository may also steer its jobs."""
    number = visit.request.path_params["job"]
    job: Job | None = Job.select().where(Job.id == min(number, 2**63 - 1)).first(visit.database)
    if job is None or not visit.sight.sees(job.repo_id):
        raise Problem(404, f"there is no job {number}")
    return job
