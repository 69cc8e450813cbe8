"""Attacks on the first-start page: whoever takes it over would choose the Gitea that the service obeys."""

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from jobs import gitea_http
from tests.fakes.answers import Reply, Server, answering
from tests.fakes.gitea import FakeGitea
from tests.unit.first_start import BOT, PAGE, FirstStart, csrf_of, first_start, gitea_with_bot, look, send, shown
from webhook.access import Denied
from webhook.attempts import MOST, Attempts
from webhook.seals import Seals
from webhook.setup import entrance
from webhook.setup.entrance import Entrance, Pass


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGitea]:
    with gitea_with_bot(tmp_path_factory.mktemp("gitea")) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[FirstStart]:
    with first_start(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FirstStart, httpx.Client]]:
    """For tests that leave nothing behind: a first start, and the browser of who has typed its code."""
    with first_start(tmp_path_factory.mktemp("home")) as made, made.entered() as client:
        yield made, client


Inside = tuple[FirstStart, httpx.Client]
POSTS = ("look", "gitea", "other", "finish")


def test_without_the_code_nothing_is_shown_and_nothing_done(start: FirstStart) -> None:
    with start.browser() as client:
        assert client.get(PAGE).status_code == 303
        for what in POSTS:
            answer = client.post(f"{PAGE}/{what}", data={"url": "http://127.0.0.1:1"})
            assert answer.headers["location"].startswith(f"{PAGE}/code"), what
        client.cookies.set("kugetsu_setup", "", path=PAGE)
        assert client.get(PAGE).status_code == 303
        client.cookies.set("kugetsu_setup", start.code, path=PAGE)
        assert client.get(PAGE).status_code == 303


def test_the_holder_of_the_admin_token_is_not_let_in_either(tmp_path: Path) -> None:
    with first_start(tmp_path, ADMIN_TOKEN="the-admin-token") as start, start.browser() as client:
        bearer = {"Authorization": "Bearer the-admin-token"}
        assert client.get("/admin", headers=bearer).status_code == 200
        assert client.get(PAGE, headers=bearer).status_code == 303


def test_a_code_is_guessed_ten_times_and_no_more(start: FirstStart) -> None:
    with start.browser() as client:
        for _ in range(MOST):
            answer = client.post(f"{PAGE}/code", data={"code": "AAAA-BBBB-CCCC"})
            assert (answer.status_code, "that is not the code" in answer.text.lower()) == (403, True)
        answer = client.post(f"{PAGE}/code", data={"code": start.code})
        assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
        assert client.get(PAGE).status_code == 303


def test_another_address_of_this_machine_has_no_tries_of_its_own(start: FirstStart) -> None:
    """There are sixteen million of them, and any account here may use each."""
    for last in range(2, MOST + 2):
        transport = httpx.HTTPTransport(local_address=f"127.0.0.{last}")
        with httpx.Client(base_url=start.site.url, transport=transport) as client:
            assert client.post(f"{PAGE}/code", data={"code": "AAAA-BBBB-CCCC"}).status_code == 403
    assert start.site.client.post(f"{PAGE}/code", data={"code": start.code}).status_code == 429


def test_without_a_limit_guessing_goes_on(start: FirstStart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attempts, "check", lambda *_: None)
    with start.browser() as client:
        for _ in range(MOST + 1):
            client.post(f"{PAGE}/code", data={"code": "AAAA-BBBB-CCCC"})
        assert client.post(f"{PAGE}/code", data={"code": start.code}).status_code == 303


def test_the_code_is_good_once(start: FirstStart) -> None:
    with start.entered(), start.browser() as other:
        answer = other.post(f"{PAGE}/code", data={"code": start.code})
        assert (answer.status_code, "has been used" in answer.text) == (403, True)
        assert other.get(PAGE).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Host": "rebound.example.com"},
        {"Host": "kugetsu.example.com:8420"},
    ],
)
def test_from_elsewhere_even_the_right_code_is_refused(inside: Inside, headers: dict[str, str]) -> None:
    """Through a proxy, or by a page whose name was pointed at this machine."""
    start, client = inside
    assert client.get(PAGE).status_code == 200
    assert client.get(PAGE, headers=headers).status_code == 403
    assert client.get(f"{PAGE}/code", headers=headers).status_code == 403
    for what in POSTS:
        assert client.post(f"{PAGE}/{what}", data={"csrf": csrf_of(client)}, headers=headers).status_code == 403
    answer = client.post(f"{PAGE}/code", data={"code": start.code}, headers=headers)
    assert (answer.status_code, "on the machine itself" in answer.text) == (403, True)


def test_without_the_look_at_where_it_comes_from_it_is_let_in(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "why_not_from_here", lambda _: "")
    assert inside[1].get(PAGE, headers={"Host": "rebound.example.com"}).status_code == 200


@pytest.mark.parametrize("client", ["192.0.2.7", "10.0.0.1", "2001:db8::1", ""])
def test_another_machine_is_refused(inside: Inside, client: str) -> None:
    ends = {"client": (client, 50000), "server": ("127.0.0.1", 8420)}
    request = Request({"type": "http", "path": PAGE, "headers": [(b"host", b"localhost")], **ends})
    site = inside[0].site
    door = Entrance(site.settings, Seals(b""), site.database, granted=Pass("A"))
    with pytest.raises(Denied, match="only for a browser on the machine itself"):
        door.take(request, "A")


