"""A database that another program holds, or that is read-only: the service waits, says so, and goes on by itself."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from models import opening
from tests.fakes import stub
from tests.fakes.gitea import FakeGitea
from tests.storage.conftest import MakeWorld, SmallDisk, refused_with
from tests.unit.deliveries import recorded, secret, signed_headers

LIMIT = 30.0
GITEA_WAITS = 5.0
"""Seconds after which Gitea hangs up."""


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program writes for a long time."""
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


def wait_for(seen: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + LIMIT
    while not seen():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def test_while_another_program_holds_the_database_webhooks_are_refused_and_jobs_wait(
    tmp_path: Path, make_world: MakeWorld, fake: FakeGitea, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(tmp_path / "world")
    running = world.issue("Crash on empty input", "stub: wait go\nstub: write app.py fixed")
    world.label(running, "kugetsu/code")
    world.wait_for_agents(1)
    world.wait_for(lambda: world.session_known(running), "the session to be known")
    fake.settle()
    other = world.issue("Another one", "stub: write other.py fixed")
    fake.settle()
    with locked(world.home / "kugetsu.db"):
        world.label(other, "kugetsu/code")
        fake.settle()
        refused = refused_with(world, fake, "the database is locked by another program")
        world.let_go(running, "go")
        wait_for(lambda: "job=1 waits, and its agent goes on" in caplog.text, "the job to wait")
    world.wait_for_result(running)
    fake.redeliver(refused)
    world.wait_for_result(other)
    assert [(job.outcome, job.run, job.crashes) for job in world.jobs()] == [("completed", 1, 0)] * 2
    assert len(world.agent_runs()) == 2
    assert "Traceback" not in caplog.text


def test_while_another_program_holds_the_doorbell_webhooks_are_taken_and_seen_to_afterwards(
    tmp_path: Path, make_world: MakeWorld, fake: FakeGitea
) -> None:
    world = make_world(tmp_path / "world")
    issue = world.issue("Crash on empty input", "stub: write app.py fixed")
    world.wait_quiet()
    with locked(world.home / "queue.db"):
        world.label(issue, "kugetsu/code")
        fake.settle()
        assert fake.deliveries[-1].status == 202
    world.wait_for_result(issue)
    assert [(job.outcome, job.run) for job in world.jobs()] == [("completed", 1)]


class Web:
    """`kugetsu web` as a process; one that listens already when the database cannot be used."""

    def __init__(self, home: Path, log: Path) -> None:
        given = {"HOME": str(home), "PORT": "0", "PUBLIC_URL": "http://localhost", "AGENT_COMMAND": stub.COMMAND}
        given |= {"WEBHOOK_SECRET": secret(), "GITEA_URL": "http://127.0.0.1:9", "GITEA_TOKEN": "t"}
        environ = {f"KUGETSU_{name}": value for name, value in given.items()} | {"PATH": os.environ["PATH"]}
        argv = [sys.executable, "-P", "-m", "webhook.cli", "web"]
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(argv, env=environ, stdout=output, stderr=output)
        wait_for(lambda: "listening on" in log.read_text(), "the web half to listen")
        self.url = log.read_text().split("listening on ")[1].split(",")[0]

    def deliver(self) -> httpx.Response:
        text = recorded()["issue_comment-created"].body
        headers = signed_headers(text, "issue_comment", secret())
        return httpx.post(f"{self.url}/webhook", content=text, headers=headers, trust_env=False, timeout=GITEA_WAITS)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LIMIT)


@contextmanager
def web(home: Path, log: Path) -> Iterator[Web]:
    half = Web(home, log)
    try:
        yield half
    finally:
        half.stop()


def test_on_a_read_only_disk_it_starts_says_so_and_works_once_it_can(disk: SmallDisk, tmp_path: Path) -> None:
    home = disk.path / "home"
    home.mkdir()
    opening.migrate(opening.open_database(home / "kugetsu.db"), home / "migrate.lock", capacity=3)
    disk.remount("ro")
    with web(home, tmp_path / "web.log") as half:
        refused = half.deliver()
        reasons = httpx.get(f"{half.url}/readyz", trust_env=False).json()["reasons"]
        disk.remount("rw")
        wait_for(lambda: half.deliver().status_code in (200, 202), "a delivery to be stored")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "10")
    assert any("read-only" in reason for reason in reasons), reasons
    assert "Traceback" not in half.log.read_text()
