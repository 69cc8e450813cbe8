"""The pages of the first start: what they look at, what they write, and when they close."""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from jobs.doctor import candidate
from models.settings import load
from tests.fakes.answers import answering
from tests.fakes.gitea import FakeGitea
from tests.fakes.gitea.places import BOT_SCOPES
from tests.ports import free_port
from tests.unit.first_start import BOT, PAGE, FirstStart, first_start, gitea_with_bot, look, send, shown
from tests.unit.runs import wait_until
from tests.unit.test_pages import BROWSER
from tests.unit.website import running, settings_for
from webhook.pages.frame import POLICY
from webhook.setup.invitation import Invitation, new_code, page_at, plain


@pytest.fixture(scope="module")
def gitea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGitea]:
    with gitea_with_bot(tmp_path_factory.mktemp("gitea")) as made:
        made.repo("acme/gadgets", files={}, collaborators={BOT: "write"})
        yield made
        assert made.unexpected == []


@pytest.fixture
def start(tmp_path: Path) -> Iterator[FirstStart]:
    with first_start(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory, gitea: FakeGitea) -> Iterator[tuple[FirstStart, httpx.Client]]:
    """For tests that leave nothing behind: all but the last choices have been made."""
    with first_start(tmp_path_factory.mktemp("home")) as made, made.entered() as client:
        send(client, "gitea", url=gitea.url, token=gitea.token_for(BOT))
        yield made, client


# What is looked at


def test_the_page_is_there_and_the_status_leads_to_it(start: FirstStart) -> None:
    with start.browser() as client:
        assert f'href="{PAGE}"' in shown(client, "/admin")
        assert client.get(PAGE).headers["location"].startswith(f"{PAGE}/code")
    with start.entered() as client:
        answer = client.get(PAGE)
        assert answer.headers["content-security-policy"] == POLICY
        assert "1. Gitea or Forgejo" in answer.text
        assert client.get(f"{PAGE}/done").headers["location"] == PAGE, "nothing is done yet"


def test_what_is_typed_is_looked_at_and_every_missing_scope_is_named(start: FirstStart, gitea: FakeGitea) -> None:
    with start.entered() as client:
        assert look(client, url=gitea.url) == {"gitea": "well", "clock": "well"}
        assert look(client, url=gitea.url, token="no-good-token")["token"] == "wrong"
        answer = send(client, "gitea", url=gitea.url, token=gitea.token_for(BOT, ["read:issue"]))
        assert answer.headers["location"] == PAGE
        text = shown(client)
        for scope in BOT_SCOPES:
            assert f"the token lacks the scope {scope}" in text
        assert f'href="{gitea.url}/user/settings/applications"' in text
        assert "3. Repositories" not in text
        send(client, "gitea", url=f"{gitea.url}/", token=gitea.token_for(BOT))
        assert "3. Repositories" in shown(client)


@pytest.mark.parametrize("flavour", ["gitea", "forgejo"])
def test_gitea_and_forgejo_are_told_apart(start: FirstStart, tmp_path: Path, flavour: str) -> None:
    with FakeGitea(tmp_path / "other", flavour=flavour) as other, start.entered() as client:  # type: ignore[arg-type]
        other.user(BOT)
        send(client, "gitea", url=other.url, token=other.token_for(BOT))
        text = shown(client)
        assert f"gitea: {'Forgejo' if flavour == 'forgejo' else 'Gitea'} " in text
        assert f"{BOT} is an administrator of no repository yet" in text


def test_each_repository_is_shown_with_what_the_bot_may_there(
    inside: tuple[FirstStart, httpx.Client], gitea: FakeGitea
) -> None:
    text = shown(inside[1])
    assert 'name="repo:acme/widgets"' in text
    assert f"{gitea.url}/acme/gadgets/settings/collaboration" in text
    assert f"{gitea.url}/acme/widgets/settings/collaboration" not in text


def test_what_is_no_gitea_is_said_to_be_none(start: FirstStart) -> None:
    with answering() as other, start.entered() as client:
        other.says(200, b"<html>hello")
        assert look(client, url=other.url, token="a-token-of-mine") == {"gitea": "wrong"}
        assert [given for _, _, given, _ in other.seen] == [""], "the token is for a Gitea alone"


