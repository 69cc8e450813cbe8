"""Notifications that are begun again, and ones that hang."""

import time
from pathlib import Path

import pytest

from jobs import notifying
from jobs.senders import NotSent
from models.side_tables import Notification
from tests.unit.notifying_stage import notifying_on, wait_for_so_many
from tests.unit.test_jobs_pages import ask


class Hangs:
    def __init__(self) -> None:
        self.tries = 0

    def send(self, notification: Notification) -> None:
        del notification
        self.tries += 1
        time.sleep(0.3)
        raise NotSent("no answer: timed out")


class Arrives:
    def __init__(self) -> None:
        self.told: list[str] = []

    def send(self, notification: Notification) -> None:
        self.told.append(notification.title)


def test_what_happened_while_nobody_wanted_to_be_told_is_never_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "LOOK_SECONDS", 0.05)
    arrives = Arrives()
    for number, notify in enumerate(["json://127.0.0.1:1", "", "json://127.0.0.1:1"], 1):
        with notifying_on(tmp_path, **({"NOTIFY": notify} if notify else {})) as (site, notifier):
            notifier._senders.update(dict.fromkeys(notifier._senders, arrives))
            with site.database.connection_context():
                notifier.start()
                ask(site, number)
            wait_for_so_many(arrives.told, (number + 1) // 2)
    assert arrives.told == ["acme/widgets#1 waits", "acme/widgets#3 waits"]


def test_an_address_that_hangs_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "LOOK_SECONDS", 0.05)
    hangs, arrives = Hangs(), Arrives()
    with notifying_on(tmp_path, NOTIFY="json://127.0.0.1:1,json://127.0.0.1:2") as (site, notifier):
        notifier._senders.update({"notify-1": hangs, "notify-2": arrives})
        with site.database.connection_context():
            for number in range(20):
                ask(site, 100 + number)
            notifier.start()
            for number in range(20):
                ask(site, 200 + number)
        wait_for_so_many(arrives.told, 20)
        tries = hangs.tries
    assert len(arrives.told) >= 20
    assert tries <= 10, "each of them takes as long as a whole round of the other"