EVIL = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


def test_a_page_of_another_site_steers_nothing(start: FirstStart, forge: FakeGitea) -> None:
    with start.entered() as client:
        word = csrf_of(client)
        typed = {"url": forge.url, "token": forge.token_for(BOT)}
        for what in POSTS:
            for headers in (EVIL, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}):
                sent = client.post(f"{PAGE}/{what}", data={**typed, "csrf": word}, headers=headers)
                assert sent.status_code == 403
            assert client.post(f"{PAGE}/{what}", data=typed).status_code == 403
            assert client.post(f"{PAGE}/{what}", data={**typed, "csrf": "wrong"}).status_code == 403
            assert client.post(f"{PAGE}/{what}", json=typed).status_code == 403
        assert "3. Repositories" not in shown(client)
    with start.browser() as other:
        assert other.post(f"{PAGE}/code", data={"code": start.code}, headers=EVIL).status_code == 403


def test_without_that_defence_it_does(start: FirstStart, forge: FakeGitea, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Entrance, "check_change", lambda *_, **__: None)
    with start.entered() as client:
        typed = {"url": forge.url, "token": forge.token_for(BOT)}
        client.post(f"{PAGE}/gitea", data=typed, headers=EVIL)
        assert "3. Repositories" in shown(client)


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1:25/",
        "http://user:s3cret-word@127.0.0.1/",
        "http://127.0.0.1/?x=1",
        "http://127.0.0.1/#x",
        "http://",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://[::1",
        "http://127.0.0.1/ HTTP/1.1\r\nX: y",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_address_is_asked_nothing(inside: Inside, address: str) -> None:
    _, client = inside
    assert look(client, url=address, token="a-token")["gitea"] == "wrong"
    send(client, "gitea", url=address, token="a-token")
    text = shown(client)
    assert "that is no address of a Gitea" in text
    assert "s3cret-word" not in text


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    with answering() as server:
        server.says(200, b'{"version": "1.26.3"}')
        yield server


@pytest.mark.parametrize("path", ["/api/v1/version", "/api/v1/user", "/api/v1/repos/-/-/branches/x"])
@pytest.mark.parametrize("status", [301, 307])
def test_the_token_is_not_sent_on_to_where_a_redirect_leads(
    inside: Inside, elsewhere: Server, path: str, status: int
) -> None:
    def answer(_method: str, asked: str) -> Reply:
        if asked == path:
            return Reply(status, b"", {"Location": f"{elsewhere.url}{asked}", "Content-Length": "0"})
        return Reply(200, b'{"version": "1.26.3", "id": 1, "login": "kugetsu"}')

    with answering() as here:
        here.answering = answer
        send(inside[1], "gitea", url=here.url, token="a-token-of-mine")
        assert "3. Repositories" not in shown(inside[1])
        sent = [given for _, asked, given, _ in here.seen if asked == path]
    assert sent == ["" if path.endswith("version") else "token a-token-of-mine"]
    assert elsewhere.seen == []


def test_a_client_that_follows_every_redirect_sends_it_on(
    inside: Inside, elsewhere: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gitea_http, "_origin", lambda _: None)
    monkeypatch.setattr("httpx._client._same_origin", lambda *_: True)

    def answer(_method: str, asked: str) -> Reply:
        if asked == "/api/v1/user":
            return Reply(307, b"", {"Location": f"{elsewhere.url}{asked}", "Content-Length": "0"})
        return Reply(200, b'{"version": "1.26.3"}')

    with answering() as here:
        here.answering = answer
        send(inside[1], "gitea", url=here.url, token="a-token-of-mine")
    assert [(path, given) for _, path, given, _ in elsewhere.seen] == [("/api/v1/user", "token a-token-of-mine")]


def test_no_secret_is_in_an_address_or_in_the_log(
    start: FirstStart, forge: FakeGitea, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token, addresses = forge.token_for(BOT), []
    with start.entered() as client:
        for what, fields in (
            ("gitea", {"url": forge.url, "token": token}),
            ("finish", {"which": "all", "public_url": "http://127.0.0.1:8420"}),
        ):
            answer = send(client, what, **fields)
            addresses += [str(answer.request.url), answer.headers.get("location", "")]
    written = start.file.read_text()
    secret = written.split('webhook_secret = "')[1].split('"')[0]
    for word in (token, secret, start.code):
        assert word not in caplog.text
        assert word not in " ".join(addresses)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_the_file_gets_nothing(start: FirstStart, forge: FakeGitea, there: bool) -> None:
    aim = start.file.with_name("aim")
    if there:
        aim.write_text("")
    start.file.symlink_to(aim)
    with start.entered() as client:
        send(client, "gitea", url=forge.url, token=forge.token_for(BOT))
        answer = send(client, "finish", which="all", public_url="http://127.0.0.1:8420")
    assert (answer.status_code, "is a link" in answer.text) == (409, True)
    assert (aim.exists(), there and aim.read_text()) == (there, there and "")
    assert (start.setting_up.finished, start.ended) == (False, [])
