"""Pause, resume, capacity, cancel and retry by HTTP: what is answered, and who is turned away."""

from pathlib import Path
from typing import Any

import pytest

from models import ledger, limits
from models.moves import Outcome, State
from tests.unit.storing import finish, start
from tests.unit.test_jobs_pages import ask
from tests.unit.website import Website, running, settings_for

ALL = ["/admin/pause", "/admin/resume", "/admin/capacity", "/admin/jobs/1/cancel", "/admin/jobs/1/retry"]


def post(site: Website, path: str, said: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and answer of a POST with `said` as its JSON body, or with none."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = site.client.post(path, json=said, headers=named)
    return answer.status_code, answer.json()


def test_pause_and_resume(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        rung = site.bell.rung
        paused = post(site, "/admin/pause", {"reason": "the disk is full"})
        shown = site.client.get("/admin/status").json()["capacity"]
        assert site.bell.rung > rung
        resumed = post(site, "/admin/resume")
        again = post(site, "/admin/pause")
    assert paused == (200, {"limit": 3, "paused": True, "reason": "the disk is full"})
    assert (shown["paused"], shown["reason"]) == (True, "the disk is full")
    assert resumed == (200, {"limit": 3, "paused": False, "reason": ""})
    assert again == (200, {"limit": 3, "paused": True, "reason": ""})


def test_the_limit_can_be_changed(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        assert post(site, "/admin/capacity", {"limit": 5})[1]["limit"] == 5
        with site.database.connection_context():
            assert limits.of(site.database).capacity == 5


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/admin/capacity", None),
        ("/admin/capacity", {"limit": 0}),
        ("/admin/capacity", {"limit": "3"}),
        ("/admin/capacity", {"limit": 3, "more": 1}),
        ("/admin/pause", {"reason": 7}),
        ("/admin/pause", {"reason": "x" * 201}),
        ("/admin/pause", [1]),
        ("/admin/resume", {"reason": "no"}),
    ],
)
def test_a_body_that_says_something_else_changes_nothing(tmp_path: Path, path: str, said: object) -> None:
    with running(settings_for(tmp_path)) as site:
        status, answer = post(site, path, said)
        shown = site.client.get("/admin/status").json()["capacity"]
    assert (status, list(answer)) == (400, ["error"])
    assert (shown["limit"], shown["paused"]) == (3, False)


def test_a_job_can_be_cancelled_once(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        ask(site, 7)
        first = post(site, "/admin/jobs/1/cancel")
        second = post(site, "/admin/jobs/1/cancel")
    assert first == (200, {"job": 1, "state": "reporting"})
    assert second == (409, {"error": "job 1 has ended already: cancelled"})


def test_a_job_that_has_ended_can_be_done_again(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        ask(site, 7)
        too_early = post(site, "/admin/jobs/1/retry")
        with site.database.connection_context():
            finish(site.database, start(site.database), Outcome.FAILED)
            ledger.move(site.database, 1, State.REPORTING, State.DONE, at=30.0, reason="told")
        again = post(site, "/admin/jobs/1/retry")
        job = site.client.get("/admin/jobs/2").json()
        shown = site.client.get("/admin/jobs").json()["jobs"]
    assert too_early == (409, {"error": "job 1 has not ended yet"})
    assert again == (200, {"job": 2, "state": "queued"})
    assert (job["asked_by"], job["state"], job["position"], job["eta_seconds"]) == ("admin", "queued", 1, None)
    assert [each["position"] for each in shown] == [1, None]


@pytest.mark.parametrize("what", ["cancel", "retry"])
def test_a_job_that_is_not_there_is_named(tmp_path: Path, what: str) -> None:
    with running(settings_for(tmp_path)) as site:
        assert post(site, f"/admin/jobs/99/{what}") == (404, {"error": "there is no job 99"})


@pytest.mark.parametrize("path", ALL)
def test_only_who_has_the_token_steers(tmp_path: Path, path: str) -> None:
    with running(settings_for(tmp_path, ADMIN_TOKEN="the-admin-token")) as site:
        ask(site, 7)
        assert post(site, path, {"limit": 2})[0] == 401
        assert post(site, path, {"limit": 2}, authorization="Bearer wrong")[0] == 401
        assert post(site, "/admin/pause", authorization="Bearer the-admin-token")[0] == 200
        assert site.client.get(path, headers={"Authorization": "Bearer the-admin-token"}).status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example.com"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"x_forwarded_for": "10.0.0.1"},
        {"host": "evil.example.com"},
    ],
)
@pytest.mark.parametrize("path", ALL)
def test_no_page_of_another_site_steers(tmp_path: Path, path: str, headers: dict[str, str]) -> None:
    with running(settings_for(tmp_path)) as site:
        ask(site, 7)
        assert post(site, path, {"limit": 2}, **headers)[0] == 403
        assert site.client.get("/admin/jobs/1").json()["state"] == "queued"


def test_a_page_of_our_own_may(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        own = {"origin": str(site.client.base_url).rstrip("/"), "sec_fetch_site": "same-origin"}
        assert post(site, "/admin/pause", **own)[0] == 200
