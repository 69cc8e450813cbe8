"""Holds the fake Gitea itself against the official API descriptions and against answers of a real one."""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.openapi import Checker, every, load_checkers
from tests.fakes.gitea import FakeGitea, Remark
from tests.fakes.gitea.api import PREFIX, Route
from tests.fakes.gitea.dialect import VERSIONS, Dialect, Flavour
from tests.fakes.gitea.server import ROUTES

REPO = "acme/widgets"
R = f"/repos/{REPO}"
ADMIN_SCOPES = ("write:issue", "write:repository", "read:user", "write:organization", "write:admin")
DIALECTS: Sequence[tuple[Flavour, str]] = (
    ("gitea", "1.22.6"),
    ("gitea", "1.24.7"),
    ("gitea", VERSIONS["gitea"]),
    ("forgejo", VERSIONS["forgejo"]),
)
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "gitea" / "recorded-api"


class Driver:
    """Calls the API as an administrator of the repository, and looks at each status."""

    def __init__(self, gitea: FakeGitea) -> None:
        self.gitea = gitea
        self.dialect = gitea.forge.dialect
        token = gitea.token_for("root", ADMIN_SCOPES)
        headers = {"Authorization": f"token {token}"}
        self.client = httpx.Client(base_url=f"{gitea.url}{PREFIX}", headers=headers, trust_env=False)

    def __call__(self, method: str, path: str, expected: int = 200, **more: Any) -> Any:
        answer = self.client.request(method, path, **more)
        assert answer.status_code == expected, f"{method} {path}: {answer.status_code} {answer.text}"
        kind = answer.headers.get("content-type", "")
        return answer.json() if kind.startswith("application/json") else answer.text


