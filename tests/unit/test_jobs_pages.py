"""Jobs as JSON and a job's log as text, as the contract names them."""

import json
from pathlib import Path

import pytest

from models import store, threads
from models.events import Person
from models.intake import Asks, NewAsk
from models.store import Incoming, NewDelivery
from tests.unit.website import Website, running, settings_for

FIELDS = [
    "id",
    "server",
    "repo",
    "issue",
    "recipe",
    "state",
    "outcome",
    "position",
    "eta_seconds",
    "attempt",
    "asked_by",
    "asked_at",
    "started_at",
    "finished_at",
    "tokens",
    "cost",
    "pull",
    "comment_url",
    "worker",
    "error",
]


def ask(site: Website, issue: int, repo: str = "acme/widgets", server: str = "gitea") -> None:
    """Somebody asks on this issue, and may."""
    word = NewAsk(key=f"comment:{repo}:{issue}:0", verb="code", author=Person(7, "ada"), said_at=1_700_000_000.0)
    delivery = NewDelivery(
        server=server, source="webhook", uuid="u", event_type="issue_comment", headers={}, body="", received_at=1.0
    )
    asked = Asks(repo, issue, is_pull=False, title="Title", asks=(word,))
    with site.database.connection_context():
        store.accept_many(site.database, [Incoming(delivery, asked)])
        thread = threads.take_thread(site.database, "worker", now=2.0, lease=10)
        assert thread is not None
        for pending in threads.pending_asks(site.database, thread.id):
            threads.admit(site.database, pending, thread, now=2.0)
        threads.thread_done(site.database, thread, now=2.0)


def test_a_job_has_the_fields_of_the_contract(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        ask(site, 7)
        found = site.client.get("/admin/jobs").json()
        one = site.client.get("/admin/jobs/1").json()
    assert sorted(found["jobs"][0]) == sorted(FIELDS)
    assert (found["page"], found["pages"], found["total"]) == (1, 1, 1)
    assert (one["state"], one["position"], one["issue"], one["asked_by"]) == ("queued", 1, 7, "ada")
    assert one["asked_at"] == "2023-11-14T22:13:20Z"
    assert [move["to"] for move in one["moves"]] == ["asked", "queued"]


def test_the_list_is_newest_first_and_can_be_narrowed(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        for issue in (1, 2, 3):
            ask(site, issue)
        whole = site.client.get("/admin/jobs").json()["jobs"]
        none = site.client.get("/admin/jobs?state=running").json()["jobs"]
        elsewhere = site.client.get("/admin/jobs?repo=acme/other").json()["jobs"]
        wrong = site.client.get("/admin/jobs?state=sleeping")
    assert [job["issue"] for job in whole] == [3, 2, 1]
    assert (none, elsewhere) == ([], [])
    assert (wrong.status_code, "asked, queued, running" in wrong.json()["error"]) == (400, True)


def test_the_log_tells_what_the_agent_did_without_secrets(tmp_path: Path) -> None:
    lines = [
        {"type": "text", "timestamp": 1_700_000_000_000, "part": {"text": "Looking. a-token is my key"}},
        {
            "type": "tool_use",
            "timestamp": 1_700_000_001_000,
            "part": {"tool": "bash", "state": {"title": "List", "input": {"command": "ls"}, "output": "app.py\n"}},
        },
    ]
    with running(settings_for(tmp_path, GITEA_TOKEN="a-token-of-some-length")) as site:
        ask(site, 7)
        run = tmp_path / "jobs" / "1" / "run-1"
        run.mkdir(parents=True)
        texts = [json.dumps(line).replace("a-token", "a-token-of-some-length") for line in lines]
        (run / "events.jsonl").write_text("\n".join([*texts, "not json"]) + "\n")
        log = site.client.get("/admin/jobs/1/log")
    assert log.headers["content-type"].startswith("text/plain")
    assert "2023-11-14T22:13:20Z Looking." in log.text
    assert "[bash] ls\n    app.py" in log.text
    assert "a-token-of-some-length" not in log.text


def test_the_log_shows_what_the_repositorys_own_commands_printed(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        ask(site, 7)
        for name, printed in (("setup", "installed\n"), ("verify", "1 failed\n"), ("verify-2", "1 passed\n")):
            folder = tmp_path / "jobs" / "1" / "run-1" / name
            folder.mkdir(parents=True)
            (folder / "command.sh").write_text(f"make {name}")
            (folder / "events.jsonl").write_text(printed)
        log = site.client.get("/admin/jobs/1/log").text
    told = ["── setup: make setup", "installed", "── verify: make verify", "1 failed", "── verify-2", "1 passed"]
    assert [log.index(text) for text in told] == sorted(log.index(text) for text in told)


@pytest.mark.parametrize("path", ["/admin/jobs", "/admin/jobs/1", "/admin/jobs/1/log"])
def test_only_who_has_the_token_sees_them(tmp_path: Path, path: str) -> None:
    with running(settings_for(tmp_path, ADMIN_TOKEN="the-admin-token")) as site:
        ask(site, 7)
        without = site.client.get(path)
        with_it = site.client.get(path, headers={"Authorization": "Bearer the-admin-token"})
    assert (without.status_code, with_it.status_code) == (401, 200)


@pytest.mark.parametrize("path", ["/admin/jobs/99", "/admin/jobs/99/log"])
def test_a_job_that_is_not_there_is_named(tmp_path: Path, path: str) -> None:
    with running(settings_for(tmp_path)) as site:
        answer = site.client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no job 99"})
