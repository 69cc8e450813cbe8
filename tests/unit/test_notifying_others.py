"""Notifications that are begun again, and ones that hang."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobs import notifying
from jobs.known_secrets import secrets_of
from jobs.notifying import Notifier
from jobs.queue import Bells
from jobs.redact import Redactor
from jobs.senders import NotSent
from jobs.servers import Forges
from jobs.wiring import Wiring
from models.side_tables import Notification
from tests.unit.test_jobs_pages import ask
from tests.unit.website import running, settings_for


class Hangs:
    def send(self, notification: Notification) -> None:
        del notification
        time.sleep(0.3)
        raise NotSent("no answer: timed out")


class Arrives:
    def __init__(self) -> None:
        self.at: list[float] = []
        self.told: list[str] = []

    def send(self, notification: Notification) -> None:
        self.at.append(time.monotonic())
        self.told.append(notification.title)


def test_what_happened_while_nobody_wanted_to_be_told_is_never_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "LOOK_SECONDS", 0.05)
    arrives = Arrives()
    for number, notify in enumerate(["json://127.0.0.1:1", "", "json://127.0.0.1:1"], 1):
        with ExitStack() as stack:
            site = stack.enter_context(running(settings_for(tmp_path, **({"NOTIFY": notify} if notify else {}))))
            bells = Bells(tmp_path / "queue.db")
            stack.callback(bells.close)
            forges = Forges(site.settings.servers, site.database)
            stack.callback(forges.close)
            parts = {"settings": site.settings, "db": site.database, "bells": bells, "forges": forges}
            redactor = Redactor(secrets_of(site.settings))
            wiring = Wiring(**parts, redactor=redactor, worker="w", clock=time.time)  # type: ignore[arg-type]
            notifier = Notifier(wiring)
            notifier._senders.update(dict.fromkeys(notifier._senders, arrives))
            with site.database.connection_context():
                notifier.start()
                ask(site, number)
            time.sleep(0.5)
            wiring.stopping.set()
            if notify:
                notifier.join(20)
    assert arrives.told == ["acme/widgets#1 waits", "acme/widgets#3 waits"]


def test_an_address_that_hangs_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "LOOK_SECONDS", 0.05)
    with ExitStack() as stack:
        site = stack.enter_context(running(settings_for(tmp_path, NOTIFY="json://127.0.0.1:1,json://127.0.0.1:2")))
        bells = Bells(tmp_path / "queue.db")
        stack.callback(bells.close)
        forges = Forges(site.settings.servers, site.database)
        stack.callback(forges.close)
        parts = {"settings": site.settings, "db": site.database, "bells": bells, "forges": forges}
        wiring = Wiring(**parts, redactor=Redactor(secrets_of(site.settings)), worker="w", clock=time.time)  # type: ignore[arg-type]
        notifier, arrives = Notifier(wiring), Arrives()
        notifier._senders.update({"notify-1": Hangs(), "notify-2": arrives})
        with site.database.connection_context():
            for number in range(20):
                ask(site, 100 + number)
            notifier.start()
            began = time.monotonic()
            for number in range(20):
                ask(site, 200 + number)
        until = time.monotonic() + 20
        while len(arrives.at) < 20 and time.monotonic() < until:
            time.sleep(0.02)
        wiring.stopping.set()
        notifier.join(20)
    assert arrives.at[-1] - began < 3.0
