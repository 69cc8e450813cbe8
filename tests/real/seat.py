"""One person in front of a real Gitea: at its API with a password, and at its pages with a session."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.fakes.gitea import NotThere

TIMEOUT_SECONDS = 30.0
PAGE_SIZE = 50


class Refused(Exception):
    """Gitea did not do it, and not for want of rights: `status` and its words."""

    def __init__(self, asked: str, status: int, text: str) -> None:
        super().__init__(f"{asked} answered {status}: {text[:500]}")
        self.status = status


class Seat:
    """What one login does. Whoever may not do a thing gets PermissionError; what is not there is NotThere."""

    def __init__(self, url: str, login: str) -> None:
        self.login = login
        self.password = f"password-of-{login}"
        self.email = f"{login}@example.invalid"
        self._url = url
        shared: dict[str, Any] = {"timeout": TIMEOUT_SECONDS, "trust_env": False}
        self._api = httpx.Client(base_url=f"{url}/api/v1", auth=(login, self.password), **shared)
        self._pages = httpx.Client(base_url=url, **shared)
        self._is_logged_in = False

    def close(self) -> None:
        self._api.close()
        self._pages.close()

    def lose_session(self) -> None:
        """The server has been started anew, and knows nobody who had logged in."""
        self._pages.cookies.clear()
        self._is_logged_in = False

    @property
    def git_url(self) -> str:
        """The server's address with this person's password in it, for git."""
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{self.login}:{self.password}@{parts.netloc}"

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str | int) -> Any:
        """Asks the API; gives the JSON of the answer, None where there is none."""
        answer = self._api.request(method, path, json=body, params=query or None)
        _raise_for(answer, f"{method} {path} by {self.login}")
        return answer.json() if answer.content else None

    def every(self, path: str, **query: str | int) -> Iterator[Any]:
        """All items of a list that comes in pages."""
        page = 1
        while items := self.api("GET", path, None, page=page, limit=PAGE_SIZE, **query):
            yield from items
            page += 1

    def submit(self, path: str, /, **form: str) -> httpx.Response:
        """Sends a form of the web pages, after logging in where need be; redirects are not followed."""
        self._log_in()
        return self._post(path, form)

    def consent(self, address: str) -> str:
        """Says yes on the page where an OAuth2 application asks to be let in; gives where the browser is then sent."""
        self._log_in()
        page = self._pages.get(address)
        if page.is_redirect:
            return page.headers["location"]  # they have said so before
        asked = dict(parse_qsl(urlsplit(address).query))
        form = {name: asked[name] for name in ("client_id", "state", "scope", "redirect_uri")}
        return self._post("/login/oauth/grant", {**form, "nonce": "", "granted": "true"}).headers["location"]

    def _log_in(self) -> None:
        if not self._is_logged_in:
            who = {"user_name": self.login, "password": self.password}
            self._is_logged_in = self._post("/user/login", who).status_code == HTTPStatus.SEE_OTHER
            assert self._is_logged_in, f"{self.login} could not log in"

    def _post(self, path: str, form: Mapping[str, str]) -> httpx.Response:
        answer = self._pages.post(path, data=form)
        _raise_for(answer, f"POST {path} by {self.login}")
        return answer


def _raise_for(answer: httpx.Response, asked: str) -> None:
    if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise PermissionError(f"{asked}: {answer.text[:500]}")
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise NotThere(f"{asked}: {answer.text[:500]}")
    if answer.is_error:
        raise Refused(asked, answer.status_code, answer.text)
