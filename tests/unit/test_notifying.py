"""Who is told outside Gitea, when a server is no longer in the settings."""

import json
from pathlib import Path

import pytest

from jobs import notifying
from models.tables import Server
from tests.fakes.listener import listening
from tests.unit.notifying_stage import notifying_on, wait_for_so_many
from tests.unit.test_jobs_pages import ask


def test_a_job_of_a_server_that_is_gone_from_the_settings_is_told_of_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "LOOK_SECONDS", 0.05)
    with (
        listening() as friend,
        notifying_on(tmp_path, NOTIFY=f"json://{friend.address}") as (site, notifier),
    ):
        with site.database.connection_context():
            Server.insert(name="codeberg", url="https://codeberg.example.com").execute(site.database)
            notifier.start()
        ask(site, 7, server="codeberg")
        ask(site, 8)
        wait_for_so_many(friend.heard, 2)
    told = [json.loads(heard.body) for heard in friend.heard]
    assert [message["title"] for message in told] == ["acme/widgets#7 waits", "acme/widgets#8 waits"]
    assert "https://codeberg.example.com/acme/widgets/issues/7" in told[0]["message"]
