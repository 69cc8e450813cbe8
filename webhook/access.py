"""Who comes to the admin side: by the admin token, signed in, or from this machine."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request

from models.settings import Settings
from webhook.admin import refusal
from webhook.seals import Seals
from webhook.viewing import Viewer

ADMIN = "admin"
"""Who asked, where an administrator did; no account of a Gitea is meant."""

OWN_SITES = ("same-origin", "none")
"""What a browser says in Sec-Fetch-Site of a request that no other site has made."""

CSRF = "csrf"
"""The field of a form, and `X-CSRF-Token` the header, that show that one of our own pages has made a request."""


class Denied(Exception):
    """May not do this. `status` is the HTTP answer, the message a sentence, `sign_in` whether signing in would help."""

    def __init__(self, status: int, sentence: str, *, sign_in: bool = False) -> None:
        super().__init__(sentence)
        self.status = status
        self.sign_in = sign_in


@dataclass(frozen=True, slots=True)
class Access:
    """Tells who a request comes from, and whether a change was really asked for by them."""

    settings: Settings
    seals: Seals

    def viewer(self, request: Request) -> Viewer:
        """Who looks. Raises Denied."""
        refused = refusal(request, self.settings.admin_token)
        if refused is not None and refused.status_code == 401:  # noqa: PLR2004 - HTTP
            raise Denied(401, "the admin token is missing or wrong", sign_in=True)
        if refused is not None:
            raise Denied(403, str(json.loads(bytes(refused.body))["error"]))
        if self.settings.admin_token is not None:
            return Viewer(ADMIN, sees_all=True)
        return Viewer(ADMIN, sees_all=True, csrf=self.seals.mark(CSRF, "this machine"))

    def check_change(self, request: Request, viewer: Viewer, given: str, *, form: bool) -> None:
        """Raise Denied for a change that a page of another site may have made the viewer's browser send. `given` is the
        word that our own pages send along; `form`: the body is one that any page's form could send.
        """
        if not viewer.csrf:
            return
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
        own = origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
        if not own or site not in OWN_SITES:
            raise Denied(403, "a page of another site may not steer this service")
        if (form or viewer.signed_in) and not same(given, viewer.csrf):
            raise Denied(403, "this form is no longer good: open the page again and repeat what you did")


def same(given: str, right: str) -> bool:
    """Whether two words are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(given.encode(), right.encode())
