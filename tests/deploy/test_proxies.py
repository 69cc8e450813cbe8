"""The proxies of deploy/proxy in front of the service, and what visitors try who come through one."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from models.tables import Job
from tests.deploy import proxies
from tests.deploy.proxies import NAIVE, Proxy
from tests.unit.deliveries import recorded, secret, signed_headers
from tests.unit.test_jobs_pages import ask
from tests.unit.test_streams import STREAM, Events, say
from tests.unit.test_webhook_app import spoken
from tests.unit.website import Website, running, settings_for
from webhook import body, peers
from webhook.attempts import MOST
from webhook.body import LIMIT
from webhook.doorkeeper import REFUSALS

TOKEN = "a-long-admin-token-of-the-test"
COMMENT = recorded()["issue_comment-created"]
FORGED = {**COMMENT.headers, "X-Gitea-Signature": "0" * 64, "X-Hub-Signature-256": f"sha256={'0' * 64}"}
KINDS = {"nginx": proxies.nginx, "caddy": proxies.caddy}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a proxy an account of its own")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Website]:
    """As a proxy in front of it wants it to be set up."""
    with running(settings_for(tmp_path, TRUSTED_PROXIES="127.0.0.1", ADMIN_TOKEN=TOKEN)) as website:
        yield website


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Website]:
    """Where nobody has thought of an admin token."""
    with running(settings_for(tmp_path)) as website:
        yield website


@pytest.fixture(params=KINDS)
def example(request: pytest.FixtureRequest) -> Callable[[Website], AbstractContextManager[Proxy]]:
    return KINDS[request.param]


Example = Callable[[Website], AbstractContextManager[Proxy]]


def test_webhooks_come_through_up_to_our_own_limit(example: Example, site: Website) -> None:
    text = spoken("/kugetsu mend it", comment_id=1)
    with example(site) as proxy, proxy.visitor() as gitea:
        headers = signed_headers(text, COMMENT.event_type, secret())
        assert gitea.post("/webhook", content=text, headers=headers).status_code == 202
        large = b'{"text": "%s"}' % (b"x" * (LIMIT - 1000))
        signed = signed_headers(large, COMMENT.event_type, secret())
        assert gitea.post("/webhook", content=large, headers=signed).status_code in (200, 400)
        assert gitea.post("/webhook", content=b"x" * (LIMIT + 1), headers=headers).status_code == 413
    assert [delivery.body for delivery in site.stored()][:1] == [text.decode()]


def test_what_is_too_large_is_called_so_however_late_the_service_sees_it(
    example: Example, site: Website, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy's own limit would be reached first, and Caddy's answer to that is 502."""
    monkeypatch.setattr(body, "_announced", lambda _: 0)
    with example(site) as proxy, proxy.visitor() as gitea:
        headers = signed_headers(b"{}", COMMENT.event_type, secret())
        assert gitea.post("/webhook", content=b"x" * (LIMIT + 1), headers=headers).status_code == 413


def test_a_log_arrives_as_it_is_written(example: Example, site: Website) -> None:
    ask(site, 7)
    with site.database.connection_context():
        now = {"state": "running", "worker": "w1", "lease_until": 1e10, "started_at": 1.0}
        Job.update(**now).execute(site.database)
    (site.settings.home / "jobs/1/run-1").mkdir(parents=True)
    say(site, "one")
    headers = {**STREAM, "Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip"}
    with (
        example(site) as proxy,
        proxy.visitor() as client,
        client.stream("GET", "/admin/jobs/1/log", headers=headers) as answer,
    ):
        events = Events(answer)
        events.until("one")
        for word in ("two", "three"):  # each is only written when the one before has arrived
            say(site, word)
            events.until(word)


def test_each_visitor_is_known_by_an_address_of_their_own(example: Example, site: Website) -> None:
    with example(site) as proxy, proxy.visitor("127.0.0.2") as flood, proxy.visitor("127.0.0.3") as other:
        answers = [knock(flood, number) for number in range(REFUSALS + 20)]
        assert (answers[0], answers[-1]) == (401, 429), "naming other addresses does not help"
        assert knock(other, 0) == 401


def test_without_trust_in_the_proxy_all_would_be_one(open_site: Website) -> None:
    """The control."""
    with (
        proxies.nginx(open_site) as proxy,
        proxy.visitor("127.0.0.2") as flood,
        proxy.visitor("127.0.0.3") as other,
    ):
        answers = [knock(flood, number) for number in range(REFUSALS + 20)]
        assert (answers[-1], knock(other, 0)) == (429, 429)


def knock(client: httpx.Client, number: int) -> int:
    """A forged delivery that says it comes from yet another address."""
    headers = {**FORGED, "X-Forwarded-For": f"198.51.100.{number}"}
    return client.post("/webhook", content=b"{}" * 512 * 1024, headers=headers).status_code


def test_who_guesses_the_token_shuts_nobody_else_out(example: Example, site: Website) -> None:
    def look(client: httpx.Client, token: str) -> int:
        return client.get("/admin/status", headers={"Authorization": f"Bearer {token}"}).status_code

    with example(site) as proxy, proxy.visitor("127.0.0.2") as guesser, proxy.visitor("127.0.0.3") as admin:
        assert {look(guesser, "a-guess") for _ in range(MOST)} == {401}
        assert look(guesser, TOKEN) == 429
        assert look(admin, TOKEN) == 200


@pytest.mark.parametrize("path", ["/admin", "/admin/status", "/metrics"])
def test_visitors_are_not_taken_for_this_machine(example: Example, open_site: Website, path: str) -> None:
    with example(open_site) as proxy, proxy.visitor() as stranger:
        assert stranger.get(path).status_code == 403
        as_if_here = stranger.get(path, headers={"Host": "localhost"})
        assert as_if_here.status_code == 403 or not as_if_here.content, (
            "Caddy answers names that it does not know itself"
        )
    assert httpx.get(f"{open_site.url}{path}", trust_env=False).status_code == 200


@as_root
def test_nor_where_the_proxy_says_nothing_of_them(open_site: Website) -> None:
    with proxies.nginx(open_site, NAIVE) as proxy, proxy.visitor() as stranger:
        refused = stranger.get("/admin/status")
        assert (refused.status_code, "such as a proxy's" in refused.json()["error"]) == (403, True)
        assert stranger.post("/admin/pause", json={}).status_code == 403


@as_root
def test_they_would_be_if_loopback_were_enough(open_site: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(peers, "may_be_a_proxy", lambda *_: False)
    with proxies.nginx(open_site, NAIVE) as proxy, proxy.visitor() as stranger:
        assert stranger.get("/admin/status").status_code == 200
        assert stranger.post("/admin/pause", json={}).status_code == 200
