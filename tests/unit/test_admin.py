import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import httpx
import pytest
from peewee import Model
from pydantic import SecretStr
from starlette.requests import Request

from models import store
from models.intake import Look
from models.store import Incoming, NewDelivery
from models.tables import Intake, Job, Repo, Server, Thread, Worker
from tests.unit.deliveries import recorded
from tests.unit.website import Website, running, settings_for
from webhook import peers
from webhook.admin import refusal

NOW = 1_782_900_000.0
"""2026-07-01T10:00:00Z."""


class DiskUsage(NamedTuple):
    """What shutil.disk_usage answers."""

    total: int
    used: int
    free: int


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Website]:
    with running(settings_for(tmp_path), clock=lambda: NOW) as website:
        yield website


def put(site: Website, model: type[Model], **values: object) -> int:
    with site.database.connection_context():
        return int(model.insert(**values).execute(site.database))


def put_worker(site: Website, *, seen_at: float = NOW) -> None:
    put(
        site,
        Worker,
        name="w1",
        host="here",
        pid=4711,
        started_at=NOW - 60,
        seen_at=seen_at,
        sandbox="bwrap",
        agent="1.18.3",
    )


def put_server(site: Website, **values: object) -> None:
    known = {
        "name": "gitea",
        "url": "https://gitea.example.com",
        "version": "1.27.0",
        "bot_id": 9,
        "bot_login": "mender",
    }
    put(site, Server, **{**known, "ok": True, "problem": "", "checked_at": NOW - 5, **values})


def request(
    *, client: str | None = "127.0.0.1", host: str = "localhost:8420", more: Sequence[tuple[str, str]] = ()
) -> Request:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in [("host", host), *more]]
    ends = {"client": (client, 50000) if client else None, "server": ("127.0.0.1", 8420)}
    return Request({"type": "http", "headers": headers, **ends})


def status_of(refused: Request, token: str | None = None) -> int | None:
    with patch.object(peers, "may_be_an_agent", return_value=False):
        answer = refusal(refused, SecretStr(token) if token else None)
    return answer.status_code if answer else None


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost", "localhost:8420", "LocalHost:80", "127.0.0.1:8420", "[::1]:8420"])
def test_without_a_token_this_machine_is_served(client: str, host: str) -> None:
    assert status_of(request(client=client, host=host)) is None


@pytest.mark.parametrize("client", ["192.0.2.7", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "testclient", "", None])
def test_without_a_token_no_other_machine_is_served(client: str | None) -> None:
    assert status_of(request(client=client)) == 403


@pytest.mark.parametrize(
    "host",
    [
        "",
        "kugetsu.example.com",
        "127.0.0.1.example.com",
        "localhost.example.com",
        "10.0.0.1",
        "0.0.0.0",
        "[::1",
        "[x]",
        "a@b:c",
    ],
)
def test_without_a_token_a_name_of_elsewhere_is_not_served(host: str) -> None:
    assert status_of(request(host=host)) == 403


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "Via"])
def test_without_a_token_nothing_is_served_through_a_proxy(header: str) -> None:
    assert status_of(request(more=[(header, "127.0.0.1")])) == 403


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer x", "Basic s3cret", "s3cret", "Bearer s3cret2", "Bearer \xff"]
)
def test_with_a_token_nobody_is_served_without_it(given: str) -> None:
    assert status_of(request(more=[("Authorization", given)]), "s3cret") == 401
    assert status_of(request(), "s3cret") == 401


def test_with_a_token_everybody_who_has_it_is_served() -> None:
    far = request(client="192.0.2.7", host="kugetsu.example.com", more=[("Authorization", "bearer s3cret")])
    assert status_of(far, "s3cret") is None


def test_the_status_asks_for_the_token(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, ADMIN_TOKEN="s3cret")) as site:
        refused = site.client.get("/admin/status")
        assert (refused.status_code, list(refused.json())) == (401, ["error"])
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert site.client.get("/admin/status", headers={"Authorization": "Bearer s3cret"}).status_code == 200


def test_the_status_of_a_new_service_says_what_is_missing(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, GITEA_URL="", GITEA_TOKEN="")) as site:
        status = site.client.get("/admin/status").json()
    assert set(status) == {
        "version", "capacity", "workers", "jobs", "deliveries", "repos", "gitea", "agent", "sandbox",
        "credentials", "spending", "storage",
    }  # fmt: skip
    assert status["capacity"] == {"limit": 3, "running": 0, "queued": 0, "paused": False, "reason": ""}
    assert status["workers"] == []
    assert status["repos"] == []
    assert status["gitea"]["gitea"]["problem"] == "its url and its token not set"
    assert status["storage"]["database_bytes"] > 0
    assert status["storage"]["problem"] == ""
    assert status["sandbox"] == {"asked": "auto", "kind": None, "reason": "no worker has looked yet"}


