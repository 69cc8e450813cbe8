"""The admin pages, as a browser without JavaScript gets them."""

import json
import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from models import limits, spending
from models.tables import Ask, Job, Move, Server, Thread, Worker
from tests.unit.deliveries import recorded
from tests.unit.test_jobs_pages import ask
from tests.unit.website import Website, running, settings_for
from webhook.negotiation import wants_page
from webhook.pages.frame import POLICY
from webhook.pages.words import amount, lasting, money, size

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Website]:
    with running(settings_for(tmp_path)) as website:
        yield website


def page(site: Website, path: str, status: int = 200) -> str:
    answer = site.client.get(path, headers=BROWSER)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return unescape(answer.text)


def submit(site: Website, text: str, action: str, **fields: str) -> httpx.Response:
    """Send the form of a page, as a press of its button does."""
    forms = re.findall(r'<form[^>]*action="([^"]+)"[^>]*>(.*?)</form>', text, re.DOTALL)
    (form,) = [inside for there, inside in forms if there == action]
    hidden = dict(re.findall(r'name="(csrf|back)" value="([^"]*)"', form))
    here = f"http://{httpx.URL(site.url).netloc.decode()}"
    headers = {**BROWSER, "Origin": here, "Sec-Fetch-Site": "same-origin"}
    return site.client.post(action, data={**hidden, **fields}, headers=headers)


def deliver(site: Website) -> None:
    comment = json.loads(recorded()["issue_comment-created"].body)
    comment["comment"]["body"] = "/kugetsu go on"
    site.deliver(json.dumps(comment).encode())


def test_an_empty_service_says_on_each_page_what_to_do_first(site: Website) -> None:
    assert "Put the label kugetsu/code on an issue" in page(site, "/admin")
    assert "Put the label kugetsu/code on an issue" in page(site, "/admin/jobs")
    assert "Add a webhook in Gitea" in page(site, "/admin/deliveries")


def test_what_is_wrong_stands_on_top_with_the_cure(site: Website) -> None:
    text = page(site, "/admin")
    assert text.index("No worker has been heard of for 30 seconds.") < text.index("Capacity")
    assert "Start one: `kugetsu worker`" in text
    site.deliver(b"{}", "push", key="wrong")
    assert "1 delivery was refused (401) since the start" in page(site, "/admin")


def test_where_nothing_is_wrong_the_page_says_so(site: Website) -> None:
    with site.database.connection_context():
        now = 10**10
        put = {"name": "w1", "host": "h", "pid": 1, "started_at": now, "seen_at": now, "sandbox": "bwrap"}
        Worker.insert(**put).execute(site.database)
        Server.insert(name="gitea", url="https://g", ok=True, problem="").execute(site.database)
    assert "All is well." in page(site, "/admin")


def test_what_is_spent_is_what_the_budgets_count(site: Website) -> None:
    ask(site, 7)
    with site.database.connection_context():
        spending.note(site.database, 1, spending.Spent(800, 50, 0.25), now=time.time())
    text = page(site, "/admin")
    for when in ("today", "this month"):
        assert f"<dt>tokens {when}</dt><dd>{amount(850)}</dd>" in text
        assert f"<dt>cost {when}</dt><dd>{money(0.25)}</dd>" in text
    assert site.client.get("/admin/status").json()["spending"]["today"] == {"tokens": 850, "cost": 0.25}


@pytest.mark.parametrize("path", ["/admin", "/admin/jobs", "/admin/jobs/1", "/admin/deliveries", "/admin/deliveries/1"])
def test_each_page_keeps_foreign_things_out_and_holds_nothing_inline(site: Website, path: str) -> None:
    deliver(site)
    answer = site.client.get(path, headers=BROWSER)
    assert answer.headers["content-security-policy"] == POLICY
    assert "'unsafe" not in POLICY
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", answer.text)
    assert len(answer.content) < 100 * 1024
    for address in re.findall(r'(?:src|href)="(/admin/static/[^"]+)"', answer.text):
        assert site.client.get(address).status_code == 200


