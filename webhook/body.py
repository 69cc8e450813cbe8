"""The body of a delivery: read within limits, and the JSON text taken out of it."""

import asyncio
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect, Request

LIMIT = 8 * 1024 * 1024
"""Bytes. Gitea sets none; 10 to 60 kB are usual, a long issue text comes several times in one payload."""

PATIENCE = 10.0
"""Seconds a body may take to arrive. Gitea itself gives up after five."""

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


class BodyRefused(Exception):
    """The body cannot be used. `status` is the HTTP answer, the message a sentence for it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def check(headers: Mapping[str, str], *, limit: int = LIMIT) -> None:
    """Refuse what needs no reading to be refused. Raises BodyRefused (413, 415)."""
    if _announced(headers) > limit:
        raise _too_large(limit)
    _kind(headers)


async def read(request: Request, *, limit: int = LIMIT, patience: float = PATIENCE) -> bytes:
    """The body, of at most `limit` bytes: no more is kept in memory. Raises BodyRefused (413, 400)."""
    if _announced(request.headers) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(patience):
            return await _gather(request, limit)
    except TimeoutError:
        raise BodyRefused(400, f"the body did not arrive within {patience:g} seconds") from None
    except ClientDisconnect:
        raise BodyRefused(400, "the connection was closed before the whole body had arrived") from None


async def _gather(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > limit:
            raise _too_large(limit)
        body += chunk
    return bytes(body)


def _announced(headers: Mapping[str, str]) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() and len(length) < len(str(2**63)) else 0


def _too_large(limit: int) -> BodyRefused:
    return BodyRefused(413, f"the body is over {limit // 1024 // 1024} MiB")


def text_of(headers: Mapping[str, str], body: bytes) -> bytes:
    """The JSON text of the payload, which is what Gitea signed. Raises BodyRefused (415, 400)."""
    return body if _kind(headers) == _JSON else _payload_field(body)


def _kind(headers: Mapping[str, str]) -> str:
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise BodyRefused(415, "the body is compressed; a webhook of Gitea never is")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_JSON, _FORM):
        raise BodyRefused(415, f"the content type must be {_JSON} or {_FORM}")
    return kind


def _payload_field(form: bytes) -> bytes:
    """The signature is over the exact bytes, and form parsers hand out text, mended where it was broken."""
    fields = (field.partition(b"=") for field in form.split(b"&"))
    values = [value for name, _, value in fields if name == b"payload"]
    if len(values) != 1:
        raise BodyRefused(400, "the form must have one field called payload")
    return unquote_to_bytes(values[0].replace(b"+", b" "))
