"""Who may see the admin side, and its status as JSON."""

import hmac
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from peewee import Database, PeeweeException
from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from models import trouble
from models.settings import Settings
from webhook.health import Health
from webhook.status import Status, read

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""What proxies add: a request with one of these comes from somewhere else, whoever brought it."""

_BEARER = "bearer "


def refusal(request: Request, token: SecretStr | None) -> Response | None:
    """The answer for who may not see the admin side, or None for who may.

    With a token in the settings it must be sent. Without one only this machine is served, and only under a name
    of this machine: a web page elsewhere can have a browser here call us, by a name of its own that it points at us.
    """
    if token is not None:
        return None if _has_token(request, token.get_secret_value()) else _unauthorised()
    if _is_local(request):
        return None
    return JSONResponse({"error": "only this machine itself is served here while KUGETSU_ADMIN_TOKEN is not set"}, 403)


def _unauthorised() -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="kugetsu"'}
    return JSONResponse({"error": "the admin token is missing or wrong"}, 401, headers=headers)


def _has_token(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "")
    if not given.lower().startswith(_BEARER):
        return False
    return hmac.compare_digest(given[len(_BEARER) :].strip().encode(), token.encode())


def _is_local(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    return _is_loopback(request.client.host) and _is_loopback(_host_name(request.headers.get("host", "")))


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets; "" where it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


class Admin:
    """The admin pages. `refused` counts by HTTP status the deliveries turned away since the start."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], float],
        refused: Callable[[], Mapping[int, int]],
        health: Health,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._refused = refused
        self._health = health

    async def status(self, request: Request) -> Response:
        """GET /admin/status: everything at one glance."""
        if (answer := refusal(request, self._settings.admin_token)) is not None:
            return answer
        try:
            return JSONResponse(await run_in_threadpool(self._read_status))
        except PeeweeException as error:
            return JSONResponse({"error": f"the database cannot be read: {trouble.in_words(error)}"}, 503)

    def _read_status(self) -> Status:
        storage = self._health.storage()
        with self._database.connection_context():
            status = read(self._database, self._settings, now=self._clock(), refused=self._refused())
        return {**status, "storage": storage}
