"""Stored deliveries: listed, shown without secrets, and taken in again."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from models.tables import Ask, Job, Server
from tests.unit.deliveries import recorded, secret
from tests.unit.website import Website, running, settings_for


def asking(text: str = "/kugetsu go on", comment: int = 501) -> bytes:
    """A comment on an issue of acme/widgets."""
    payload = json.loads(recorded()["issue_comment-created"].body)
    payload["comment"] |= {"body": text, "id": comment}
    return json.dumps(payload).encode()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Website]:
    with running(settings_for(tmp_path)) as website:
        yield website


def get(site: Website, path: str) -> tuple[int, Any]:
    answer = site.client.get(path)
    return answer.status_code, answer.json()


def replay(site: Website, number: int, **headers: str) -> tuple[int, Any]:
    answer = site.client.post(f"/admin/deliveries/{number}/replay", headers=headers)
    return answer.status_code, answer.json()


def count(site: Website, model: type[Ask] | type[Job]) -> int:
    with site.database.connection_context():
        return model.select().count(site.database)


def test_deliveries_are_listed_newest_first_and_narrowed_down(site: Website) -> None:
    site.deliver(asking())
    site.deliver(asking())
    site.deliver(b"{}", "push")
    code, listed = get(site, "/admin/deliveries")
    assert (code, listed["total"], listed["page"], listed["pages"]) == (200, 3, 1, 1)
    rows = listed["deliveries"]
    assert [(row["event"], row["verdict"]) for row in rows] == [
        ("push", "ignored"),
        ("issue_comment", "duplicate"),
        ("issue_comment", "accepted"),
    ]
    assert rows[0]["detail"].startswith("Kugetsu does not act on push events")
    assert "body" not in rows[0]
    for query, found in (
        ("verdict=ignored", [3]),
        ("event=issue_comment", [2, 1]),
        ("source=replay", []),
        ("page=2", []),
    ):
        assert [row["id"] for row in get(site, f"/admin/deliveries?{query}")[1]["deliveries"]] == found
    code, error = get(site, "/admin/deliveries?verdict=refused")
    assert (code, error["error"]) == (400, "there is no verdict 'refused'; there are accepted, duplicate, ignored")


def test_one_is_shown_with_headers_and_body_but_without_our_secrets(site: Website) -> None:
    site.deliver(asking(f"/kugetsu the secret is {secret()}"))
    code, shown = get(site, "/admin/deliveries/1")
    assert (code, shown["asks"]) == (200, [1])
    assert shown["headers"]["x-gitea-event-type"] == "issue_comment"
    assert not any("signature" in name for name in shown["headers"])
    assert "the secret is" in shown["body"]
    assert secret() not in json.dumps(shown)
    assert get(site, "/admin/deliveries/2") == (
        404,
        {"error": "there is no delivery 2; they are kept for a while only"},
    )


def test_what_was_heard_is_not_heard_again(site: Website) -> None:
    site.deliver(asking())
    rung = site.bell.rung
    code, told = replay(site, 1)
    assert (code, told["status"], told["delivery"], told["replay_of"]) == (200, "duplicate", "2", 1)
    assert told["detail"].endswith("has already been heard")
    assert (count(site, Ask), count(site, Job)) == (1, 1)
    assert site.bell.rung == rung + 1
    assert get(site, "/admin/deliveries/2")[1]["source"] == "replay"


def test_what_a_setting_kept_out_counts_once_the_setting_is_changed(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, REPOS="other/*")) as site:
        assert site.deliver(asking()).json()["status"] == "ignored"
        assert replay(site, 1)[1]["status"] == "ignored"
    with running(settings_for(tmp_path)) as site:
        code, told = replay(site, 1)
        assert (code, told["status"]) == (200, "accepted")
        assert (count(site, Ask), count(site, Job)) == (1, 1)
        assert replay(site, 1)[1]["status"] == "duplicate"


def test_replayed_many_times_at_once_it_asks_once(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, REPOS="other/*")) as site:
        site.deliver(asking())
    with running(settings_for(tmp_path)) as site, ThreadPoolExecutor(8) as people:
        told = [answer[1]["status"] for answer in people.map(lambda _: replay(site, 1), range(16))]
        assert sorted(told) == ["accepted", *["duplicate"] * 15]
        assert (count(site, Ask), count(site, Job)) == (1, 1)


def test_what_was_not_verified_is_not_kept_and_so_never_replayed(site: Website) -> None:
    assert site.deliver(asking(), key="not-the-secret").status_code == 401
    unsigned = {"X-Gitea-Event": "issue_comment", "Content-Type": "application/json"}
    assert site.client.post("/webhook", content=asking(), headers=unsigned).status_code == 401
    assert site.stored() == []
    assert replay(site, 1)[0] == 404
    assert (count(site, Ask), count(site, Job)) == (0, 0)


def test_our_own_words_stay_our_own(site: Website) -> None:
    """The bot's account may have become known only after the delivery came."""
    site.deliver(asking("/kugetsu status"))
    payload = json.loads(asking())
    with site.database.connection_context():
        Server.insert(
            name="gitea", url="x", bot_id=payload["sender"]["id"], bot_login=payload["sender"]["login"]
        ).execute(site.database)
    assert replay(site, 1)[1]["status"] == "ignored"


def test_what_cannot_be_replayed_is_told(site: Website, tmp_path: Path) -> None:
    assert replay(site, 7) == (404, {"error": "there is no delivery 7; they are kept for a while only"})
    site.deliver(asking())
    with site.database.connection_context():
        site.database.execute_sql("UPDATE delivery SET server = 'old'")  # type: ignore[no-untyped-call]
    code, told = replay(site, 1)
    assert (code, told["error"]) == (
        409, "it came from the server “old”, which the settings do not name any more"
    )  # fmt: skip


def test_nobody_replays_without_the_token_or_from_another_site(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, ADMIN_TOKEN="a-token-of-the-admin")) as site:
        site.deliver(asking())
        assert replay(site, 1)[0] == get(site, "/admin/deliveries")[0] == get(site, "/admin/deliveries/1")[0] == 401
        assert replay(site, 1, Authorization="Bearer a-token-of-the-admin")[0] == 200
    (tmp_path / "open").mkdir()
    with running(settings_for(tmp_path / "open")) as site:
        site.deliver(asking())
        assert replay(site, 1, Origin="https://elsewhere.example.com")[0] == 403
        assert replay(site, 1)[0] == 200
