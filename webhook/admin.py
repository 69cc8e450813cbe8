"""Who may see the admin side without signing in: who has its token, or comes from this machine."""

import hmac
import logging
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from webhook import peers

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
"""What proxies add: a request with one of these comes from somewhere else, whoever brought it."""

_BEARER = "bearer "


ONLY_HERE = "only this machine itself is served here while KUGETSU_ADMIN_TOKEN is not set"
NOT_AGENTS = (
    "agents are not served here, and you may be one of their programs; with KUGETSU_ADMIN_TOKEN set, its bearer is"
)
NOT_PROXIES = (
    "what comes through the account of a service on this machine, such as a proxy's, is not served here; with "
    "KUGETSU_ADMIN_TOKEN set, its bearer is"
)

_log = logging.getLogger(__name__)


def refusal(request: Request, token: SecretStr | None) -> Response | None:
    """The answer for who may not see the admin side, or None for who may.

    With a token in the settings it must be sent. Without one only this machine is served, and only under a name
    of this machine: a web page elsewhere can have a browser here call us, by a name of its own that it points at us.
    Nor are agents served, which are on this machine, too, nor other services, which may be proxies that do not say so.
    Blocks for some milliseconds.
    """
    if token is not None:
        return None if _has_token(request, token.get_secret_value()) else _unauthorised()
    said = why_not_from_here(request)
    return JSONResponse({"error": said}, 403) if said else None


def why_not_from_here(request: Request) -> str:
    """Why this counts as no request of a person at this very machine, in a sentence; "" where it does. Blocks."""
    if not _is_local(request):
        return ONLY_HERE
    if peers.may_be_an_agent(request.scope["client"], request.scope["server"]):
        _log.warning("%s %s was refused to what may be an agent", request.method, request.url.path)
        return NOT_AGENTS
    if peers.may_be_a_proxy(request.scope["client"], request.scope["server"]):
        return NOT_PROXIES
    return ""


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