def test_nobody_at_an_address_is_said(start: FirstStart) -> None:
    with start.entered() as client:
        send(client, "gitea", url=f"http://127.0.0.1:{free_port()}", token="a-token")
        assert "nothing listens there" in shown(client)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("git.example.com/", "https://git.example.com"),
        (" localhost:3000 ", "http://localhost:3000"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("http://git.example.com/gitea", "http://git.example.com/gitea"),
    ],
)
def test_an_address_may_be_typed_without_its_scheme(typed: str, address: str) -> None:
    assert candidate.address_of(typed) == address


@pytest.mark.parametrize("end", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", None], ids=["answers", "closes", "resets"])
def test_where_no_tls_is_spoken_that_is_said(end: bytes | None) -> None:
    """Servers differ in what they do with the first words of TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=_answer_in_plain, args=(server, end))
        answering.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        found = candidate.look(f"https://{address}").findings[0]
        answering.join()
    assert "no TLS is spoken there" in found.what
    assert found.cure == f"curl -v http://{address}/api/v1/version"


def _answer_in_plain(server: socket.socket, end: bytes | None) -> None:
    """One connection: these bytes and its end, or, without any, a reset."""
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        if end is None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            connection.sendall(end)


def test_the_token_is_never_shown_again(start: FirstStart, gitea: FakeGitea) -> None:
    lacking = gitea.token_for(BOT, ["read:user"])
    good = gitea.token_for(BOT)
    with start.entered() as client:
        for token in (lacking, good):
            answer = send(client, "gitea", url=gitea.url, token=token)
            assert token not in answer.text + str(answer.headers) + shown(client)


def test_what_is_set_already_is_not_asked_for(tmp_path: Path, gitea: FakeGitea) -> None:
    (tmp_path / "kugetsu.toml").write_text(f"# mine\nrepos = ['acme/*']\n\n[servers.gitea]\nurl = '{gitea.url}'\n")
    with first_start(tmp_path, PUBLIC_URL="http://localhost:8420") as start, start.entered() as client:
        assert 'name="url"' not in shown(client)
        assert look(client, token="0" * 40)["token"] == "wrong"
        send(client, "gitea", token=gitea.token_for(BOT))
        text = shown(client)
        assert 'name="which"' not in text
        assert 'name="public_url"' not in text
        assert send(client, "finish").status_code == 200
    assert "\n# mine\nrepos = ['acme/*']\n" in start.file.read_text()
    server = load(start.environ).servers["gitea"]
    assert (server.url, server.token is not None, len(server.webhook_secrets)) == (gitea.url, True, 1)


# What is written


def choose(start: FirstStart, gitea: FakeGitea, **fields: str) -> tuple[int, str]:
    """Go through all of it; the last answer."""
    with start.entered() as client:
        send(client, "gitea", url=gitea.url, token=gitea.token_for(BOT))
        answer = send(client, "finish", **fields)
        return answer.status_code, answer.text


ALL = {"which": "all", "public_url": "http://127.0.0.1:8420"}


def test_the_settings_are_written_for_their_owner_alone(start: FirstStart, gitea: FakeGitea) -> None:
    assert choose(start, gitea, **ALL)[0] == 200
    assert start.file.stat().st_mode & 0o777 == 0o600
    settings = load(start.environ)
    assert (settings.gitea_url, settings.repos, settings.admin_token) == (gitea.url, ("*",), None)
    assert len(settings.webhook_secret[0].get_secret_value()) == 64
    assert start.setting_up.finished
    wait_until("the end of the process to be asked for", lambda: start.ended == [None])


@pytest.mark.parametrize(
    ("fields", "repos"),
    [
        ({"which": "patterns", "patterns": "acme/*, !acme/secret"}, ("acme/*", "!acme/secret")),
        ({"which": "ticked", "repo:acme/widgets": "on", "repo:acme/gadgets": "on"}, ("acme/widgets", "acme/gadgets")),
    ],
)
def test_repositories_are_chosen_by_pattern_or_by_tick(
    start: FirstStart, gitea: FakeGitea, fields: dict[str, str], repos: tuple[str, ...]
) -> None:
    assert choose(start, gitea, **{**ALL, **fields})[0] == 200
    assert load(start.environ).repos == repos


def test_beyond_loopback_a_token_of_the_pages_is_made_and_shown_once(tmp_path: Path, gitea: FakeGitea) -> None:
    with first_start(tmp_path, HOST="0.0.0.0") as start:
        _, text = choose(start, gitea, **ALL)
        token = load(start.environ).admin_token
        assert token is not None
        assert text.count(token.get_secret_value()) == 1
        assert "http-equiv" not in text, "nobody is led away from it"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"which": "ticked"}, "o repository is chosen"),
        ({"which": "patterns", "patterns": " , "}, "o repository is chosen"),
        ({"which": "patterns", "patterns": "nonsense"}, "OWNER/NAME"),
        ({"public_url": ""}, "under which Gitea finds Kugetsu is missing"),
        ({"public_url": "ftp://here"}, "an address like https://gitea.example.com"),
    ],
)
def test_what_is_not_chosen_is_named_and_nothing_is_written(
    inside: tuple[FirstStart, httpx.Client], fields: dict[str, str], words: str
) -> None:
    start, client = inside
    answer = send(client, "finish", **{**ALL, **fields})
    assert (answer.status_code, words in answer.text) == (409, True)
    assert (start.file.exists(), start.setting_up.finished, start.ended) == (False, False, [])


def test_before_gitea_answers_nothing_can_be_written(start: FirstStart) -> None:
    with start.entered() as client:
        assert send(client, "finish", **ALL).status_code == 409
    assert not start.file.exists()


def test_a_service_that_was_set_up_by_hand_meanwhile_is_left_as_it_is(start: FirstStart, gitea: FakeGitea) -> None:
    mine = "gitea_url = 'https://mine.example.com'\ngitea_token = 'mine'\n"
    start.file.write_text(mine)
    status, text = choose(start, gitea, **ALL)
    assert (status, "has gitea_token, gitea_url already" in text, start.file.read_text()) == (409, True, mine)


def test_afterwards_the_page_is_closed_for_good(start: FirstStart, gitea: FakeGitea, tmp_path: Path) -> None:
    with start.entered() as client:
        send(client, "gitea", url=gitea.url, token=gitea.token_for(BOT))
        word = {"csrf": client.get(PAGE).text.split('name="csrf" value="')[1].split('"')[0]}
        assert client.post(f"{PAGE}/finish", data={**ALL, **word}).status_code == 200
        written = start.file.read_text()
        for what in ("gitea", "finish", "other", "look"):
            assert client.post(f"{PAGE}/{what}", data={**ALL, **word}).status_code == 403
        assert client.get(PAGE).status_code == 403
        assert client.post(f"{PAGE}/code", data={"code": start.code}).status_code == 403
        assert "Starting" in shown(client, f"{PAGE}/done")
    assert start.file.read_text() == written
    with running(settings_for(make(tmp_path / "next"))) as site:
        assert site.client.get(PAGE, headers=BROWSER).status_code == 410
        for what in ("code", "gitea", "finish", "other", "look"):
            assert site.client.post(f"{PAGE}/{what}", data=ALL).status_code in (404, 405)


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


# The code


def test_the_code_can_be_typed_as_it_comes() -> None:
    codes = {new_code() for _ in range(100)}
    assert len(codes) == 100
    assert plain(" abcd efgh-2345 ") == "ABCDEFGH2345"


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("http://127.0.0.1:8420", "http://127.0.0.1:8420/admin/setup"),
        ("http://0.0.0.0:80", "http://127.0.0.1:80/admin/setup"),
        ("http://[::]:8420", "http://[::1]:8420/admin/setup"),
        ("http://192.0.2.7:8420", ""),
    ],
)
def test_the_page_that_is_named_is_on_loopback(address: str, page: str) -> None:
    assert page_at(address) == page


def test_outside_a_terminal_a_file_for_its_owner_has_the_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed there may end in a log."""
    invitation = Invitation(tmp_path, "ABCD-EFGH-2345")
    invitation.tell("http://127.0.0.1:8420")
    said = capsys.readouterr().out
    file = tmp_path / "setup.code"
    assert ("ABCD" in said, str(file) in said, file.read_text()) == (False, True, "ABCD-EFGH-2345\n")
    assert file.stat().st_mode & 0o777 == 0o600
    invitation.withdraw()
    assert not os.listdir(tmp_path)  # noqa: PTH208
