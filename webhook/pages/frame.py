"""The frame of every page: templates, headers that keep foreign things out, the menu.

A page of another part of the admin side adds its template here beside the others, its address to `MENU`, and calls
`Frame.page`. Templates say `{% extends "base.html" %}`; what stands in an element with `data-live` and an id is
replaced when something changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from webhook.pages import words
from webhook.viewing import Viewer

_HERE = Path(__file__).parent
TEMPLATES, STATIC = _HERE / "templates", _HERE / "static"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Content-Security-Policy: nothing inline, nothing of another host, no frame around us."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""What goes with each page. Nothing of them is kept by anybody on the way."""


class Entry(NamedTuple):
    """One entry of the menu. `all_only`: only who sees all repositories has it."""

    name: str
    address: str
    title: str
    all_only: bool = False


MENU = (
    Entry("status", "/admin", "Status"),
    Entry("jobs", "/admin/jobs", "Jobs"),
    Entry("charts", "/admin/charts", "Charts"),
    Entry("deliveries", "/admin/deliveries", "Deliveries"),
    Entry("repositories", "/admin/repos", "Repositories"),
    Entry("notices", "/admin/notices", "Notices", all_only=True),
    Entry("doctor", "/admin/doctor", "Doctor", all_only=True),
)


class Frame:
    """Renders pages. `servers` are the names of those that are set up: where there are several, the pages name them."""

    def __init__(self, servers: Collection[str] = ()) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        names = ("moment", "since", "lasting", "amount", "money", "size", "badge", "linked")
        self._environment.filters.update({name: getattr(words, name) for name in names})
        self._environment.globals["stamp"] = _stamp()
        self._environment.globals["servers"] = tuple(servers) if len(servers) > 1 else ()

    def page(self, template: str, viewer: Viewer | None, *, status: int = 200, **values: Any) -> HTMLResponse:
        """The page of a template. `values` must hold all that it names, beside `viewer` and `menu`."""
        return HTMLResponse(self.text(template, viewer=viewer, menu=_menu(viewer), **values), status, headers=HEADERS)

    def text(self, template: str, **values: Any) -> str:
        """A template's text: a part of a page."""
        return self._environment.get_template(template).render(**values)


def _menu(viewer: Viewer | None) -> list[Entry]:
    return [entry for entry in MENU if viewer is not None and (viewer.sees_all or not entry.all_only)]


def _stamp() -> str:
    """Grows into the addresses of style and script, so that browsers may keep them until they change."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


class _Kept(StaticFiles):
    """Files that a browser may keep: their address changes when they do."""

    def file_response(self, *args: Any, **kwargs: Any) -> Any:
        answer = super().file_response(*args, **kwargs)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer


def static_route() -> BaseRoute:
    """GET /admin/static/…: style and script, for anybody; nothing in them is secret."""
    return Mount("/admin/static", _Kept(directory=STATIC), name="static")
