"""The one hole through which requests leave for Gitea.

Nothing is tried again here: a passing failure is an exception (GiteaDown), and whoever holds the job decides
when to come back.
"""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from jobs.gitea_answers import Answer, AnswerTooLong, GiteaDown, failure_of
from jobs.punctual import PunctualTransport, within

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
SMALLER_PAGES = (10, 1)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be attached to something."""

    name: str
    data: bytes


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
        failure = failure_of(answer)
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
        would be missed: such a list is GiteaDown, to be read anew. A page that is too long, because somebody has
        written so much, is read in smaller ones.
        """
        seen = total = 0
        page, limit = 1, PAGE_SIZE
        for _ in range(PAGES):
            try:
                answer = self.request("GET", path, query={**query, "page": page, "limit": limit})
            except AnswerTooLong:
                smaller = next((size for size in SMALLER_PAGES if size < limit and seen % size == 0), None)
                if smaller is None:
                    raise
                page, limit = seen // smaller + 1, smaller
                continue
            page += 1
            before, total = total, answer.total or total
            if total < before:
                raise GiteaDown(f"GET {path} grew shorter while it was read")
            items = answer.read_list(kind)
            yield from (item for item in items if item is not None)
            seen += len(items)
            if not items or answer.is_last(seen):
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
            raise AnswerTooLong(f"the answer is longer than {ANSWER_BYTES} bytes", response.status_code)
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
