"""The fake Gitea's troubles on request, its refusals, its waiting, and its pages."""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.gitea import Ear, FakeGitea

REPO = "acme/widgets"
COMMENTS = f"/repos/{REPO}/issues/1/comments"


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[FakeGitea]:
    with FakeGitea(tmp_path / "gitea", demo_person="ada") as fake:
        fake.user("rita")
        people: dict[str, Any] = {"ada": "write", "bot": "admin", "tess": "team-write"}
        fake.repo(REPO, files={"app.py": "print(1)\n"}, collaborators=people)
        fake.repo("acme/secret", collaborators=people, private=True)
        fake.create_label(REPO, "bug")
        fake.open_issue(REPO, "ada", "Crash <now>", "It <script>crashes</script>")
        yield fake


def client(gitea: FakeGitea, login: str = "bot", **more: Any) -> httpx.Client:
    headers = {"Authorization": f"token {gitea.token_for(login, **more)}"}
    return httpx.Client(base_url=f"{gitea.url}/api/v1", headers=headers, trust_env=False)


def texts(gitea: FakeGitea) -> list[str]:
    return [entry.body for entry in gitea.comments_of(REPO, 1)]


def test_a_failure_has_no_effect_unless_it_comes_after_it(gitea: FakeGitea) -> None:
    before = gitea.fail("POST .*/comments", 502, body=lambda body: body["body"] == "one")
    after = gitea.fail("POST .*/comments", 503, when="after", body=lambda body: body["body"] == "two")
    with client(gitea) as api:
        answers = [api.post(COMMENTS, json={"body": word}).status_code for word in ("one", "two", "one", "two")]
    assert answers == [502, 503, 201, 201]
    assert texts(gitea) == ["two", "one", "two"]
    assert (before.hits, after.hits) == (1, 1)


@pytest.mark.parametrize(("when", "effect"), [("before", []), ("after", ["hello"])])
def test_a_request_can_be_held_before_or_after_its_effect(gitea: FakeGitea, when: Any, effect: list[str]) -> None:
    held = gitea.hold("POST .*/comments", when=when)
    with client(gitea) as api, ThreadPoolExecutor(1) as pool:
        posted = pool.submit(api.post, COMMENTS, json={"body": "hello"})
        assert held.reached.wait(10)
        assert texts(gitea) == effect
        held.release()
        assert posted.result(10).status_code == 201
    assert texts(gitea) == ["hello"]


def test_a_dropped_response_hides_an_effect(gitea: FakeGitea) -> None:
    gitea.drop_response("POST .*/comments")
    gitea.drop_response("GET .*/comments", when="before")
    with client(gitea) as api:
        with pytest.raises(httpx.RemoteProtocolError):
            api.post(COMMENTS, json={"body": "hello"})
        with pytest.raises(httpx.RemoteProtocolError):
            api.get(COMMENTS)
        assert [item["body"] for item in api.get(COMMENTS).json()] == ["hello"]
    assert [item.status for item in gitea.requests] == [0, 0, 200]


def test_slow_and_down_and_up_again(gitea: FakeGitea) -> None:
    slow = gitea.slow("GET .*/version", 0.2)
    with client(gitea) as api:
        began = time.monotonic()
        api.get("/version")
        assert time.monotonic() - began >= 0.2
        slow.cancel()
        gitea.down()
        with pytest.raises(httpx.TransportError):
            api.get("/version")
        gitea.up()
        assert api.get("/version").json() == {"version": "1.27.0"}


def test_what_nobody_knows_is_unexpected(gitea: FakeGitea) -> None:
    with client(gitea) as api:
        assert api.get("/nonsense").status_code == 404
        api.get("/version", params={"verbose": "1"})
        api.post(COMMENTS, json={"body": "hello", "text": "hello"})
    assert gitea.unexpected == [
        "unknown route GET /api/v1/nonsense",
        "unknown query 'verbose' in GET /api/v1/version",
        "unknown field 'text' in POST /api/v1/repos/acme/widgets/issues/1/comments",
    ]


def test_refusals_have_their_status_and_their_words(gitea: FakeGitea) -> None:
    anybody = httpx.Client(base_url=f"{gitea.url}/api/v1", trust_env=False)
    with anybody, client(gitea, "rita") as rita, client(gitea, scopes=("read:issue",)) as poor:
        wrong = anybody.get("/version", headers={"Authorization": "token wrong"})
        assert (wrong.status_code, sorted(wrong.json())) == (401, ["message", "url"])
        assert anybody.get("/user").status_code == 401
        assert anybody.get(f"/repos/{REPO}").json()["permissions"]["pull"]
        assert rita.get("/repos/acme/secret").status_code == 404
        assert rita.get(f"/repos/{REPO}/collaborators/ada/permission").status_code == 403
        assert rita.get(f"/repos/{REPO}/hooks").status_code == 403
        scope = poor.post(COMMENTS, json={"body": "hello"})
        assert scope.status_code == 403
        assert "required=[write:issue], token scope=read:issue" in scope.json()["message"]
        gitea.archive(REPO)
        assert rita.post(COMMENTS, json={"body": "hello"}).status_code == 423


