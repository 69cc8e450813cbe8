"""The agent turns against the gateway: it wants the key, somebody else's calls, or calls for nothing."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from jobs.gateway import app, calls
from jobs.gateway.veil import Veil
from models import spending
from models.side_tables import Account
from tests.fakes.provider import Answer, FakeProvider, chat, stream, whole
from tests.unit.gateways import KEY, Setting, gateway


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    with gateway(tmp_path_factory.mktemp("gateway")) as made:
        yield made


@pytest.fixture
def setting(shared: Setting) -> Setting:
    """A gateway whose provider has not been asked anything yet."""
    shared.provider.asked.clear()
    shared.provider.answer(chat("Hello."))
    return shared


@pytest.fixture(scope="module")
def tokens(shared: Setting) -> dict[str, str]:
    """What an agent may have got hold of."""
    (over, of_over), (again, first) = shared.job(), shared.job()
    shared.end(over)
    spending.open_account(shared.db, again)
    digest = Account.select(Account.token).where(Account.job == again).scalar(shared.db)
    return {
        "nothing": "",
        "a guess": "kugetsu-" + "A" * 43,
        "of a job that is over": of_over,
        "of an earlier run": first,
    } | {"its digest": str(digest)}


@pytest.mark.parametrize("which", ["nothing", "a guess", "of a job that is over", "of an earlier run", "its digest"])
def test_a_token_that_is_not_that_of_a_running_job(setting: Setting, tokens: dict[str, str], which: str) -> None:
    answer = setting.call(tokens[which])
    assert answer.status_code == (403 if which == "of a job that is over" else 401)
    assert setting.provider.asked == []
    assert KEY not in answer.text


def test_without_the_look_at_the_token_it_would_go_through(
    setting: Setting, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(spending, "caller", lambda *_: spending.Caller(1, over=False))
    assert setting.call(tokens["a guess"]).status_code == 200
    assert setting.provider.asked[0].headers["authorization"] == f"Bearer {KEY}"


ELSEWHERE = (
    "/acme/files",
    "/acme/models",
    "/acme/chat/completions/",
    "/acme/chat/completions/../../files",
    "/acme/chat/completions%2f..%2f..%2ffiles",
    "/acme/%2e%2e/files",
    "/acme//chat/completions",
    "/acme/messages",
    "/nobody/chat/completions",
    "/acme",
    "/",
    "/acme/http://127.0.0.1:1/v1/chat/completions",
    "/acme@127.0.0.1:1/chat/completions",
)


@pytest.mark.parametrize("path", ELSEWHERE)
def test_another_place_of_the_provider_or_another_host(setting: Setting, path: str) -> None:
    _, token = setting.job()
    assert raw(setting.url, "POST", path, token).startswith("HTTP/1.1 404")
    assert setting.provider.asked == []


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_another_method(setting: Setting, method: str) -> None:
    _, token = setting.job()
    assert raw(setting.url, method, "/acme/chat/completions", token).startswith("HTTP/1.1 404")
    assert setting.provider.asked == []


def test_a_whole_address_and_another_hosts_name_lead_nowhere_else(setting: Setting) -> None:
    _, token = setting.job()
    with FakeProvider() as thief:
        whole_address = f"{thief.url}/acme/chat/completions"
        raw(setting.url, "POST", whole_address, token, f"Host: {urlsplit(thief.url).netloc}")
        raw(setting.url, "POST", "/acme/chat/completions", token, f"Host: {urlsplit(thief.url).netloc}")
        assert thief.asked == []


def test_without_the_list_of_paths_everything_of_the_account_would_be_open(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(calls, "PATHS", {"openai": {"files"}, "anthropic": set()})
    _, token = setting.job()
    setting.call(token, "/acme/files")
    assert [asked.path for asked in setting.provider.asked] == ["/v1/files"]


def raw(url: str, method: str, target: str, token: str, *headers: str) -> str:
    """The answer to a request whose target is sent as it is: clients tidy paths up."""
    at, body = urlsplit(url), b'{"model":"big"}'
    lines = [f"{method} {target} HTTP/1.1", *(headers or (f"Host: {at.netloc}",)), f"Authorization: Bearer {token}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close", "", ""]
    with socket.create_connection((at.hostname or "", at.port or 0), timeout=20) as wire:
        wire.sendall("\r\n".join(lines).encode() + body)
        return b"".join(iter(lambda: wire.recv(65536), b"")).decode(errors="replace")


def test_a_provider_that_sends_elsewhere_does_not_make_the_key_go_there(setting: Setting) -> None:
    _, token = setting.job()
    with FakeProvider() as thief:
        setting.provider.answer(
            Answer(status=307, headers={"Location": f"{thief.url}/v1/messages", "Content-Length": "0"})
        )
        answer = setting.call(token, "/claude/messages")
        assert answer.status_code == 502
        assert "location" not in answer.headers
        assert thief.asked == []


def test_a_client_that_follows_would_bring_it_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: Anthropic's header is one that clients do not take for a secret."""
    monkeypatch.setattr("tests.unit.gateways.new_client", lambda: httpx.AsyncClient(follow_redirects=True))
    with FakeProvider() as thief, gateway(tmp_path) as setting:
        setting.provider.answer(
            Answer(status=307, headers={"Location": f"{thief.url}/v1/messages", "Content-Length": "0"})
        )
        _, token = setting.job()
        setting.call(token, "/claude/messages")
        assert thief.asked[0].headers["x-api-key"] == KEY


