"""Who is told outside Gitea, when a server is no longer in the settings."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobs import notifying
from jobs.known_secrets import secrets_of
from jobs.notifying import Notifier
from jobs.queue import Bells
from jobs.redact import Redactor
from jobs.servers import Forges
from jobs.wiring import Wiring
from models.tables import Server
from tests.fakes.listener import listening
from tests.unit.test_jobs_pages import ask
from tests.unit.website import running, settings_for

PATIENCE = 20.0


def test_a_job_of_a_server_that_is_gone_from_the_settings_is_told_of_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "LOOK_SECONDS", 0.05)
    with ExitStack() as stack:
        friend = stack.enter_context(listening())
        site = stack.enter_context(running(settings_for(tmp_path, NOTIFY=f"json://{friend.address}")))
        bells = Bells(tmp_path / "queue.db")
        stack.callback(bells.close)
        forges = Forges(site.settings.servers, site.database)
        stack.callback(forges.close)
        parts = {"settings": site.settings, "db": site.database, "bells": bells, "forges": forges}
        redactor = Redactor(secrets_of(site.settings))
        wiring = Wiring(**parts, redactor=redactor, worker="w", clock=time.time)  # type: ignore[arg-type]
        with site.database.connection_context():
            Server.insert(name="codeberg", url="https://codeberg.example.com").execute(site.database)
            notifier = Notifier(wiring)
            notifier.start()
        ask(site, 7, server="codeberg")
        ask(site, 8)
        until = time.monotonic() + PATIENCE
        while len(friend.heard) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        wiring.stopping.set()
        notifier.join(PATIENCE)
    told = [json.loads(heard.body) for heard in friend.heard]
    assert [message["title"] for message in told] == ["acme/widgets#7 waits", "acme/widgets#8 waits"]
    assert "https://codeberg.example.com/acme/widgets/issues/7" in told[0]["message"]