def test_a_team_member_may_write_but_is_not_said_to(gitea: FakeGitea) -> None:
    with client(gitea) as bot, client(gitea, "tess") as tess:
        said = bot.get(f"/repos/{REPO}/collaborators/tess/permission").json()["permission"]
        assert said == "read"
        assert tess.get(f"/repos/{REPO}").json()["permissions"]["push"]
        assert tess.post(f"/repos/{REPO}/issues/1/labels", json={"labels": ["bug"]}).status_code == 200


def test_lists_come_in_pages_but_comments_do_not(gitea: FakeGitea) -> None:
    for number in range(60):
        gitea.comment(REPO, 1, f"comment {number}", by="ada")
        gitea.open_issue(REPO, "ada", f"issue {number}")
    with client(gitea) as api:
        assert len(api.get(COMMENTS).json()) == 60
        answer = api.get(f"/repos/{REPO}/issues", params={"state": "all", "limit": 1000})
        assert (len(answer.json()), answer.headers["x-total-count"]) == (50, "61")
        assert answer.links["next"]["url"] == f"{gitea.url}/api/v1/repos/{REPO}/issues?limit=50&page=2&state=all"
        assert len(api.get(answer.links["next"]["url"]).json()) == 11
        sizes = []
        for page in (1, 2, 3):
            part = api.get(f"/repos/{REPO}/issues/1/timeline", params={"page": page, "limit": 50})
            assert part.headers["x-total-count"] == str(len(part.json()))
            sizes.append(len(part.json()))
        assert sizes == [50, 10, 0]


def test_waiting_ends_with_the_story_when_nothing_comes(gitea: FakeGitea) -> None:
    later = threading.Timer(0.05, lambda: gitea.comment(REPO, 1, "there", by="ada"))
    later.start()
    assert gitea.wait_until(lambda: texts(gitea), "a comment") == ["there"]
    later.join()
    with pytest.raises(AssertionError, match=r"waited 0.01 s for a second comment(.|\n)*by ada \[\]: there"):
        gitea.wait_until(lambda: len(texts(gitea)) > 1, "a second comment", timeout=0.01)


def test_many_at_once(gitea: FakeGitea) -> None:
    with Ear() as ear, client(gitea) as api, ThreadPoolExecutor(8) as pool:
        gitea.hook(REPO, ear.url, "s")
        numbers = range(60)
        answers = list(pool.map(lambda n: api.post(COMMENTS, json={"body": f"comment {n}"}).status_code, numbers))
        gitea.settle()
        assert answers == [201] * 60
        assert len(ear.heard) == 60
    assert len({entry.id for entry in gitea.comments_of(REPO, 1)}) == 60


def test_a_person_can_look_and_act_in_a_browser(gitea: FakeGitea) -> None:
    with httpx.Client(base_url=gitea.url, trust_env=False, follow_redirects=True) as browser:
        assert "Crash &lt;now&gt;" in browser.get("/").text
        page = f"/{REPO}/issues/1"
        assert "It &lt;script&gt;crashes" in browser.get(page).text
        foreign = browser.post(f"{page}/label", data={"name": "bug"}, headers={"Origin": "http://evil.example"})
        assert (foreign.status_code, gitea.labels_of(REPO, 1)) == (403, [])
        browser.post(f"{page}/label", data={"name": "bug"})
        shown = browser.post(f"{page}/comment", data={"text": "/kugetsu <b>go</b>"}).text
        assert "/kugetsu &lt;b&gt;go&lt;/b&gt;" in shown
        assert re.search(r'class="label"[^>]*>bug<', shown)
        browser.post(f"/{REPO}/issues", data={"title": "By hand"})
        gitea.push(REPO, "fix", {"app.py": "print('<2>')\n"}, by="ada")
        gitea.open_pull(REPO, "ada", "fix", title="Fix")
        pull = browser.get(f"/{REPO}/pulls/3").text
        assert '<span class="add">+print(&#x27;&lt;2&gt;&#x27;)</span>' in pull
        assert "merged" in browser.post(f"/{REPO}/pulls/3/merge").text
        assert browser.get(f"/{REPO}/issues/99").status_code == 404
    assert gitea.issue_of(REPO, 2).user.login == "ada"
    assert gitea.unexpected == []
