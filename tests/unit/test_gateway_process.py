"""The gateway's process: started once, found again, replaced without a gap, ended when nobody needs it."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from peewee import SqliteDatabase

from jobs.gateway import files
from jobs.gateway.door import Door
from jobs.gateway.providers import Arrangement, Provider
from jobs.presence import Presence
from models import ledger, spending
from models.moves import State
from models.tables import Job
from tests.fakes.provider import FakeProvider, chat
from tests.unit.gateways import KEY, openai
from tests.unit.storing import new_store, say

PATIENCE = 30.0


@dataclass
class House:
    """A folder with a worker in it, its database, a job that runs, and a provider."""

    home: Path
    db: SqliteDatabase
    provider: FakeProvider
    presence: Presence
    token: str

    def door(self, key: str = KEY) -> Door:
        served: Mapping[str, Provider] = {
            "acme": openai(self.provider.url, headers={"authorization": f"Bearer {key}"}),
        }
        return Door(self.home, "here", Arrangement(served), {}, os.environ)

    def call(self, port: int) -> httpx.Response:
        body = {"model": "big", "stream": True, "messages": []}
        headers = {"Authorization": f"Bearer {self.token}"}
        address = f"http://127.0.0.1:{port}/acme/chat/completions"
        return httpx.post(address, json=body, headers=headers, trust_env=False, timeout=30)

    @property
    def pid(self) -> int:
        found = files.running(self.home)
        assert found is not None
        return int(found.process["pid"])


def wait_until(what: str, seen: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < until, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.02)


def listened_on(pid: int) -> set[int]:
    """The TCP ports on which this process listens."""
    own = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            own.add(str(link.readlink()))
    rows = [row.split() for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    db = new_store(tmp_path, durable=False)
    with FakeProvider() as provider, db.connection_context():
        job = int(say(db, "code").job_id or 0)
        Job.update(state=State.QUEUED, queued_at=1.0).where(Job.id == job).execute(db)
        assert ledger.claim_next(db, "worker", now=1.0, lease=60)
        presence = Presence(tmp_path)
        yield House(tmp_path, db, provider, presence, spending.open_account(db, job))
        presence.leave()
        wait_until("the gateway to end by itself", lambda: files.running(tmp_path) is None)


def test_it_is_started_once_and_ends_with_the_last_worker(house: House) -> None:
    port = house.door().ensure(house.db)
    first = house.pid
    assert house.call(port).status_code == 200
    assert house.door().ensure(house.db) == port
    assert house.pid == first
    house.presence.leave()
    wait_until("the gateway to end", lambda: not Path(f"/proc/{first}").exists())


def test_the_keys_are_nowhere_to_be_read(house: House) -> None:
    """Neither in a file of the service, nor in a command line or an environment."""
    port = house.door().ensure(house.db)
    house.call(port)
    for name in ("environ", "cmdline"):
        assert KEY.encode() not in Path(f"/proc/{house.pid}/{name}").read_bytes()
    held = [path for path in house.home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert held == []
    kept = [path for path in house.home.rglob("*") if path.is_file() and house.token.encode() in path.read_bytes()]
    assert kept == [], "of a token only its digest is kept"


def test_another_key_takes_over_the_port_and_what_was_begun_is_finished(house: House) -> None:
    port = house.door().ensure(house.db)
    first, hold = house.pid, threading.Event()
    assert port in listened_on(first)
    house.provider.answer(chat("Hel", "lo.", hold=hold), chat("Hello."))
    answers: list[httpx.Response] = []
    begun = threading.Thread(target=lambda: answers.append(house.call(port)))
    begun.start()
    house.provider.wait_for(1)
    assert house.door("sk-another-key-987654").ensure(house.db) == port
    assert house.pid != first
    assert port not in listened_on(first), "the old one could take another call, with the old key"
    assert house.call(port).status_code == 200
    assert house.provider.asked[1].headers["authorization"] == "Bearer sk-another-key-987654"
    hold.set()
    begun.join()
    assert answers[0].content.endswith(b"data: [DONE]\n\n"), "the old one finished what it had begun"
    wait_until("the old one to end", lambda: not Path(f"/proc/{first}").exists())


def test_one_that_was_killed_comes_back_on_its_port(house: House) -> None:
    port = house.door().ensure(house.db)
    os.kill(house.pid, signal.SIGKILL)
    wait_until("its death", lambda: files.running(house.home) is None)
    assert house.door().ensure(house.db) == port
    assert house.call(port).status_code == 200


def test_nobody_else_can_listen_on_its_port(house: House) -> None:
    """Not even beside it, as SO_REUSEPORT would allow where the first one has allowed it, too."""
    port = house.door().ensure(house.db)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            thief.bind(("127.0.0.1", port))
    with socket.socket() as careless, socket.socket() as thief:
        for each in (careless, thief):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        careless.bind(("127.0.0.1", 0))
        thief.bind(careless.getsockname())
        assert thief.getsockname() == careless.getsockname(), "the control: it can where that was allowed"


def test_other_limits_make_it_another_one(house: House) -> None:
    door = house.door()
    assert door._digest == house.door()._digest
    assert door._digest != replace(door, arrangement=Arrangement())._digest
