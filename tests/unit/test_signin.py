"""Signing in to the pages: with Gitea, by the admin token, and everything by which somebody might get round it.

The tests share one service and one Gitea; what each of them leaves there is in the way of none.
"""

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from starlette.routing import Route

from models import sessions
from models.side_tables import Session
from tests.fakes.gitea import FakeGitea
from tests.unit.deliveries import secret
from tests.unit.test_jobs_pages import ask
from tests.unit.test_pages import BROWSER
from tests.unit.website import Website, running, settings_for
from webhook import access
from webhook.app import create_app
from webhook.attempts import MOST, Attempts, TooMany
from webhook.oauth import CALLBACK
from webhook.seals import KEY_FILE, Seals, key_of
from webhook.wiring import Wiring

PUBLIC = "http://kugetsu.example.com"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Everything here is plain HTTP; certificates need not be read for each browser."""

TOKEN = "the-admin-token-of-the-tests"


@pytest.fixture(scope="module")
def gitea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGitea]:
    """Ada may write to acme/widgets, bob may read it, root is an administrator of the site."""
    with FakeGitea(tmp_path_factory.mktemp("gitea")) as made:
        made.user("root", is_admin=True)
        made.repo("acme/widgets", files={}, collaborators={"ada": "write", "bob": "read"})
        made.repo("acme/secret", files={}, collaborators={"carol": "write"})
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, gitea: FakeGitea) -> Iterator[Website]:
    """The service, with an application of its own in Gitea, and a job in each of the two repositories."""
    app = gitea.oauth.register("Kugetsu", PUBLIC + CALLBACK)
    oauth = {"OAUTH_CLIENT_ID": app.id, "OAUTH_CLIENT_SECRET": app.secret, "ADMIN_USERS": "carol"}
    home = tmp_path_factory.mktemp("home")
    settings = settings_for(home, GITEA_URL=gitea.url, PUBLIC_URL=PUBLIC, **oauth)
    with running(settings) as website:
        ask(website, 7)
        ask(website, 8, repo="acme/secret")
        yield website


Open = Callable[[], httpx.Client]
SignIn = Callable[..., AbstractContextManager[httpx.Client]]


def browser_at(site: Website) -> httpx.Client:
    """A browser of somebody's, with cookies of its own."""
    return httpx.Client(base_url=site.url, headers=BROWSER, trust_env=False, verify=NO_TLS)


@pytest.fixture
def browser(site: Website) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(browser_at(site))


@pytest.fixture
def sign_in(gitea: FakeGitea, browser: Open) -> SignIn:
    """The whole way of somebody through Gitea."""

    def act(login: str) -> AbstractContextManager[httpx.Client]:
        client = browser()
        there, asked = sent_to(client.get("/admin/signin/gitea"))
        assert there == f"{gitea.url}/login/oauth/authorize"
        assert httpx.get(there, params=asked, trust_env=False, verify=NO_TLS).status_code == 200
        assert sent_to(client.get(come_back(gitea, asked, login))) == ("/admin", {})
        return closing(client)

    return act


def sent_to(answer: httpx.Response) -> tuple[str, dict[str, str]]:
    """Where an answer sends the browser."""
    assert answer.status_code == 303, answer.text
    parts = urlsplit(answer.headers["location"])
    return f"{parts.scheme}://{parts.netloc}{parts.path}" if parts.netloc else parts.path, dict(parse_qsl(parts.query))


def come_back(gitea: FakeGitea, asked: dict[str, str], login: str) -> str:
    """Press the button of Gitea's page; gives the path and query to which it sends the browser."""
    answer = httpx.post(f"{gitea.url}/login/oauth/grant", data={**asked, "as": login}, trust_env=False, verify=NO_TLS)
    parts = urlsplit(answer.headers["location"])
    assert f"{parts.scheme}://{parts.netloc}" == PUBLIC
    return f"{parts.path}?{parts.query}"


def shown(client: httpx.Client, path: str = "/admin/jobs") -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def test_a_stranger_is_sent_to_sign_in_and_back_to_where_they_were_going(gitea: FakeGitea, browser: Open) -> None:
    client = browser()
    assert sent_to(client.get("/admin/jobs?state=queued")) == ("/admin/signin", {"next": "/admin/jobs?state=queued"})
    assert f"Sign in with {gitea.url}" in shown(client, "/admin/signin")
    after = "/admin/jobs?state=queued"
    _, asked = sent_to(client.get("/admin/signin/gitea", params={"next": after}))
    answer = client.get(come_back(gitea, asked, "ada"))
    assert answer.headers["location"] == after