def test_the_status_of_a_service_at_work(site: Website) -> None:
    put_worker(site)
    put_server(site)
    repo = put(site, Repo, server="gitea", name="acme/widgets")
    thread = put(site, Thread, server="gitea", repo=repo, issue=12, updated_at=NOW)
    job: dict[str, Any] = {"thread": thread, "repo": repo, "recipe": "code", "asked_by": "alice", "asked_at": NOW}
    put(site, Job, **job, state="running", worker="w1", lease_until=NOW + 60)
    put(site, Job, **job, state="queued")
    put(site, Job, **job, state="done", outcome="completed")
    with site.database.connection_context():
        Intake.update(paused=True, reason="the disk is full").execute(site.database)
    status = site.client.get("/admin/status").json()
    assert status["capacity"] == {
        "limit": 3,
        "running": 1,
        "queued": 1,
        "paused": True,
        "reason": "the disk is full",
    }
    (worker,) = status["workers"]
    assert (worker["name"], worker["pid"], worker["alive"]) == ("w1", 4711, True)
    assert worker["seen_at"] == "2026-07-01T10:00:00Z"
    assert {name: count for name, count in status["jobs"].items() if count} == {
        "running": 1,
        "queued": 1,
        "done": 1,
        "completed": 1,
    }
    assert [(repo["server"], repo["repo"], repo["jobs"]) for repo in status["repos"]] == [("gitea", "acme/widgets", 3)]
    assert status["gitea"]["gitea"] == {
        "url": "https://gitea.example.com",
        "version": "1.27.0",
        "bot": "mender",
        "ok": True,
        "problem": "",
        "checked_at": "2026-07-01T09:59:55Z",
    }
    assert status["agent"]["version"] == "1.18.3"
    assert status["sandbox"]["kind"] == "bwrap"


def test_deliveries_are_counted_by_verdict(site: Website) -> None:
    comment = json.loads(recorded()["issue_comment-created"].body)
    comment["comment"]["body"] = "/kugetsu go on"
    text = json.dumps(comment).encode()
    for _ in range(2):
        site.deliver(text)
    site.deliver(b"{}", "push")
    site.deliver(b"{}", "push", key="wrong")
    with site.database.connection_context():
        found = NewDelivery(
            server="gitea", source="reconcile", uuid="", event_type="", headers={}, body="", received_at=NOW
        )
        store.accept_many(site.database, [Incoming(found, Look("acme/widgets", 12, is_pull=False))])
    counts = site.client.get("/admin/status").json()["deliveries"]
    assert counts == {"accepted": 2, "duplicate": 1, "ignored": 1, "recovered": 1, "refused": 1}


def ready(site: Website) -> httpx.Response:
    return site.client.get("/readyz")


def test_a_service_that_has_all_it_needs_is_ready(site: Website) -> None:
    put_worker(site)
    put_server(site)
    answer = ready(site)
    assert (answer.status_code, answer.json()["reasons"]) == (200, [])
    assert answer.json()["checks"] == {"database": True, "workers": True, "gitea": True, "disk": True}


def test_without_a_worker_it_is_not_ready(site: Website) -> None:
    put_server(site)
    assert ready(site).json()["reasons"] == ["no worker has been heard of for 30 seconds"]
    put_worker(site, seen_at=NOW - 31)
    answer = ready(site)
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": True, "workers": False, "gitea": True, "disk": True}


def test_the_reason_names_what_is_wrong_with_gitea(site: Website) -> None:
    put_worker(site)
    assert ready(site).json()["reasons"] == ["gitea: no worker has looked at it yet"]
    put_server(site, ok=False, problem="the token lacks the scope write:issue")
    assert ready(site).json()["reasons"] == ["gitea: the token lacks the scope write:issue"]


def test_the_reason_names_the_settings_that_are_missing(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, GITEA_URL="", GITEA_TOKEN="", WEBHOOK_SECRET="")) as site:
        (first, *_) = [reason for reason in ready(site).json()["reasons"] if "worker" not in reason]
    assert first.startswith("no Gitea is set: KUGETSU_GITEA_URL")


def test_a_disk_nearly_full_is_a_reason(site: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: DiskUsage(10**12, 10**12 - 2**20, 2**20))
    put_worker(site)
    put_server(site)
    assert ready(site).json()["reasons"] == [
        "the disk is full: 1 MiB are free, and 2.0 GiB have to stay so: no new agent starts"
    ]


def test_a_database_that_cannot_be_written_is_a_reason(tmp_path: Path) -> None:
    with running(settings_for(tmp_path), busy_timeout=0.1) as site:
        blocker = sqlite3.connect(tmp_path / "kugetsu.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        answer = ready(site)
        blocker.close()
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] is False
    assert answer.json()["reasons"][0] == "the database cannot be used: the database is locked by another program"


def test_a_probe_leaves_the_database_as_it_was(site: Website) -> None:
    with site.database.connection_context():
        Intake.update(capacity=5, paused=True).execute(site.database)
        before = Intake.select().dicts().get(site.database)
        ready(site)
        assert Intake.select().dicts().get(site.database) == before


def test_it_says_that_it_lives_whatever_else_is_wrong(site: Website) -> None:
    answer = site.client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"alive": True})
