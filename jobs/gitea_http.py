"""The one hole through which requests leave for Gitea, and the four ways in which one can fail.

Nothing is tried again here: a passing failure is an exception (GiteaDown), and whoever holds the job decides
when to come back.
"""

import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from types import GenericAlias
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from jobs.punctual import PunctualTransport, within
from jobs.retry_after import wait_asked_for
from models.wire import ApiError

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
# A server that sends a byte now and then never runs into the read timeout: this bounds the whole exchange.
EXCHANGE_SECONDS = 90.0
FORM = "application/x-www-form-urlencoded"
ANSWER_BYTES = 16 * 1024 * 1024
REDIRECTS = 3
# The most that Gitea gives by default ([api] MAX_RESPONSE_ITEMS); a server set lower clamps it silently.
PAGE_SIZE = 50
# 500 pages of 50: beyond it the server ignores `page` and repeats itself.
PAGES = 500

_SCOPES = re.compile(r"required scope\(s\)[:,]\s*(?:required=)?\[([^\]]*)\]")


class GiteaError(Exception):
    """A request to Gitea did not succeed. The text is one sentence without secrets."""


class GiteaDown(GiteaError):
    """Passing: no connection, a timeout, 5xx, 429, or an answer that is not Gitea's. Try again later.

    `status` is the HTTP status when there was an answer, `wait` how many seconds it asked to be left alone.
    """

    def __init__(self, reason: str, status: int | None = None, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.wait = wait


class GiteaRefused(GiteaError):
    """401 or 403: the token is wrong or lacks a right. `missing_scope` is the scope, where Gitea names one."""

    def __init__(self, status: int, message: str, missing_scope: str | None) -> None:
        need = f" (the token lacks the scope {missing_scope})" if missing_scope else ""
        super().__init__(f"Gitea refused ({status}): {message}{need}")
        self.status = status
        self.message = message
        self.missing_scope = missing_scope

    @property
    def is_of_the_token(self) -> bool:
        """Whether the token itself is wrong, which only whoever runs the service can mend: work waits for that."""
        return self.status == HTTPStatus.UNAUTHORIZED or self.missing_scope is not None


class GiteaMissing(GiteaError):
    """404: not there, or not visible to the bot; Gitea makes no difference."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Gitea has no {what}, or the bot may not see it")
        self.what = what


class GiteaRejected(GiteaError):
    """Another 4xx: the request is understood and will never succeed as it is."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Gitea rejected the request ({status}): {message}")
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be attached to something."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer. `asked` is "GET /repos/…" for error texts; header names are compared without case."""

    asked: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def read(self, kind: type[T]) -> T:
        """The body as `kind`. Raises GiteaDown when it is not that: a proxy's page, or half an answer."""
        value: T = self._decode(kind)
        return value

    def read_list(self, kind: type[T]) -> list[T | None]:
        """The body as a list. Gitea writes null for an empty one, and for an item that it could not load."""
        items: list[T | None] | None = self._decode(GenericAlias(list, (kind | None,)) | None)
        return items or []

    def _decode(self, shape: Any) -> Any:
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise GiteaDown(f"unreadable answer to {self.asked}: {error}", self.status) from error


