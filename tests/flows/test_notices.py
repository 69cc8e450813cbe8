"""People outside Gitea are told: by a messaging service, and by a webhook of their own."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from jobs.senders import signature
from tests.fakes.listener import Listener, listening
from tests.flows.conftest import MakeWorld
from tests.world import World

SECRET_OF_THEIRS = "a-secret-of-their-webhook"
EVENTS = ["task_queued", "task_dequeued", "task_started", "task_completed"]


@pytest.fixture
def friend() -> Iterator[Listener]:
    """Somebody who listens."""
    with listening() as listener:
        yield listener


def told(friend: Listener) -> list[str]:
    """The first line of each message."""
    return [str(json.loads(heard.body)["title"]) for heard in friend.heard]


def write(folder: Path, toml: str) -> None:
    (folder / "kugetsu").mkdir()
    (folder / "kugetsu/kugetsu.toml").write_text(toml)


def test_a_messaging_service_is_told_of_each_event_with_links(make_world: MakeWorld, friend: Listener) -> None:
    world = make_world(NOTIFY=f"json://{friend.address}/a-topic-that-nobody-knows")
    issue = world.issue("Crash on <!channel> @here", "stub: write app.py fixed")
    world.label(issue, "kugetsu/code")
    pull = world.next_pull(issue)
    world.wait_until(lambda: len(friend.heard) >= 4, "four messages")
    here = f"{world.repo}#{issue}"
    assert told(friend) == [f"{here} {word}" for word in ("waits", "is taken up", "is being worked on", "is done")]
    last = json.loads(friend.heard[-1].body)["message"]
    assert f"{world.gitea.url}/{world.repo}/issues/{issue}" in last
    assert f"{world.gitea.url}/{world.repo}/pulls/{pull.number}" in last
    assert "/admin/jobs/1/log" in last
    assert "<!channel>" not in last
    assert "@here" not in last


def test_a_webhook_of_somebody_s_own_is_signed(tmp_path: Path, make_world: MakeWorld, friend: Listener) -> None:
    table = f'webhook = "http://{friend.address}/hook"\nsecret = "{SECRET_OF_THEIRS}"\n'
    write(tmp_path, f"[notices.own]\n{table}")
    world = make_world()
    issue = world.issue("Crash on empty input", "stub: write app.py fixed")
    world.label(issue, "kugetsu/code")
    world.wait_until(lambda: len(friend.heard) >= 4, "four deliveries")
    assert [heard.headers["x-kugetsu-event"] for heard in friend.heard] == EVENTS
    assert len({heard.headers["x-kugetsu-delivery"] for heard in friend.heard}) == 4
    for heard in friend.heard:
        assert heard.headers["x-kugetsu-signature"] == signature(SECRET_OF_THEIRS.encode(), heard.body)
    facts = json.loads(friend.heard[-1].body)
    assert (facts["event"], facts["repo"], facts["issue"], facts["outcome"]) == (
        *("task_completed", world.repo),
        *(issue, "completed"),
    )
    assert facts["pull_url"] == f"{world.gitea.url}/{world.repo}/pulls/{facts['pull']}"


def test_one_that_fails_is_tried_again_and_shown_without_its_secret(make_world: MakeWorld, friend: Listener) -> None:
    secret = "a-topic-that-nobody-knows"
    friend.statuses += [500]
    world = make_world(NOTIFY=f"json://{friend.address}/{secret}")
    world.label(world.issue("Trouble", "stub: write app.py fixed"), "kugetsu/code")
    world.wait_until(lambda: friend.heard, "a first attempt")
    page = world.wait_until(lambda: failing(world), "the failure on the page")
    assert page is not None
    assert secret not in json.dumps(page)
    assert page["sent"][-1]["attempts"] == 1
    world.wait_until(lambda: "is done" in " ".join(told(friend)), "the others meanwhile")


def failing(world: World) -> dict[str, list[dict[str, object]]] | None:
    found: dict[str, list[dict[str, object]]] = httpx.get(f"{world.halves.url}/admin/notices").json()
    return found if any(row["state"] == "failing" for row in found["sent"]) else None


def test_a_trial_arrives(make_world: MakeWorld, friend: Listener) -> None:
    world = make_world(NOTIFY=f"json://{friend.address}")
    assert httpx.post(f"{world.halves.url}/admin/notices/notify-1/test").status_code == 202
    world.wait_until(lambda: told(friend) == ["Kugetsu can reach you"], "the trial")
    answer = httpx.post(f"{world.halves.url}/admin/notices/nobody/test")
    assert (answer.status_code, answer.json()["error"]) == (
        404,
        "there is no address 'nobody'; there are notify-1",
    )
