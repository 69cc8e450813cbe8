"""Following a job's log and the pages' changes by server-sent events."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models import limits
from models.tables import Job
from tests.unit.test_jobs_pages import ask
from tests.unit.website import Website, running, settings_for
from webhook import streams
from webhook.joblog import MOST_ENTRIES

STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Website]:
    """A service with one job, which runs."""
    with running(settings_for(tmp_path)) as website:
        ask(website, 7)
        with website.database.connection_context():
            now = {"state": "running", "worker": "w1", "lease_until": 1e10, "started_at": 1.0}
            Job.update(**now).execute(website.database)
        (tmp_path / "jobs/1/run-1").mkdir(parents=True)
        say(website, "one")
        yield website


def say(site: Website, *texts: str) -> None:
    """The agent says something more."""
    lines = [json.dumps({"type": "text", "part": {"text": text}}) + "\n" for text in texts]
    with (site.settings.home / "jobs/1/run-1/events.jsonl").open("a") as file:
        file.writelines(lines)


def end(site: Website) -> None:
    with site.database.connection_context():
        over = {"state": "done", "outcome": "completed", "worker": None, "lease_until": None, "finished_at": 9.0}
        Job.update(**over).execute(site.database)


class Events:
    """The events of an answer, one after the other."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.iter_lines()

    def next(self) -> dict[str, str]:
        """The next event by its fields; comments and the wait before a new try are passed over."""
        found: dict[str, str] = {}
        for line in self._lines:
            if not line and "data" in found:
                return found
            name, _, value = line.partition(": ")
            if name == "data" and name in found:
                found[name] += f"\n{value}"
            elif line and name not in ("", "retry"):
                found[name] = value
        raise AssertionError(f"the stream ended; last seen: {found}")

    def until(self, text: str) -> dict[str, str]:
        while text not in (event := self.next())["data"]:
            pass
        return event


def test_the_log_is_followed_as_text_to_its_end(site: Website) -> None:
    with site.client.stream("GET", "/admin/jobs/1/log", headers=STREAM) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = Events(answer)
        assert events.next()["data"] == "── run-1\none"
        say(site, "two", "three")
        told = events.next()["data"]
        assert "two" in (told if "three" in told else told + events.until("three")["data"])
        end(site)
        assert events.next()["event"] == "end"


def test_a_broken_connection_goes_on_where_it_stopped(site: Website) -> None:
    with site.client.stream("GET", "/admin/jobs/1/log", headers=STREAM) as answer:
        spot = Events(answer).next()["id"]
    say(site, "two")
    with site.client.stream("GET", "/admin/jobs/1/log", headers={**STREAM, "Last-Event-ID": spot}) as answer:
        assert Events(answer).next()["data"] == "two"


def test_the_page_is_sent_what_it_shows_and_markup_stays_text(site: Website) -> None:
    say(site, "<b>two</b>")
    with site.client.stream("GET", "/admin/jobs/1/steps") as answer:
        events = Events(answer)
        state = events.next()
        assert (state["event"], "running" in state["data"]) == ("state", True)
        steps = events.next()
        assert (steps["event"], "&lt;b&gt;two&lt;/b&gt;" in steps["data"]) == ("steps", True)
        end(site)
        while "completed" not in (event := events.next())["data"]:
            assert event["event"] == "state", "how it runs may be said once more before its end is"
        assert events.next()["event"] == "end"


def test_a_page_that_falls_behind_jumps_to_the_end(site: Website) -> None:
    say(site, *(f"step {number}." for number in range(5 * MOST_ENTRIES)))
    with site.client.stream("GET", "/admin/jobs/1/steps") as answer:
        events = Events(answer)
        assert [events.next()["event"] for _ in range(2)] == ["state", "jump"]
        steps = events.next()["data"]
    assert f"step {5 * MOST_ENTRIES - 1}." in steps
    assert "step 0." not in steps


def test_the_pages_are_told_that_something_has_changed(site: Website) -> None:
    with site.client.stream("GET", "/admin/live") as answer:
        events = Events(answer)
        assert events.next()["event"] == "changed", "what has changed before anybody followed is not missed"
        with site.database.connection_context():
            limits.pause(site.database, "the disk is full")
        assert events.next()["event"] == "changed"


def test_so_many_are_followed_and_no_more(site: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST", 1)
    with site.client.stream("GET", "/admin/jobs/1/log", headers=STREAM) as answer:
        events = Events(answer)  # kept, else the connection goes with it
        events.next()
        refused = site.client.get("/admin/live")
    assert (refused.status_code, "reload by hand" in refused.json()["error"]) == (503, True)


def test_the_service_stops_although_somebody_follows(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        answer = site.client.send(site.client.build_request("GET", "/admin/live"), stream=True)
        site.stop()
        assert "retry" in answer.read().decode()