def test_nothing_is_shown_to_who_is_not_signed_in(site: Website) -> None:
    """Every address of the admin side but those for signing in, style and script."""
    app = create_app(Wiring(settings=site.settings, database=site.database, ring=site.bell))
    paths = {route.path for route in app.routes if isinstance(route, Route)}
    closed = [path for path in paths if path.startswith("/admin") and not path.startswith("/admin/signin")]
    assert len(closed) > 15
    for path in closed:
        there = path.replace("{job:int}", "1").replace("{delivery:int}", "1")
        answers = (site.client.get(there), site.client.post(there, json={}))
        assert {answer.status_code for answer in answers} <= {401, 405}, there
        assert all(list(answer.json()) == ["error"] for answer in answers)


def test_who_may_write_to_a_repository_sees_its_jobs_and_nothing_else(sign_in: SignIn) -> None:
    with sign_in("ada") as ada:
        assert re.findall(r'href="/admin/jobs/(\d+)"', shown(ada)) == ["1"]
        assert "acme/secret" not in shown(ada) + shown(ada, "/admin") + shown(ada, "/admin/deliveries")
        assert shown(ada, "/admin/jobs/1")
        assert ada.get("/admin/jobs/2").status_code == 404
        assert ada.get("/admin/jobs/2/log").status_code == 404
        assert ada.get("/admin/jobs/2/steps").status_code == 404
        assert ada.get("/admin/status").status_code == 403
        assert "Pause" not in shown(ada, "/admin")


def test_who_may_only_read_sees_nothing(sign_in: SignIn) -> None:
    with sign_in("bob") as bob:
        assert "acme/" not in shown(bob) + shown(bob, "/admin") + shown(bob, "/admin/deliveries")
        assert bob.get("/admin/jobs/1").status_code == 404


@pytest.mark.parametrize("login", ["root", "carol"])
def test_administrators_of_the_site_and_those_named_see_all(login: str, sign_in: SignIn) -> None:
    with sign_in(login) as client:
        assert re.findall(r'href="/admin/jobs/(\d+)"', shown(client)) == ["2", "1"]
        assert "Pause" in shown(client, "/admin")
        assert client.get("/admin/status").status_code == 200


def post(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    return client.post(path, data=fields)


def csrf_of(client: httpx.Client) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', shown(client, "/admin"))
    assert found
    return found[1]


def test_a_change_needs_the_word_that_only_our_pages_have(site: Website, sign_in: SignIn) -> None:
    """What a page of another site can send: a form, with the cookies that the browser has, and no word of ours."""
    with sign_in("root") as root, sign_in("ada") as ada:
        assert post(root, "/admin/pause").status_code == 403
        assert post(root, "/admin/pause", csrf="wrong").status_code == 403
        assert post(root, "/admin/pause", csrf=csrf_of(ada)).status_code == 403, "each session has a word of its own"
        assert root.post("/admin/pause", json={}).status_code == 403
        evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        for headers in (evil, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}):
            assert root.post("/admin/pause", data={"csrf": csrf_of(root)}, headers=headers).status_code == 403
        assert post(root, "/admin/pause", csrf=csrf_of(root)).status_code == 303
        assert root.post("/admin/resume", json={}, headers={"X-CSRF-Token": csrf_of(root)}).status_code == 200


def test_without_that_defence_the_attack_works(site: Website, monkeypatch: pytest.MonkeyPatch, sign_in: SignIn) -> None:
    monkeypatch.setattr(access.Access, "check_change", lambda *_, **__: None)
    with sign_in("root") as root:
        evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert root.post("/admin/pause", data={"reason": "owned"}, headers=evil).status_code == 303
        assert "Paused: owned." in shown(root, "/admin")