def test_what_people_write_is_text_and_never_markup(site: Website) -> None:
    ask(site, 7)
    evil = '<script>alert(1)</script><img src=x onerror="alert(2)">'
    with site.database.connection_context():
        Thread.update(title=evil).execute(site.database)
        Job.update(error=evil, asked_by=evil, step=evil).execute(site.database)
        Move.update(reason=evil).execute(site.database)
        Ask.update(instructions=evil, author=evil).execute(site.database)
    folder = site.settings.home / "jobs" / "1" / "run-1"
    folder.mkdir(parents=True)
    said = {"type": "text", "part": {"text": evil}}
    (folder / "events.jsonl").write_text(json.dumps(said) + "\n")
    (folder / "prompt.txt").write_text(evil)
    for path in ("/admin", "/admin/jobs", "/admin/jobs/1"):
        text = site.client.get(path, headers=BROWSER).text
        assert "&lt;script&gt;" in text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_a_browser_gets_a_page_and_a_program_gets_json(site: Website) -> None:
    ask(site, 7)
    for path in ("/admin/jobs", "/admin/jobs/1", "/admin/jobs/99"):
        told = [site.client.get(path, headers=headers).headers["content-type"] for headers in ({}, BROWSER)]
        assert [kind.partition(";")[0] for kind in told] == ["application/json", "text/html"]


@pytest.mark.parametrize(
    ("accept", "page_wanted"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/html", True),
        ("text/html;q=0.5, application/json", False),
        ("application/json;q=0.5, TEXT/HTML;q=0.9", True),
        ("text/html;q=nonsense", False),
        (",;,", False),
    ],
)
def test_the_accept_header_decides(accept: str, page_wanted: bool) -> None:
    request = Request({"type": "http", "headers": [(b"accept", accept.encode())]})
    assert wants_page(request) is page_wanted


def test_the_job_page_tells_what_was_asked_what_became_of_it_and_what_the_agent_did(site: Website) -> None:
    ask(site, 7)
    folder = site.settings.home / "jobs" / "1" / "run-1"
    folder.mkdir(parents=True)
    state = {"status": "completed", "input": {"command": "make test"}, "output": "3 passed\n"}
    used = {"type": "tool_use", "part": {"tool": "bash", "state": state}}
    (folder / "events.jsonl").write_text(json.dumps(used) + "\n")
    (folder / "prompt.txt").write_text(f"You are asked; {site.settings.gitea_token and 'a-token'}")
    (folder / "result.json").write_text(json.dumps({"ended": "exited", "code": 0, "started_at": 5, "ended_at": 65}))
    (folder.parent / "made.diff").write_text("diff --git a/x b/x\n@@ -1 +1 @@\n-old\n+new\n")
    text = page(site, "/admin/jobs/1")
    for told in ("Title", "acme/widgets#7", "ada may ask", "make test", "3 passed", "You are asked", "+new"):
        assert told in text
    assert "exited with code 0, after 1 min" in text
    assert "a-token" not in text


def test_older_steps_are_a_link_away(site: Website) -> None:
    ask(site, 7)
    folder = site.settings.home / "jobs" / "1" / "run-1"
    folder.mkdir(parents=True)
    rows = [json.dumps({"type": "text", "part": {"text": f"step {number}."}}) for number in range(1000)]
    (folder / "events.jsonl").write_text("\n".join(rows) + "\n")
    seen: list[str] = []
    address: str | None = "/admin/jobs/1"
    while address:
        text = page(site, address)
        seen = re.findall(r"step \d+\.", text) + seen
        older = re.search(r'href="([^"#]+)#h-log" id="older"', text)
        address = older[1] if older else None
    assert seen == [f"step {number}." for number in range(1000)]


def test_a_press_of_a_button_changes_something_and_the_page_says_so(site: Website) -> None:
    ask(site, 7)
    answer = submit(site, page(site, "/admin"), "/admin/pause", reason="the disk is <full>")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
    text = site.client.get("/admin", headers=BROWSER).text
    assert "Paused: what runs goes on" in text
    assert "Paused: the disk is &lt;full&gt;." in text
    assert "Paused: what runs goes on" not in page(site, "/admin"), "it is said once"
    submit(site, page(site, "/admin"), "/admin/resume")
    submit(site, page(site, "/admin"), "/admin/capacity", limit="7")
    with site.database.connection_context():
        row = limits.of(site.database)
    assert (row.paused, row.capacity) == (False, 7)


