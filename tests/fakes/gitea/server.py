"""The fake Gitea as a whole: `with FakeGitea(folder) as gitea: …`."""

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.fakes.gitea import (
    api_code,
    api_comments,
    api_hooks,
    api_issues,
    api_labels,
    api_pulls,
    api_repos,
    api_reviews,
)
from tests.fakes.gitea.api import PREFIX, Answer, Api, Request, Route
from tests.fakes.gitea.dialect import VERSIONS, Dialect, Flavour
from tests.fakes.gitea.faults import Fault, Faults, When
from tests.fakes.gitea.forge import Forge
from tests.fakes.gitea.githttp import GitHttp
from tests.fakes.gitea.looks import Looks
from tests.fakes.gitea.oauth import OAuth
from tests.fakes.gitea.pages import Pages
from tests.fakes.gitea.people import PersonVerbs
from tests.fakes.gitea.record import Exchange, Record
from tests.fakes.gitea.state import State, User
from tests.fakes.gitea.webhooks import Delivery, Webhooks
from tests.fakes.gitea.wire_issues import IssueShapes
from tests.fakes.gitea.wirehttp import Listener

# Gives the problems it finds in an exchange with the API; each becomes an entry of `unexpected`.
OnExchange = Callable[[Exchange], Iterable[str]]
ROUTES: Sequence[Route] = (
    *api_repos.ROUTES,
    *api_comments.ROUTES,
    *api_labels.ROUTES,
    *api_issues.ROUTES,
    *api_hooks.ROUTES,
    *api_code.ROUTES,
    *api_reviews.ROUTES,
    *api_pulls.ROUTES,
    *api_pulls.LAST,
)


