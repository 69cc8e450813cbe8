"""The frame of the REST API: routes, callers, scopes, errors and pages (facts, sections 4.1 and 4.2)."""

import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode

import msgspec

from tests.fakes.gitea import access
from tests.fakes.gitea.auth import Caller, Refused, authenticate
from tests.fakes.gitea.forge import Forge
from tests.fakes.gitea.state import Issue, Level, NotThere, Repo, User
from tests.fakes.gitea.wire import Json

Item = TypeVar("Item")
PREFIX = "/api/v1"
DEFAULT_PAGE, LARGEST_PAGE = 30, 50


class ApiError(Exception):
    """A refusal: its status, and the `message` of its body; a silent one has no body at all."""

    def __init__(self, status: int, message: str = "", *, silent: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.silent = silent


def missing() -> ApiError:
    return ApiError(404, "The target couldn't be found.")


@dataclass
class Request:
    """What came over the wire; `path` has no query, `query` holds the first value of each name."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    raw: bytes = b""


@dataclass
class Answer:
    """What goes back: `body` is JSON, unless it is bytes; None is no body at all. Of one that is `cut` half arrives."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    empty: bool = False
    cut: bool = False


NO_CONTENT = Answer(204, empty=True)


@dataclass
class Call:
    """One call of a route by somebody."""

    forge: Forge
    request: Request
    args: dict[str, str]
    caller: Caller
    body: Json = field(default_factory=dict)

    @property
    def user(self) -> User:
        """Who calls; 401 for nobody."""
        if self.caller.user is None:
            raise ApiError(401, "token is required")
        return self.caller.user

    @property
    def repo(self) -> Repo:
        """The repository of the path; 404 when the caller may not see it."""
        found = self.forge.state.repos.get(f"{self.args['owner']}/{self.args['repo']}".lower())
        if found is None or not self.sees(found):
            raise missing()
        return found

    def sees(self, repo: Repo) -> bool:
        token = self.caller.token
        if repo.private and token and "public-only" in token.scopes:
            return False
        return access.may(repo, self.caller.user, "read")

    @property
    def issue(self) -> Issue:
        """The issue or pull request of the path, or 404."""
        issue = self.repo.issues.get(self.number("index"))
        if issue is None:
            raise missing()
        return issue

    @property
    def pull(self) -> Issue:
        """The pull request of the path, or 404."""
        if self.issue.pull is None:
            raise missing()
        return self.issue

    def number(self, name: str) -> int:
        if not self.args[name].isdigit():
            raise missing()
        return int(self.args[name])

    def may(self, wanted: Level) -> bool:
        return access.may(self.repo, self.caller.user, wanted)

    def writing(self, wanted: Level = "read", message: str = "write permission is required") -> User:
        """The caller, who is somebody, in a repository that takes changes, with these rights; 401, 423, 403."""
        user, repo = self.user, self.repo
        if repo.archived:
            raise ApiError(423, f"{repo.full_name} is archived")
        if not self.may(wanted):
            raise ApiError(403, message)
        return user

    def get(self, name: str, kind: type[Item], default: Item) -> Item:
        """A field of the body, 422 when it is of another type."""
        value = self.body.get(name)
        if value is None:
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ApiError(422, f"[{name}]: expected {kind.__name__}, got {value!r}")
        return value

    def text(self, name: str) -> str:
        """A text of the body that must be there and not empty; 422."""
        if not (value := self.get(name, str, "").strip()):
            raise ApiError(422, f"[{name.capitalize()}]: Required")
        return value if name != "body" else self.get(name, str, "")

    def page(self, items: Sequence[Item], *, link: bool = True) -> tuple[Sequence[Item], dict[str, str]]:
        """The page of a list that the caller asks for, and the headers that go with it."""
        limit = min(_number(self.request.query.get("limit"), DEFAULT_PAGE), LARGEST_PAGE)
        page = _number(self.request.query.get("page"), 1)
        headers = {"X-Total-Count": str(len(items)), "Access-Control-Expose-Headers": "X-Total-Count"}
        last = max(1, -(-len(items) // limit))
        if link and last > 1:
            headers["Link"] = self._links(page, last, limit)
            headers["Access-Control-Expose-Headers"] = "Link, X-Total-Count"
        return items[(page - 1) * limit : page * limit], headers

    def _links(self, page: int, last: int, limit: int) -> str:
        pages = {"next": page + 1, "last": last} if page < last else {}
        pages |= {"first": 1, "prev": page - 1} if page > 1 else {}
        url = f"{self.forge.state.url}{self.request.path}"

        def at(number: int) -> str:
            query = self.request.query | {"page": str(number), "limit": str(limit)}
            return f"{url}?{urlencode(sorted(query.items()))}"

        return ",".join(f'<{at(number)}>; rel="{name}"' for name, number in pages.items())

    def paged(self, items: Sequence[Item], shape: Callable[[Item], Json], *, link: bool = True) -> Answer:
        """One page of a list as an answer."""
        kept, headers = self.page(items, link=link)
        return Answer(200, [shape(item) for item in kept], headers)


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and int(text) else default


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """One route. `body` and `query` name every field that the fake understands, in lower case."""

    method: str
    path: str
    handle: Handler
    scope: str = ""
    body: str = ""
    query: str = ""
    since: int = 0
    forgejo: bool = True
    multipart: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        """`{name}` is one segment of the path, `{name:regex}` whatever the expression matches."""
        pieces = re.split(r"\{(\w+)(?::([^}]*))?\}", self.path)
        out = [re.escape(pieces[0])]
        for name, expression, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            out += [f"(?P<{name}>{expression or '[^/]+'})", re.escape(text)]
        return re.compile("".join(out))


class Api:
    """Answers what comes in under /api/v1."""

    def __init__(self, forge: Forge, routes: Iterable[Route]) -> None:
        self.forge = forge
        self._routes = [(route, route.pattern) for route in routes]

    def answer(self, request: Request) -> tuple[Answer, User | None]:
        """The answer, and who asked."""
        caller = Caller()
        try:
            caller = authenticate(self.forge.state, request.headers, request.query)
            answer = self._serve(request, caller)
        except ApiError as refusal:
            answer = self.error(refusal.status, refusal.message)
            answer.empty = refusal.silent
        except Refused as refusal:
            answer = self.error(refusal.status, str(refusal))
        except NotThere as problem:
            answer = self.error(404, str(problem))
        except Exception:  # noqa: BLE001 - a bug of the fake must reach the test, not end a thread
            self.forge.surprise(f"{request.method} {request.path} broke the fake:\n{traceback.format_exc()}")
            answer = self.error(500, "")
        return answer, caller.user

    def error(self, status: int, message: str) -> Answer:
        return Answer(status, {"message": message, "url": f"{self.forge.state.url}/api/swagger"})

    def _serve(self, request: Request, caller: Caller) -> Answer:
        path = request.path.removeprefix(PREFIX)
        if moved := self._moved(path):
            query = f"?{urlencode(request.query)}" if request.query else ""
            return Answer(301, headers={"Location": f"{PREFIX}{moved}{query}"}, empty=True)
        for route, pattern in self._routes:
            if route.method == request.method and (found := pattern.fullmatch(path)):
                args = {name: unquote(value) for name, value in found.groupdict().items()}
                return self._call(route, Call(self.forge, request, args, caller))
        self.forge.surprise(f"unknown route {request.method} {request.path}")
        raise missing()

    def _moved(self, path: str) -> str | None:
        """Where a repository's old name leads now (301 to whatever was asked, seen on 1.26.3)."""
        found = re.match(r"/repos/([^/]+/[^/]+)(.*)", path)
        name = found[1].lower() if found else ""
        if found is None or name in self.forge.state.repos or name not in self.forge.state.redirects:
            return None
        return f"/repos/{self.forge.state.redirects[name].full_name}{found[2]}"

    def _call(self, route: Route, call: Call) -> Answer:
        dialect = self.forge.dialect
        if not (route.forgejo if dialect.forgejo else dialect.gitea(route.since)):
            raise missing()
        self._check_scope(route, call)
        self._check_query(route, call.request)
        if not route.multipart:
            call.body = self._read_body(route, call.request)
        with self.forge.state.lock:
            return route.handle(call)

    def _check_scope(self, route: Route, call: Call) -> None:
        token, write = call.caller.token, call.request.method not in {"GET", "HEAD"}
        if token and route.scope and not access.scope_allows(token, route.scope, write=write):
            wanted = f"{'write' if write else 'read'}:{route.scope}"
            said = "token does not have at least one of required scope(s)"
            raise ApiError(403, f"{said}, required=[{wanted}], token scope={','.join(token.scopes)}")

    def _check_query(self, route: Route, request: Request) -> None:
        known = {*route.query.split(), "page", "limit", "sudo"}
        for name in request.query.keys() - known:
            self.forge.surprise(f"unknown query {name!r} in {request.method} {request.path}")

    def _read_body(self, route: Route, request: Request) -> Json:
        if not request.raw:
            return {}
        try:
            body = msgspec.json.decode(request.raw)
        except msgspec.DecodeError as problem:
            raise ApiError(422, f"[]: {problem}") from problem
        if not isinstance(body, dict):
            raise ApiError(422, "[]: expected an object")
        # Go matches field names without regard to case.
        fields = {name.lower(): value for name, value in body.items()}
        for name in fields.keys() - set(route.body.split()):
            self.forge.surprise(f"unknown field {name!r} in {request.method} {request.path}")
        return fields