@pytest.fixture(params=DIALECTS, ids=[f"{flavour}-{version}" for flavour, version in DIALECTS])
def call(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    flavour, version = request.param
    dialect = Dialect(flavour, version)
    checkers = [checker for checker in load_checkers() if checker.suits(dialect)]
    with FakeGitea(tmp_path, flavour=flavour, version=version, on_exchange=every(checkers)) as gitea:
        gitea.user("root", is_admin=True)
        gitea.org("acme", owners=("root",))
        gitea.repo(REPO, files={"app.py": "print(1)\n", "docs/a.md": "a\n"}, collaborators={"ada": "write"})
        driver = Driver(gitea)
        with driver.client:
            yield driver
        assert gitea.unexpected == []


def drive_people(call: Driver) -> None:
    call("GET", "/version")
    call("GET", "/settings/api")
    assert call("GET", "/user")["login"] == "root"
    call("GET", "/users/ada")
    call("GET", "/users/nobody", 404)
    call("GET", "/user/repos")
    call("GET", "/orgs/acme")
    call("GET", "/orgs/acme/repos")
    call("GET", "/orgs/acme/labels")
    call("GET", "/repos/search", params={"q": "widgets"})
    call("GET", f"/repositories/{call('GET', R)['id']}")
    call("GET", f"{R}/collaborators")
    call("GET", f"{R}/collaborators/ada", 204)
    call("GET", f"{R}/collaborators/root", 404)
    assert call("GET", f"{R}/collaborators/ada/permission")["permission"] == "write"
    call("GET", f"{R}/assignees")
    if call.dialect.gitea(27):
        call("GET", "/token")


def drive_labels(call: Driver, number: int) -> None:
    bug = call("POST", f"{R}/labels", 201, json={"name": "bug", "color": "#ee0701"})
    for name in ("kugetsu/code", "kugetsu/done"):
        call("POST", f"{R}/labels", 201, json={"name": name, "color": "00aabb", "exclusive": True})
    call("POST", f"{R}/labels", 422, json={"name": "x", "color": "blue"})
    call("GET", f"{R}/labels", params={"page": 1, "limit": 50})
    call("GET", f"{R}/labels/{bug['id']}")
    call("PATCH", f"{R}/labels/{bug['id']}", json={"description": "broken"})
    path = f"{R}/issues/{number}/labels"
    call("POST", path, json={"labels": [bug["id"], 4711]})
    names = [label["name"] for label in call("POST", path, json={"labels": ["kugetsu/code", "kugetsu/done"]})]
    assert names == ["bug", "kugetsu/done"]
    call("GET", path)
    call("PUT", path, json={"labels": [bug["id"]]})
    call("DELETE", f"{path}/{bug['id']}", 204)
    call("DELETE", f"{path}/4711", call.dialect.unknown_label)
    call("DELETE", path, 204)
    call("DELETE", f"{R}/labels/{bug['id']}", 204)


def drive_issues(call: Driver) -> int:
    body = {"title": "Crash", "body": "It crashes", "assignees": ["ada"], "labels": []}
    number: int = call("POST", f"{R}/issues", 201, json=body)["number"]
    issue = f"{R}/issues/{number}"
    call("GET", f"{R}/issues", params={"state": "all", "type": "issues", "since": "2020-01-01T00:00:00Z"})
    call("GET", issue)
    call("PATCH", issue, 201, json={"title": "Crash!", "body": "It still does", "state": "closed"})
    call("PATCH", issue, 201, json={"state": "open", "assignees": []})
    call("GET", f"{issue}/timeline", params={"page": 1, "limit": 50})
    for path in (issue, f"{R}/issues/comments/{drive_comments(call, number)}"):
        call("POST", f"{path}/reactions", 201, json={"content": "eyes"})
        call("POST", f"{path}/reactions", json={"content": "eyes"})
        call("POST", f"{path}/reactions", 403, json={"content": "cow"})
        call("GET", f"{path}/reactions")
        call("DELETE", f"{path}/reactions", call.dialect.removed_reaction, json={"content": "eyes"})
        asset = call("POST", f"{path}/assets", 201, files={"attachment": ("log.txt", b"hello")})
        call("GET", f"{path}/assets")
    call("GET", f"{issue}/assets/{asset['id'] - 1}")
    if call.dialect.gitea(27):
        call("POST", f"{issue}/assignees", 201, json={"assignees": ["ada"]})
        call("DELETE", f"{issue}/assignees", 200, json={"assignees": ["ada"]})
    if call.dialect.gitea(24):
        call("PUT", f"{issue}/lock", 204, json={"lock_reason": "spam"})
        call("DELETE", f"{issue}/lock", 204)
    return number


def drive_comments(call: Driver, number: int) -> int:
    path = f"{R}/issues/{number}/comments"
    call("POST", path, 422, json={"body": "  "})
    gone = call("POST", path, 201, json={"body": "one"})["id"]
    kept: int = call("POST", path, 201, json={"body": "two"})["id"]
    call("GET", path, params={"since": "2020-01-01T00:00:00Z"})
    call("GET", f"{R}/issues/4711/comments", 500)
    call("GET", f"{R}/issues/comments", params={"page": 1, "limit": 10})
    call("GET", f"{R}/issues/comments/{gone}")
    call("PATCH", f"{R}/issues/comments/{gone}", json={"body": "changed"})
    call("DELETE", f"{R}/issues/comments/{gone}", 204)
    call("GET", f"{R}/issues/comments/{gone}", 404)
    return kept


def drive_code(call: Driver) -> None:
    call("POST", f"{R}/branches", 201, json={"new_branch_name": "kugetsu/issue-1", "old_ref_name": "main"})
    call("POST", f"{R}/branches", 409, json={"new_branch_name": "kugetsu/issue-1"})
    call("POST", f"{R}/branches", 201, json={"new_branch_name": "spare"})
    call("DELETE", f"{R}/branches/spare", 204)
    call("GET", f"{R}/branches")
    sha = call("GET", f"{R}/branches/kugetsu/issue-1")["commit"]["id"]
    assert [item["type"] for item in call("GET", f"{R}/contents")] == ["file", "dir"]
    call("GET", f"{R}/contents/docs", params={"ref": "main"})
    old = call("GET", f"{R}/contents/app.py")["sha"]
    text = base64.b64encode(b"print(2)\n").decode()
    change = {"content": text, "branch": "kugetsu/issue-1", "message": "Change\n"}
    call("PUT", f"{R}/contents/app.py", 422, json=change | {"sha": "0" * 40})
    call("PUT", f"{R}/contents/app.py", json=change | {"sha": old})
    new = call("POST", f"{R}/contents/new.py", 201, json=change)["content"]["sha"]
    call("DELETE", f"{R}/contents/new.py", json={"branch": "kugetsu/issue-1", "sha": new})
    assert call("GET", f"{R}/raw/app.py", params={"ref": "kugetsu/issue-1"}) == "print(2)\n"
    call("GET", f"{R}/commits", params={"sha": "main", "limit": 5})
    call("GET", f"{R}/git/commits/{sha}")
    call("POST", f"{R}/statuses/{sha}", 201, json={"state": "pending", "context": "bot", "target_url": ""})
    call("GET", f"{R}/statuses/{sha}")
    call("GET", f"{R}/commits/{sha}/statuses")
    assert call("GET", f"{R}/commits/{sha}/status")["state"] == "pending"


def drive_pulls(call: Driver) -> None:
    new = {"head": "kugetsu/issue-1", "base": "main", "title": "Fix", "body": "Closes #1"}
    call("POST", f"{R}/pulls", 422, json=new | {"head": "main"})
    call("POST", f"{R}/pulls", 404, json=new | {"head": "nowhere"})
    number = call("POST", f"{R}/pulls", 201, json=new)["number"]
    call("POST", f"{R}/pulls", 409, json=new)
    pull = f"{R}/pulls/{number}"
    call("GET", f"{R}/pulls", params={"state": "open"})
    call("GET", pull)
    call("GET", f"{R}/pulls/main/kugetsu/issue-1")
    call("PATCH", pull, 201, json={"title": "Fix it", "body": "Closes #1."})
    call("GET", f"{pull}/files")
    call("GET", f"{pull}/commits")
    assert "+print(2)" in call("GET", f"{pull}.diff")
    assert "Subject: " in call("GET", f"{pull}.patch")
    drive_reviews(call, pull, number)
    call("GET", f"{pull}/merge", 404)
    call("POST", f"{pull}/merge", json={"do" if call.dialect.gitea(26) else "Do": "squash"})
    call("GET", f"{pull}/merge", 204)
    merged = call("GET", pull)["merge_commit_sha"]
    assert call("GET", f"{R}/commits/{merged}/pull")["number"] == number
    assert call("GET", f"{R}/issues/1")["state"] == "closed"


def drive_reviews(call: Driver, pull: str, number: int) -> None:
    remark = {"path": "app.py", "body": "Why?", "new_position": 1}
    call("POST", f"{pull}/reviews", 422, json={"event": "COMMENT"})
    call("POST", f"{pull}/reviews", 422, json={"event": "APPROVED"})
    review = call("POST", f"{pull}/reviews", json={"event": "COMMENT", "comments": [remark]})
    pending = call("POST", f"{pull}/reviews", json={"event": "PENDING", "body": "Hm"})
    call("POST", f"{pull}/reviews/{pending['id']}", json={"event": "COMMENT", "body": "Hm."})
    call("DELETE", f"{pull}/reviews/{pending['id']}", 204)
    call("GET", f"{pull}/reviews")
    call("GET", f"{pull}/reviews/{review['id']}")
    inline = call("GET", f"{pull}/reviews/{review['id']}/comments")[0]["id"]
    call("GET", f"{R}/issues/comments/{inline}", 204)
    if call.dialect.gitea(27):
        call("POST", f"{pull}/comments/{inline}/replies", 201, json={"body": "Because"})
    call.gitea.review(REPO, number, "ada", "Well", remarks=[Remark("app.py", "Better", 1)], state="REQUEST_CHANGES")
    call("GET", f"{R}/issues/{number}/timeline")


def drive_hooks(call: Driver, owner: str) -> None:
    config = {"url": "http://127.0.0.1:9/hook", "content_type": "json", "secret": "s"}
    new = {"type": "gitea", "config": config, "events": ["issues", "pull_request", "nonsense"], "active": False}
    call("POST", f"{owner}/hooks", 422, json=new | {"config": {"url": ""}})
    hook = call("POST", f"{owner}/hooks", 201, json=new)
    assert "secret" not in hook["config"]
    path = f"{owner}/hooks/{hook['id']}"
    call("GET", f"{owner}/hooks")
    call("GET", path)
    assert call("PATCH", path, json={"active": True})["events"] == ["push"]
    call("PATCH", path, json={"active": False, "events": ["issues"]})
    if owner == R:
        call("POST", f"{path}/tests", 204)
    call("DELETE", path, 204)


def test_every_route_speaks_as_its_version_is_described(call: Driver) -> None:
    drive_people(call)
    number = drive_issues(call)
    drive_labels(call, number)
    drive_code(call)
    drive_pulls(call)
    drive_hooks(call, R)
    drive_hooks(call, "/orgs/acme")
    drive_hooks(call, "/admin")
    call.gitea.settle()
    assert untouched(call) == []


def untouched(call: Driver) -> list[str]:
    """The routes of this dialect that nobody called with success: each one must be driven above."""
    served = [item for item in call.gitea.requests if item.status and item.status < 300]
    paths = {(item.method, item.path.removeprefix(PREFIX)) for item in served}

    def known(route: Route) -> bool:
        return route.forgejo if call.dialect.forgejo else call.dialect.gitea(route.since)

    return [
        f"{route.method} {route.path}"
        for route in ROUTES
        if known(route) and not any(method == route.method and route.pattern.fullmatch(path) for method, path in paths)
    ]


def test_a_checker_sees_what_is_wrong(tmp_path: Path) -> None:
    spec = {
        "info": {"version": "1.27.0"},
        "paths": {
            "/things/{id}": {
                "post": {
                    "parameters": [
                        {"name": "page", "in": "query", "type": "integer"},
                        {"name": "body", "in": "body", "schema": {"$ref": "#/definitions/Thing"}},
                    ],
                    "responses": {"200": {"schema": {"type": "array", "items": {"$ref": "#/definitions/Thing"}}}},
                }
            }
        },
        "definitions": {"Thing": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
    }
    (tmp_path / "swagger-gitea-1.27.json").write_text(json.dumps(spec))
    (checker,) = load_checkers(tmp_path)
    with FakeGitea(tmp_path / "gitea", on_exchange=checker) as gitea:
        url = f"{gitea.url}{PREFIX}"
        httpx.post(f"{url}/things/1?page=x&foo=1", json={"nam": 1}, trust_env=False)
        httpx.get(f"{url}/version", trust_env=False)
        found = [text for text in gitea.unexpected if text.startswith("gitea-1.27")]
    start = "gitea-1.27: POST /api/v1/things/1: "
    assert found == [
        f"{start}the query page='x' is no number",
        f"{start}there is no query 'foo'",
        f"{start}body.name is missing",
        f"{start}body.nam is no field of it",
        "gitea-1.27: there is no GET /api/v1/version",
    ]


def test_a_checker_holds_answers_against_their_types() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}},
    }
    checker = Checker("some", {"info": {"version": "1.27.0"}, "paths": {}})
    right: dict[str, object] = {"n": None, "at": "2026-07-01T10:00:00+02:00", "unknown": 1}
    assert list(checker.problems(schema, right, "answer", strict=False)) == []
    wrong = {"n": True, "at": "yesterday"}
    assert len(list(checker.problems(schema, wrong, "answer", strict=False))) == 2


