"""Somebody who knows no secret tries to keep the endpoint busy, and somebody whose comment is signed by Gitea, too."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from models import intake
from tests.unit.deliveries import recorded
from tests.unit.test_webhook_app import spoken
from tests.unit.website import Website, running, settings_for
from webhook import app, body, signers
from webhook.doorkeeper import FEW, REFUSALS, SMALL, Busy, Doorkeeper

COMMENT = recorded()["issue_comment-created"]
FORGED = {**COMMENT.headers, "X-Gitea-Signature": "0" * 64, "X-Hub-Signature-256": f"sha256={'0' * 64}"}
UNSIGNED = {"Content-Type": "application/json"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Website]:
    with running(settings_for(tmp_path)) as website:
        yield website


def hammer(site: Website, times: int, headers: Mapping[str, str] = FORGED) -> list[int]:
    return [site.client.post("/webhook", content=b"{}", headers=headers).status_code for _ in range(times)]


def test_who_only_tries_is_turned_away_unread(
    site: Website, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert set(hammer(site, REFUSALS + 20)) == {401}
    caplog.clear()
    read: list[Request] = []
    monkeypatch.setattr(body, "read", read.append)
    answer = site.client.post("/webhook", content=b"{}" * SMALL, headers=FORGED)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, app.RETRY_AFTER)
    assert hammer(site, 1, UNSIGNED) == [429]
    assert read == []
    assert caplog.records == []


def test_without_a_limit_everything_is_read(site: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(Doorkeeper, "_check", lambda *_: None)
    hammer(site, REFUSALS + 20)
    read: list[int] = []
    gather = body._gather

    async def noted(request: Request, limit: int) -> bytes:
        read.append(1)
        return await gather(request, limit)

    monkeypatch.setattr(body, "_gather", noted)
    assert site.client.post("/webhook", content=b"{}" * SMALL, headers=FORGED).status_code == 401
    assert read == [1]


def test_gitea_is_not_shut_out_by_who_shares_its_address(site: Website) -> None:
    hammer(site, REFUSALS + 20)
    assert site.deliver(spoken("/kugetsu make it spin", comment_id=1)).status_code == 202


def test_what_holds_no_signature_is_not_read(site: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Request] = []
    monkeypatch.setattr(body, "read", read.append)
    assert hammer(site, 1, UNSIGNED) == [401]
    assert read == []


def asked(host: str, **headers: str) -> tuple[Request, dict[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [(name.encode(), line.encode()) for name, value in named.items() for line in value.split("\n")]
    return Request({"type": "http", "client": (host, 1), "headers": lines}), named


def test_bodies_that_are_being_read_are_bounded() -> None:
    doorkeeper = Doorkeeper()
    with ExitStack() as held:
        for _ in range(6):
            held.enter_context(doorkeeper.reading(*asked("203.0.113.7", content_length=str(body.LIMIT))))
        with pytest.raises(Busy, match="being read now") as busy:
            held.enter_context(doorkeeper.reading(*asked("203.0.113.7", content_length="1")))
    assert busy.value.status == 503
    with ExitStack() as held:
        for number in range(16):
            held.enter_context(doorkeeper.reading(*asked(f"203.0.113.{number}", content_length=str(body.LIMIT))))
        with pytest.raises(Busy):
            held.enter_context(doorkeeper.reading(*asked("198.51.100.1", content_length=str(body.LIMIT))))
    with doorkeeper.reading(*asked("198.51.100.1", content_length=str(body.LIMIT))):
        pass


def test_only_a_few_at_once_of_who_only_tries() -> None:
    doorkeeper, (request, headers) = Doorkeeper(clock=lambda: 0.0), asked("203.0.113.7", x_gitea_signature="0" * 64)
    headers["content-length"] = "9"
    for _ in range(REFUSALS + 2):
        doorkeeper.refused(request)
    with ExitStack() as held:
        for _ in range(FEW):
            held.enter_context(doorkeeper.reading(request, headers))
        with pytest.raises(Busy) as busy:
            held.enter_context(doorkeeper.reading(request, headers))
    assert busy.value.status == 429


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.9\n198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "?"),
        ("2001:db8::1", "", "2001:db8::/64"),
    ],
)
def test_only_a_trusted_proxy_says_for_whom_it_speaks(peer: str, forwarded: str, source: str) -> None:
    doorkeeper = Doorkeeper([ip_network("10.0.0.0/8")])
    assert doorkeeper.source_of(asked(peer, x_forwarded_for=forwarded)[0]) == source


def answers_meanwhile(site: Website, monkeypatch: pytest.MonkeyPatch, seconds: float) -> bool:
    """Whether somebody else is answered while a comment, signed by Gitea, takes long to be understood."""
    began, answered, seen = threading.Event(), threading.Event(), []

    def slow(*given: Any, **named: Any) -> intake.Decision:
        began.set()
        seen.append(answered.wait(seconds))
        return intake.decide(*given, **named)

    monkeypatch.setattr(app, "decide", slow)
    text = spoken("/kugetsu " + "[" * 8000, comment_id=1)
    assert len(text) < signers.LARGE, "it is short enough to be parsed on the event loop"
    with ThreadPoolExecutor(2) as pool:
        delivered = pool.submit(site.deliver, text)
        assert began.wait(10)
        looked = pool.submit(site.client.get, "/healthz")
        looked.add_done_callback(lambda _: answered.set())
        assert (delivered.result(20).status_code, looked.result(20).status_code) == (202, 200)
    return bool(seen[0])


def test_a_hostile_comment_keeps_nobody_waiting(site: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answers_meanwhile(site, monkeypatch, 10)


def test_on_the_event_loop_it_would(site: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(app, "LONG_COMMENT", 10**9)
    assert not answers_meanwhile(site, monkeypatch, 0.5)


def test_an_unknown_signature_is_answered_as_a_missing_one(site: Website) -> None:
    missing = site.client.post("/webhook", content=b"{}", headers=UNSIGNED)
    wrong = site.client.post("/webhook", content=b"{}", headers=FORGED)
    assert (missing.status_code, missing.json()["detail"]) == (wrong.status_code, wrong.json()["detail"])