def test_who_may_write_steers_the_jobs_of_their_repository_only(sign_in: SignIn) -> None:
    with sign_in("ada") as ada:
        word = csrf_of(ada)
        assert post(ada, "/admin/pause", csrf=word).status_code == 403
        assert post(ada, "/admin/capacity", csrf=word, limit="9").status_code == 403
        assert post(ada, "/admin/jobs/2/cancel", csrf=word).status_code == 404
        assert post(ada, "/admin/jobs/1/cancel", csrf=word).status_code == 303
        assert "cancelled by ada" in shown(ada, "/admin/jobs/1")


def test_the_cookie_is_out_of_scripts_reach_and_goes_to_no_other_site(gitea: FakeGitea, browser: Open) -> None:
    client = browser()
    _, asked = sent_to(client.get("/admin/signin/gitea"))
    (cookie,) = [text for text in client.get(come_back(gitea, asked, "ada")).headers.get_list("set-cookie")
                 if text.startswith("kugetsu_session=") and "Max-Age=0" not in text]  # fmt: skip
    for part in ("HttpOnly", "SameSite=lax", "Path=/", f"Max-Age={sessions.LASTS}"):
        assert part in cookie


def test_under_tls_the_cookie_is_for_tls_and_this_host_alone(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, ADMIN_TOKEN=TOKEN)) as site:
        cookie = site.client.post("/admin/signin", data={"token": TOKEN}).headers["set-cookie"]
    assert cookie.startswith("__Host-kugetsu_session=")
    assert "Secure" in cookie


def test_signing_out_ends_the_session_for_every_copy_of_its_cookie(sign_in: SignIn) -> None:
    with sign_in("ada") as ada:
        stolen = dict(ada.cookies)
        assert post(ada, "/admin/signout", csrf=csrf_of(ada)).status_code == 303
        assert "kugetsu_session" not in ada.cookies
        ada.cookies.update(stolen)
        assert ada.get("/admin").status_code == 303, "to sign in"


def test_a_session_ends_by_itself(tmp_path: Path) -> None:
    now = 1_700_000_000.0
    with running(settings_for(tmp_path, ADMIN_TOKEN=TOKEN, PUBLIC_URL=PUBLIC), clock=lambda: now) as site:
        with browser_at(site) as client:
            post(client, "/admin/signin", token=TOKEN)
            assert client.get("/admin").status_code == 200
            now += sessions.LASTS - 1
            assert client.get("/admin").status_code == 200
            now += 2
            assert client.get("/admin").status_code == 303
            post(client, "/admin/signin", token=TOKEN)
        with site.database.connection_context():
            assert Session.select().count(site.database) == 1, "the one that is over is gone"


