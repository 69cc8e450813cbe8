"""The addresses of the admin side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from jobs.known_secrets import secrets_of
from jobs.redact import Redactor
from webhook.access import Access
from webhook.admin_status import Admin
from webhook.deliveries import Deliveries
from webhook.doctor_page import Doctor
from webhook.door import Door
from webhook.health import Health
from webhook.jobs import Jobs
from webhook.notices import Notices
from webhook.oauth import CALLBACK, SignInServer
from webhook.pages.charts import Charts
from webhook.pages.frame import Frame, static_route
from webhook.pages.overview import Overview
from webhook.repos import Repos
from webhook.seals import Seals, key_of
from webhook.setup.over import SetUpOver
from webhook.signin import SignIn
from webhook.steering import Steering
from webhook.streams import Streams
from webhook.wiring import Wiring


def admin_routes(wiring: Wiring, health: Health, refused: Callable[[], Mapping[int, int]]) -> list[BaseRoute]:
    """Everything below /admin. `refused` counts by HTTP status the deliveries turned away since the start."""
    settings, redactor = wiring.settings, Redactor(secrets_of(wiring.settings, wiring.environ))
    access = Access(settings, Seals(key_of(settings.home)), wiring.database)
    frame = Frame(wiring.settings.servers)
    door = Door(access, frame, wiring.database, wiring.clock)
    streams = Streams(door, wiring.database, _stopping)
    return [
        static_route(),
        *(SetUpOver(settings, door) if wiring.set_up is None else wiring.set_up).routes(frame),
        *_signin(SignIn(settings, door, SignInServer.of(settings))),
        Route("/admin", Overview(settings, door, health, refused, redactor, set_up=wiring.set_up is None).page),
        Route("/admin/status", Admin(settings, door, refused, health).status),
        Route("/admin/charts", Charts(door).page),
        Route("/admin/live", streams.changes),
        *_jobs(Jobs(settings, door, streams, redactor)),
        *_deliveries(Deliveries(settings, door, redactor, wiring.ring)),
        *_repos(Repos(settings, door, wiring.ring, redactor)),
        *_notices(Notices(settings, door, redactor, wiring.ring)),
        *_doctor(Doctor(door)),
        *_steering(Steering(door, (wiring.ring, wiring.ring_agents))),
    ]


def _signin(signin: SignIn) -> list[BaseRoute]:
    return [
        Route("/admin/signin", signin.page),
        Route("/admin/signin", signin.by_token, methods=["POST"]),
        Route("/admin/signin/gitea", signin.to_gitea),
        Route(CALLBACK, signin.from_gitea),
        Route("/admin/signout", signin.out, methods=["POST"]),
    ]


def _jobs(jobs: Jobs) -> list[BaseRoute]:
    return [
        Route("/admin/jobs", jobs.list),
        Route("/admin/jobs/{job:int}", jobs.one),
        Route("/admin/jobs/{job:int}/log", jobs.log),
        Route("/admin/jobs/{job:int}/steps", jobs.steps),
        Route("/admin/jobs/{job:int}/output", jobs.output),
        Route("/admin/jobs/{job:int}/prompt", jobs.prompt),
        Route("/admin/jobs/{job:int}/diff", jobs.diff),
    ]


def _deliveries(deliveries: Deliveries) -> list[BaseRoute]:
    return [
        Route("/admin/deliveries", deliveries.list),
        Route("/admin/deliveries/{delivery:int}", deliveries.one),
        Route("/admin/deliveries/{delivery:int}/body", deliveries.body),
        Route("/admin/deliveries/{delivery:int}/replay", deliveries.replay, methods=["POST"]),
    ]


def _repos(repos: Repos) -> list[BaseRoute]:
    return [
        Route("/admin/repos", repos.list),
        Route("/admin/repos/{owner}/{repo}/webhook", repos.webhook, methods=["POST"]),
        Route("/admin/organizations/{owner}/webhook", repos.organization_webhook, methods=["POST"]),
        Route("/admin/servers/{server}/webhook", repos.server_webhook, methods=["POST"]),
    ]


def _notices(notices: Notices) -> list[BaseRoute]:
    return [
        Route("/admin/notices", notices.list),
        Route("/admin/notices/{name}/test", notices.test, methods=["POST"]),
    ]


def _doctor(doctor: Doctor) -> list[BaseRoute]:
    return [
        Route("/admin/doctor", doctor.page),
        Route("/admin/doctor", doctor.ask, methods=["POST"]),
    ]


def _steering(steering: Steering) -> list[BaseRoute]:
    return [
        Route("/admin/pause", steering.pause, methods=["POST"]),
        Route("/admin/resume", steering.resume, methods=["POST"]),
        Route("/admin/capacity", steering.capacity, methods=["POST"]),
        Route("/admin/jobs/{job:int}/cancel", steering.cancel, methods=["POST"]),
        Route("/admin/jobs/{job:int}/retry", steering.retry, methods=["POST"]),
        Route("/admin/jobs/{job:int}/priority", steering.priority, methods=["POST"]),
    ]


def _stopping(request: Request) -> bool:
    """Whether the server is about to end, so that nothing is followed any more."""
    asked: Callable[[], bool] | None = getattr(request.app.state, "stopping", None)
    return asked is not None and asked()