class GiteaHttp:
    """A connection to one server's API. Safe to use from several threads; close it or use it in a `with`.

    `base_url` is the web address (a path below the host is allowed); `token` may be empty for reading public
    things; `timeout` is how many seconds to wait for the next byte. Proxies and certificates named by our own
    environment are not used; certificates are checked against the system's store, as git does.
    """

    def __init__(self, base_url: str, token: str, *, timeout: float = READ_SECONDS) -> None:
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ValueError("the Gitea token has characters that no token has")
        headers = {"Accept": "application/json", "User-Agent": "kugetsu"}
        if token:
            headers["Authorization"] = f"token {token}"
        self.web = base_url.rstrip("/")
        self._client = httpx.Client(
            base_url=f"{self.web}/api/v1",
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)),
            trust_env=False,
            transport=PunctualTransport(ssl.create_default_context()),
        )
        self._quiet_until = 0.0
        self._writing = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        upload: Upload | None = None,
    ) -> Answer:
        """Send one request and give the 2xx answer, or raise one of the four errors. `path` is one below /api/v1, where
        nothing but JSON or a 204 is Gitea's answer, or a whole address of this server.
        """
        asked = f"{method} {path}"
        self._keep_quiet(asked)
        if method != "GET" and not getattr(self._writing, "may", _always)():
            raise GiteaDown(f"{asked} is left to who has taken over meanwhile")
        files = {"attachment": (upload.name, upload.data, "application/octet-stream")} if upload else None
        request = self._client.build_request(method, path, params=query, json=body, files=files)
        try:
            answer = self.exchange(asked, request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GiteaDown(f"{asked}: {str(error) or type(error).__name__}") from error
        log.debug("%s -> %d", asked, answer.status)
        if httpx.codes.is_success(answer.status):
            if path.startswith("/") and answer.status != HTTPStatus.NO_CONTENT:
                answer.read(msgspec.Raw)  # a write is not done because a proxy says 200
            return answer
        failure = _failure(answer)
        if isinstance(failure, GiteaDown) and failure.wait:
            self._quiet_until = time.monotonic() + failure.wait
        raise failure

    @contextmanager
    def writing_while(self, may: Callable[[], bool]) -> Iterator[None]:
        """Within this block nothing is written by this thread unless `may` says yes right before it: what was looked at
        before may be long ago, for a machine can be paused at any moment.
        """
        self._writing.may = may
        try:
            yield
        finally:
            self._writing.may = _always

    def _keep_quiet(self, asked: str) -> None:
        """Raise GiteaDown where the server, or what stands before it, asked to be left alone for a while."""
        wait = self._quiet_until - time.monotonic()
        if wait > 0:
            raise GiteaDown(f"{asked} waits: the server asked for {wait:.0f} s more without requests", wait=wait)

    def get(self, kind: type[T], path: str, **query: str | int) -> T:
        return self.request("GET", path, query=query or None).read(kind)

    def send(self, kind: type[T], method: str, path: str, body: Mapping[str, Any]) -> T:
        return self.request(method, path, body=body).read(kind)

    def pages(self, kind: type[T], path: str, **query: str | int) -> Iterator[T]:
        """Every item of a list that Gitea gives in pages.

        A page shorter than asked for is not the last one (the server's limit may be lower than ours): the
        end is where X-Total-Count or the Link header says so and, without both, at the first empty page. Where
        something is taken away from what was read, the rest moves up, and what comes to stand on a page that was read
        would be missed: such a list is GiteaDown, to be read anew.
        """
        seen = total = 0
        for page in range(1, PAGES + 1):
            answer = self.request("GET", path, query={**query, "page": page, "limit": PAGE_SIZE})
            before, total = total, _total(answer.headers) or total
            if total < before:
                raise GiteaDown(f"GET {path} grew shorter while it was read")
            items = answer.read_list(kind)
            yield from (item for item in items if item is not None)
            seen += len(items)
            if not items or _is_last(answer.headers, seen):
                return
        raise GiteaDown(f"GET {path} has no end: {PAGES} pages")

    def exchange(self, asked: str, request: httpx.Request) -> Answer:
        """Send a request, and follow redirects on the same server only: the token goes along. A renamed repository
        answers 301 (307 in other versions), which a browser would turn into a GET. Raises GiteaDown and httpx's errors.
        """
        with within(EXCHANGE_SECONDS):
            return self._follow(asked, request)

    def _follow(self, asked: str, request: httpx.Request) -> Answer:
        for _ in range(REDIRECTS + 1):
            response = self._client.send(request, stream=True)
            try:
                following = response.next_request
                if following is None:
                    return Answer(asked, response.status_code, response.headers, _read(response))
            finally:
                response.close()
            if _origin(following.url) != _origin(request.url):
                raise GiteaDown(f"{asked} is redirected to {_site(following.url)}: is the address of Gitea right?")
            request = following if following.method == request.method else _moved(request, following.url)
        raise GiteaDown(f"{asked} is redirected without end")


def _always() -> bool:
    return True


def post_form(base_url: str, path: str, form: str, *, timeout: float = READ_SECONDS) -> Answer:
    """Send a form to a page of the server outside its API, with no token, and give its answer, also one that is not
    2xx: by RFC 6749, section 5.2, a refusal is a 400 with JSON. Raises GiteaDown.
    """
    asked = f"POST {path}"
    headers = {"Accept": "application/json", "User-Agent": "kugetsu", "Content-Type": FORM}
    with GiteaHttp(base_url, "", timeout=timeout) as http:
        request = httpx.Request("POST", base_url.rstrip("/") + path, content=form, headers=headers)
        request.extensions["timeout"] = httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)).as_dict()
        try:
            return http.exchange(asked, request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GiteaDown(f"{asked}: {str(error) or type(error).__name__}") from error


def repo_path(repo: str) -> str:
    """The path of "owner/name". Raises ValueError for anything else, which could point elsewhere in the API."""
    owner, _, name = repo.partition("/")
    if not owner or not name or "/" in name or {owner, name} & {".", ".."}:
        raise ValueError(f"{repo!r} is not owner/name")
    return f"/repos/{quote(owner)}/{quote(name)}"


def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    for part in response.iter_bytes():
        body += part
        if len(body) > ANSWER_BYTES:
            raise GiteaDown(f"the answer is longer than {ANSWER_BYTES} bytes", response.status_code)
    return bytes(body)


def _moved(request: httpx.Request, url: httpx.URL) -> httpx.Request:
    """The same request at another address of the same server."""
    return httpx.Request(
        request.method, url, headers=request.headers, content=request.read(), extensions=request.extensions
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _site(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


def _total(headers: Mapping[str, str]) -> int | None:
    """How many items there are on all pages, where the server says so."""
    total = headers.get("X-Total-Count", "")
    return int(total) if total.isascii() and total.isdecimal() else None


def _is_last(headers: Mapping[str, str], seen: int) -> bool:
    total = _total(headers)
    if total is not None:
        return seen >= total
    link = headers.get("Link")
    return link is not None and 'rel="next"' not in link


def _failure(answer: Answer) -> GiteaError:
    """What a status outside 2xx means."""
    message = _message(answer.body)
    status = answer.status
    if status == HTTPStatus.TOO_MANY_REQUESTS or not httpx.codes.is_client_error(status):
        said = f"{answer.asked} answered {status} {message or ''}".rstrip()
        return GiteaDown(said, status, wait_asked_for(answer.headers))
    if message is None:
        # Gitea sends JSON or nothing. A page comes from a proxy, which may say 404 while Gitea restarts.
        return GiteaDown(f"{answer.asked} answered {status} with a page that is not Gitea's", status)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        scope = _SCOPES.search(message)
        return GiteaRefused(status, message or "no reason given", scope.group(1) if scope else None)
    if status == HTTPStatus.NOT_FOUND:
        return GiteaMissing(answer.asked.partition(" ")[2])
    return GiteaRejected(status, message or "no reason given")


def _message(body: bytes) -> str | None:
    """Gitea's own words for an error; "" when the body is empty or null, None when it is not Gitea's JSON."""
    if not body.strip():
        return ""
    try:
        said = msgspec.json.decode(body, type=ApiError | None)
        return said.message if said else ""
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