class FakeGitea(PersonVerbs, Looks, Record, Faults):
    """A Gitea on 127.0.0.1, with its repositories under `root`.

    `flavour` and `version` choose a dialect; `workers` send the webhooks (one keeps their order, more do not);
    `allowed_hosts="external"` refuses hooks to private addresses, as a real one does by default.
    """

    def __init__(
        self,
        root: Path,
        *,
        flavour: Flavour = "gitea",
        version: str | None = None,
        port: int = 0,
        workers: int = 1,
        allowed_hosts: str = "*",
        on_exchange: OnExchange | None = None,
        clock: Callable[[], datetime] | None = None,
        demo_person: str = "",
    ) -> None:
        Record.__init__(self)
        Faults.__init__(self)
        state, dialect = State(clock), Dialect(flavour, version or VERSIONS[flavour])
        hooks = Webhooks(state, dialect, workers=workers, allowed_hosts=allowed_hosts)
        self.forge = Forge(state, dialect, IssueShapes(state, dialect), hooks, root)
        self._on_exchange = on_exchange
        self._api = Api(self.forge, ROUTES)
        self._git = GitHttp(self.forge)
        self._pages = Pages(self, demo_person)
        self.oauth = OAuth(state)
        self._port = port
        self._listener: Listener | None = None
        self._closed: list[Listener] = []

    @property
    def url(self) -> str:
        return self.forge.state.url

    @property
    def unexpected(self) -> list[str]:
        """Unknown routes and fields, and whatever broke the fake: empty at the end of a good test."""
        return self.forge.unexpected

    @property
    def deliveries(self) -> list[Delivery]:
        """Every webhook so far, oldest first."""
        return self.forge.webhooks.deliveries

    def __enter__(self) -> Self:
        self.up()
        self.forge.webhooks.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends everything that was started, for good."""
        self.no_more_faults()
        self.down()
        for listener in self._closed:
            listener.join()
        self.forge.webhooks.stop()

    @property
    def pid(self) -> int | None:
        """It is no process of its own."""
        return None

    def up(self) -> None:
        """Answers (again), always on the same port."""
        if self._listener is None:
            self._listener = Listener(self._serve, self._port)
            self._port = self._listener.port
            self.forge.state.url = f"http://127.0.0.1:{self._port}"

    def down(self) -> None:
        """Refuses connections and breaks those there are, until `up`. The webhooks go on."""
        listener, self._listener = self._listener, None
        if listener:
            listener.close()
            self._closed.append(listener)

    def hold_webhooks(self) -> None:
        """From now on webhooks wait, until `release_webhooks`."""
        self.forge.webhooks.hold()

    def release_webhooks(self, order: Callable[[list[Delivery]], Iterable[Delivery]] = list) -> None:
        """Sends what was held, in the order given: `reversed`, say."""
        self.forge.webhooks.let_go(order)

    @contextmanager
    def webhooks_lost(self) -> Iterator[None]:
        """Within this, webhooks are lost, as by a Gitea that is killed between an event and its delivery."""
        self.forge.webhooks.losing = True
        try:
            yield
        finally:
            self.forge.webhooks.losing = False

    def _serve(self, request: Request) -> Answer | None:
        exchange = Exchange(request.method, request.path, request.query, _parsed(request), self.forge.dialect)
        exchange.content_type = request.headers.get("content-type", "")
        with self.forge.state.lock:
            self.requests.append(exchange)
            self.forge.state.touch()
        faults = self._faults_for(exchange)
        answer = self._trouble(faults, "before")
        if answer is None and not _drops(faults, "before"):
            answer, user = self._route(request)
            exchange.user = user.login if user else ""
            exchange.status, exchange.answer = answer.status, None if answer.empty else answer.body
            self._check(exchange)
            self.forge.state.touch()
            answer = self._trouble(faults, "after") or answer
            answer = replace(answer, cut=any(fault.kind == "cut" for fault in faults))
        dropped = answer is None or _drops(faults, "after")
        with self.forge.state.lock:
            exchange.status = 0 if dropped or answer is None else answer.status
            exchange.done = True
            exchange.seconds = time.monotonic() - exchange.began
            self.forge.state.touch()
        return None if dropped else answer

    def _trouble(self, faults: Sequence[Fault], when: When) -> Answer | None:
        """Goes through the faults of one moment; the answer of the one that refuses."""
        answer = None
        for fault in faults:
            if fault.when == when:
                fault.stop_here()
                if fault.kind == "fail":
                    message = fault.message or f"told to answer {fault.status}"
                    answer = self._api.error(fault.status, message)
                    answer.headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        return answer

    def _route(self, request: Request) -> tuple[Answer, User | None]:
        try:
            answer, user = self._find(request)
            return replace(answer, headers=answer.headers | {"Date": self._date()}), user
        except Exception:  # noqa: BLE001 - a bug of the fake must reach the test, not end a thread
            self.forge.surprise(f"{request.method} {request.path} broke the fake:\n{traceback.format_exc()}")
            return self._api.error(500, ""), None

    def _date(self) -> str:
        return format_datetime(self.forge.state.clock().astimezone(UTC), usegmt=True)

    def _find(self, request: Request) -> tuple[Answer, User | None]:
        if request.path.startswith(f"{PREFIX}/"):
            return self._api.answer(request)
        if found := self._git.answer(request):
            return found
        if page := self.oauth.answer(request):
            return page, None
        if page := self._pages.answer(request):
            return page, None
        if request.path != "/favicon.ico":
            self.forge.surprise(f"unknown page {request.method} {request.path}")
        return Answer(404, b"Not found.\n", {"Content-Type": "text/plain; charset=utf-8"}), None

    def _check(self, exchange: Exchange) -> None:
        if self._on_exchange and exchange.path.startswith(f"{PREFIX}/"):
            for problem in self._on_exchange(exchange):
                self.forge.surprise(problem)


def _drops(faults: Sequence[Fault], when: When) -> bool:
    return any((fault.kind == "drop" or fault.abandoned) and fault.when == when for fault in faults)


def _parsed(request: Request) -> object:
    """A body as JSON where it is, else the bytes; None when there is none."""
    if not request.raw:
        return None
    try:
        return msgspec.json.decode(request.raw)
    except msgspec.DecodeError:
        return request.raw