def test_a_session_that_was_not_sealed_here_is_none(site: Website, sign_in: SignIn) -> None:
    with sign_in("ada") as ada:
        good = ada.cookies["kugetsu_session"]
    key = key_of(site.settings.home)
    number = Seals(key).open("session", good, seconds=1000)
    forged = [
        number,
        Seals(b"another key").seal("session", number),
        Seals(key).seal("said", number),
        good[:-2],
        good + "x",
    ]
    for text in (*forged, Seals(key).seal("session", "guessed"), Seals(key).seal("session", {"a": 1})):
        answer = httpx.get(
            f"{site.url}/admin", cookies={"kugetsu_session": text}, headers=BROWSER, trust_env=False, verify=NO_TLS
        )
        assert answer.status_code == 303
    with site.database.connection_context():
        rows = list(Session.select().dicts().execute(site.database))
    assert number not in str(rows), "a copy of the database lets nobody in"
    assert (site.settings.home / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_a_sign_in_that_this_browser_did_not_begin_is_none(gitea: FakeGitea, browser: Open) -> None:
    """Somebody makes a victim's browser finish the attacker's sign-in, or hands it a code of their own."""
    attacker = browser()
    _, asked = sent_to(attacker.get("/admin/signin/gitea"))
    back = come_back(gitea, asked, "ada")
    assert "was not begun in this browser" in browser().get(back).text
    victim = browser()
    victim.get("/admin/signin/gitea")
    answer = victim.get(back)
    assert (answer.status_code, "kugetsu_session" in victim.cookies) == (403, False)
    assert attacker.get(back).status_code == 303
    assert "was not begun" in attacker.get(back).text, "a code and its state are good once"


def test_a_code_is_worth_nothing_without_its_verifier(gitea: FakeGitea, browser: Open) -> None:
    client = browser()
    _, asked = sent_to(client.get("/admin/signin/gitea"))
    assert asked["code_challenge_method"] == "S256"
    other = {**asked, "code_challenge": "A" * 43}
    answer = client.get(come_back(gitea, other, "ada"))
    assert (answer.status_code, "failed PKCE code challenge" in answer.text) == (403, True)


def test_saying_no_to_gitea_says_so(gitea: FakeGitea, browser: Open) -> None:
    client = browser()
    _, asked = sent_to(client.get("/admin/signin/gitea"))
    answer = client.get(come_back(gitea, asked, ""))
    assert (answer.status_code, "Gitea says no: the request is denied" in answer.text) == (403, True)


def test_a_gitea_that_is_down_is_named(gitea: FakeGitea, browser: Open) -> None:
    client = browser()
    _, asked = sent_to(client.get("/admin/signin/gitea"))
    back = come_back(gitea, asked, "ada")
    gitea.down()
    answer = client.get(back)
    assert (answer.status_code, "Gitea did not say who this is" in answer.text) == (403, True)
    gitea.up()


def test_nobody_is_sent_to_another_site(gitea: FakeGitea, browser: Open) -> None:
    for after in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        client = browser()
        _, asked = sent_to(client.get("/admin/signin/gitea", params={"next": after}))
        assert client.get(come_back(gitea, asked, "ada")).headers["location"] == "/admin"


def test_the_admin_token_signs_in_too(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, ADMIN_TOKEN=TOKEN, PUBLIC_URL=PUBLIC)) as site, browser_at(site) as client:
        assert "Admin token" in shown(client, "/admin/signin")
        assert post(client, "/admin/signin", token="wrong").status_code == 403
        answer = post(client, "/admin/signin", token=TOKEN, next="/admin/jobs")
        assert sent_to(answer) == ("/admin/jobs", {})
        assert "Pause" in shown(client, "/admin")
        evil = client.post("/admin/signin", data={"token": TOKEN}, headers={"Origin": "https://evil.example"})
        assert evil.status_code == 403


def test_tries_are_limited_by_form_and_by_header(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, ADMIN_TOKEN=TOKEN, PUBLIC_URL=PUBLIC)) as site, browser_at(site) as client:
        post(client, "/admin/signin", token=TOKEN)
        for number in range(MOST):
            if number % 2:
                assert (
                    httpx.post(
                        f"{site.url}/admin/signin", data={"token": "x"}, trust_env=False, verify=NO_TLS
                    ).status_code
                    == 403
                )
            else:
                wrong = {"Authorization": f"Bearer {number}"}
                assert (
                    httpx.get(f"{site.url}/admin/status", headers=wrong, trust_env=False, verify=NO_TLS).status_code
                    == 401
                )
        right = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx.get(f"{site.url}/admin/status", headers=right, trust_env=False, verify=NO_TLS)
        assert answer.status_code == 429, "also the right one, else it could still be guessed"
        assert 0 < int(answer.headers["retry-after"]) <= 301
        assert (
            httpx.post(f"{site.url}/admin/signin", data={"token": TOKEN}, trust_env=False, verify=NO_TLS).status_code
            == 429
        )
        assert client.get("/admin").status_code == 200, "who is in stays in"


def test_the_limit_is_by_address_and_passes() -> None:
    now = 0.0
    attempts = Attempts(clock=lambda: now)
    for _ in range(MOST):
        attempts.check("2001:db8::1")
        attempts.failed("2001:db8::1")
    for same in ("2001:db8::1", "2001:db8::2"):
        with pytest.raises(TooMany):
            attempts.check(same)
    for other in ("2001:db8:0:1::1", "192.0.2.7", "", "somewhere"):
        attempts.check(other)
    now = 301.0
    attempts.check("2001:db8::1")


def test_the_secrets_of_the_sign_in_stand_on_no_page(site: Website, sign_in: SignIn) -> None:
    client_secret = site.settings.oauth_client_secret
    assert client_secret is not None
    with sign_in("root") as root:
        pages = [root.get(path).text for path in ("/admin", "/admin/status", "/admin/signin", "/admin/jobs/1")]
    assert not any(client_secret.get_secret_value() in text or secret() in text for text in pages)
