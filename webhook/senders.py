"""Who sent a request, where it came through proxies."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from starlette.requests import Request

_MOST_HOPS: Final = 20


def sender_of(request: Request, trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """The last address named that is no proxy of ours, "" where nothing is known. Proxies add to X-Forwarded-For at its
    end, some in a line of their own; what stands before the word of a proxy in `trusted` is anybody's invention.
    """
    words = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    named = [word.strip() for word in words if word.strip()][-_MOST_HOPS:]
    hops = [request.client.host if request.client else "", *reversed(named)]
    return next((hop for hop in hops if not _is_among(hop, trusted)), hops[-1])


def _is_among(host: str, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in trusted)