FORMS = {
    "plain": KEY,
    "base64": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "hex": KEY.encode().hex(),
    "url": quote(KEY).replace("-", "%2D"),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_error_that_repeats_what_was_sent(setting: Setting, form: str) -> None:
    _, token = setting.job()
    setting.provider.answer(whole({"error": {"message": f"bad request with {FORMS[form]}"}}, 400, X_Request_Id=KEY))
    answer = setting.call(token)
    assert answer.status_code == 400
    assert "bad request with [secret removed]" in answer.text or form == "base64"
    assert FORMS[form][8:] not in answer.text
    assert KEY not in str(answer.headers)


def test_an_answer_that_repeats_the_key_in_pieces(setting: Setting) -> None:
    _, token = setting.job()
    whole_text = f"data: your key is {KEY}, and {KEY[:9]} is a part of it\n\n".encode()
    setting.provider.answer(stream(*(whole_text[at : at + 3] for at in range(0, len(whole_text), 3))))
    answer = setting.call(token)
    assert KEY not in answer.text
    assert answer.text == f"data: your key is [secret removed], and {KEY[:9]} is a part of it\n\n"


def test_without_the_veil_it_would_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(app, "Veil", lambda _secrets: Veil([]))
    with gateway(tmp_path) as setting:
        setting.provider.answer(whole({"error": f"bad key {KEY}"}, 401))
        _, token = setting.job()
        assert KEY in setting.call(token).text


def test_headers_of_the_agents_own(setting: Setting) -> None:
    """It can neither put its own key in the place of ours, nor tell the provider more than a model needs."""
    _, token = setting.job()
    headers = {"X-Api-Key": token, "Cookie": "a=b", "X-Forwarded-For": "1.2.3.4", "OpenAI-Organization": "org-other"}
    body = {"model": "claude", "messages": []}
    httpx.post(f"{setting.url}/claude/messages", json=body, headers=headers, trust_env=False)
    (asked,) = setting.provider.asked
    assert asked.headers["x-api-key"] == KEY
    assert not {"cookie", "x-forwarded-for", "openai-organization", "authorization"} & set(asked.headers)


def test_a_key_given_twice_means_one_thing_to_all(setting: Setting) -> None:
    """Else a cheap model would be counted, and a dear one answer."""
    _, token = setting.job()
    body = b'{"model":"cheap","model":"big","messages":[]}'
    headers = {"Authorization": f"Bearer {token}"}
    httpx.post(f"{setting.url}/acme/chat/completions", content=body, headers=headers, trust_env=False)
    assert setting.provider.asked[0].body.count(b'"model"') == 1
    assert setting.provider.asked[0].json["model"] == "big"


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff\xfe", b'{"model": 7}', b"[" * 5000])
def test_what_is_no_call_of_a_model(setting: Setting, body: bytes) -> None:
    _, token = setting.job()
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(f"{setting.url}/acme/chat/completions", content=body, headers=headers, trust_env=False)
    assert answer.status_code == 400
    assert json.loads(answer.text)["error"]["type"] == "kugetsu_invalid_request"
    assert setting.provider.asked == []