def test_a_job_is_put_first_cancelled_and_done_again_from_its_page(site: Website) -> None:
    ask(site, 7)
    answer = submit(site, page(site, "/admin/jobs/1"), "/admin/jobs/1/cancel")
    assert answer.headers["location"] == "/admin/jobs/1"
    assert "cancelled by admin" in page(site, "/admin/jobs/1")
    again = site.client.post("/admin/jobs/1/retry", json={"fresh": True})
    assert again.json() == {"job": 2, "state": "queued"}
    raised = site.client.post("/admin/jobs/2/priority", json={"priority": "high"})
    assert raised.json() == {"job": 2, "priority": "high"}
    assert "admin gave it high priority" in page(site, "/admin/jobs/2")
    with site.database.connection_context():
        new = Job.select().where(Job.id == 2).get(site.database)
        assert (new.fresh, new.priority) == (True, 1)
    wrong = site.client.post("/admin/jobs/1/priority", json={"priority": "high"})
    assert (wrong.status_code, "does not wait any more" in wrong.json()["error"]) == (409, True)


def test_a_form_that_says_nonsense_is_answered_by_a_page_that_says_what_is_wrong(site: Website) -> None:
    answer = submit(site, page(site, "/admin"), "/admin/capacity", limit="many")
    assert (answer.status_code, "Expected `int`" in unescape(answer.text)) == (400, True)


def test_jobs_are_found_by_state_repository_person_day_title_and_number(site: Website) -> None:
    for issue in (1, 2, 3):
        ask(site, issue)
    with site.database.connection_context():
        Thread.update(title="The crash").where(Thread.issue == 2).execute(site.database)
        Job.update(asked_by="bob").where(Job.id == 3).execute(site.database)

    def found(query: str) -> list[str]:
        return re.findall(r'href="/admin/jobs/(\d+)"', page(site, f"/admin/jobs?{query}"))

    assert found("") == ["3", "2", "1"]
    assert found("q=CRASH") == ["2"]
    assert found("q=%23" + "3") == ["3"]
    assert found("person=bob") == ["3"]
    assert found("state=running") == found("repo=acme/other") == found("from=2024-01-01") == found("q=%25") == []
    assert found("state=queued&repo=acme/widgets&from=2023-11-14&to=2023-11-14&person=ada") == ["2", "1"]
    assert found("before=3") == ["2", "1"]
    assert "'tomorrow' is not a day" in page(site, "/admin/jobs?from=tomorrow", 400)


def test_a_delivery_shows_its_verdict_its_headers_and_its_body_without_secrets(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, GITEA_TOKEN="a-token-of-some-length")) as site:
        payload = json.loads(recorded()["issue_comment-created"].body)
        payload["comment"]["body"] = "/kugetsu my token is a-token-of-some-length"
        site.deliver(json.dumps(payload).encode())
        site.deliver(b"{}", "push")
        listed = page(site, "/admin/deliveries")
        assert len(re.findall(r'href="/admin/deliveries/\d+"', listed)) == 2
        only = page(site, "/admin/deliveries?verdict=accepted")
        assert re.findall(r'href="/admin/deliveries/(\d+)"', only) == ["1"]
        one = page(site, "/admin/deliveries/1")
        whole = site.client.get("/admin/deliveries/1/body").text
    assert "x-gitea-event-type" in one
    assert '\n  "comment": {' in whole
    for text in (one, whole):
        assert "a-token-of-some-length" not in text
        assert "[secret removed]" in text


def test_the_pages_follow_links_only_to_themselves(site: Website) -> None:
    text = page(site, "/admin")
    for back in ("https://evil.example/", "//evil.example/admin", "/\\evil.example", "/administer", "javascript:x", ""):
        answer = submit(site, text, "/admin/capacity", limit="3", back=back)
        assert answer.headers["location"] == "/admin"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (38, "38 s"),
        (60, "1 min"),
        (250, "4 min 10 s"),
        (7500, "2 h 5 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_a_length_of_time_reads_well(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def test_amounts_read_well() -> None:
    assert [size(number) for number in (0, 1023, 1024, 5_000_000, 3 << 40)] == [
        "0 B", "1.02e+03 B", "1 KiB", "4.77 MiB", "3 TiB",
    ]  # fmt: skip
    assert [money(cost) for cost in (0, 0.00014, 1.5, 1234)] == ["$0.00", "$0.0001", "$1.50", "$1,234.00"]
