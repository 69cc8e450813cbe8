"""Whether an answer should be a page or JSON: who asks says so in its Accept header."""

from __future__ import annotations

from starlette.requests import Request

PAGE, JSON, STREAM = "text/html", "application/json", "text/event-stream"


def wants_page(request: Request) -> bool:
    """Whether a page is wanted rather than JSON. A program that does not say gets JSON."""
    wanted = _wanted(request.headers.get("accept", ""))
    return wanted.get(PAGE, 0.0) > max(wanted.get(JSON, 0.0), 0.0)


def wants_stream(request: Request) -> bool:
    """Whether a stream of events is wanted."""
    return _wanted(request.headers.get("accept", "")).get(STREAM, 0.0) > 0


def _wanted(accept: str) -> dict[str, float]:
    """Each media type with its weight, 0 to 1 (RFC 9110, section 12.5.1); what cannot be read counts nothing."""
    return dict(_weighted(part) for part in accept.split(",") if part.strip())


def _weighted(part: str) -> tuple[str, float]:
    kind, *parameters = (text.strip() for text in part.split(";"))
    weight = next((text[2:] for text in parameters if text.lower().startswith("q=")), "1")
    try:
        return kind.lower(), float(weight)
    except ValueError:
        return kind.lower(), 0.0