def recorded(pattern: str) -> Any:
    """A recorded answer of a real Gitea."""
    (file,) = RECORDED.glob(f"GET__api_v1_{pattern}.json")
    return json.loads(file.read_text())


def missing_from(real: Any, fake: Any, where: str = "") -> list[str]:
    """What a real answer has and the fake's has not, or has with another type; null fits everything."""
    if real is None or fake is None:
        return []
    if type(real) is not type(fake):
        return [f"{where} is {type(fake).__name__}, really {type(real).__name__}"]
    if isinstance(real, list):
        return missing_from(real[0], fake[0], f"{where}[]") if real and fake else []
    if not isinstance(real, dict):
        return []
    gone = [f"{where}.{key} is missing" for key in real if key not in fake]
    return gone + [text for key in real if key in fake for text in missing_from(real[key], fake[key], f"{where}.{key}")]


SHAPES = {
    "version": "/version",
    "settings_api": "/settings/api",
    "repos_gitea_test_repo": R,
    "repos_gitea_test_repo_issues__limit=2_page=3_state=all_type=issues": f"{R}/issues?state=all&type=issues",
    "repos_gitea_test_repo_issues_4_comments__limit=50_page=1": f"{R}/issues/1/comments",
    "repos_gitea_test_repo_issues_1_reactions__limit=50_page=1": f"{R}/issues/1/reactions",
    "repos_gitea_test_repo_labels__limit=50_page=1": f"{R}/labels",
    "repos_gitea_test_repo_pulls__limit=3_page=1_state=all": f"{R}/pulls?state=all",
    "repos_gitea_test_repo_pulls_7_reviews__limit=50_page=1": f"{R}/pulls/2/reviews",
    "repos_gitea_test_repo_pulls_7_reviews_1770_comments": f"{R}/pulls/2/reviews/1/comments",
}


@pytest.mark.parametrize("name", SHAPES if RECORDED.is_dir() else {})
def test_answers_have_the_shape_of_a_real_gitea(name: str, tmp_path: Path) -> None:
    with FakeGitea(tmp_path) as gitea:
        gitea.user("root")
        gitea.org("acme", owners=("root",))
        gitea.repo(REPO, files={"app.py": "print(1)\n"})
        gitea.create_label(REPO, "bug")
        issue = gitea.open_issue(REPO, "root", "Crash", labels=["bug"])
        gitea.react(REPO, issue, "eyes", by="root")
        gitea.comment(REPO, issue, "Hello", by="root")
        gitea.push(REPO, "fix", {"app.py": "print(2)\n"}, by="root")
        pull = gitea.open_pull(REPO, "root", "fix", title="Fix")
        gitea.review(REPO, pull, "root", remarks=[Remark("app.py", "Why?", 1)])
        driver = Driver(gitea)
        with driver.client:
            assert missing_from(recorded(name), driver("GET", SHAPES[name])) == []
