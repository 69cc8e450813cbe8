"""`kugetsu serve`, `web` and `worker` as a person starts and ends them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from jobs import processes
from tests.fakes import stub

STOP_LIMIT = 6.0
"""Seconds from the signal to the end of everything."""
PATIENCE = 60.0


class Service:
    """A command of `kugetsu`, started with these settings."""

    def __init__(self, home: Path, command: str, **settings: str) -> None:
        given = {
            "HOME": str(home),
            "PORT": "0",
            "PUBLIC_URL": "http://localhost",
            "AGENT_COMMAND": stub.COMMAND,
            **settings,
        }
        self.log = home / "output.log"
        environ = {f"KUGETSU_{name}": value for name, value in given.items()} | {"PATH": os.environ["PATH"]}
        with self.log.open("wb") as output:
            argv = [sys.executable, "-P", "-m", "webhook.cli", command]
            self.process = subprocess.Popen(argv, env=environ, stdout=output, stderr=output)

    def wait_for_line(self, text: str, times: int = 1) -> None:
        until = time.monotonic() + PATIENCE
        while self.log.read_text(errors="replace").count(text) < times:
            assert time.monotonic() < until, f"{text!r} was not said {times} times:\n{self.log.read_text()}"
            assert self.process.poll() is None or text in self.log.read_text(), self.log.read_text()
            time.sleep(0.05)

    def halves(self) -> set[int]:
        """The processes below it."""
        return set(processes.descendants(self.process.pid))

    def end(self, number: signal.Signals) -> float:
        """Send a signal; seconds until it has ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        return time.monotonic() - began


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Service]]:
    services: list[Service] = []
    yield services
    for service in services:
        for pid in [*service.halves(), service.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        service.process.wait(PATIENCE)


def serve(tmp_path: Path, started: list[Service], command: str = "serve", **settings: str) -> Service:
    service = Service(tmp_path, command, **settings)
    started.append(service)
    return service


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if processes.Identity.of(pid) is not None}


def wait_until_gone(pids: set[int]) -> None:
    until = time.monotonic() + PATIENCE
    while left := alive(pids):
        assert time.monotonic() < until, f"still there: {left}"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_serve_starts_without_settings_and_ends_quickly(
    tmp_path: Path, started: list[Service], number: signal.Signals
) -> None:
    service = serve(tmp_path, started)
    service.wait_for_line("listening on")
    service.wait_for_line("worker ")
    below = service.halves()
    assert service.end(number) < STOP_LIMIT
    assert service.process.returncode == 0
    assert alive(below) == set()
    assert "KUGETSU_GITEA_URL and KUGETSU_GITEA_TOKEN: not set yet" in service.log.read_text()


def test_a_half_that_dies_is_started_again(tmp_path: Path, started: list[Service]) -> None:
    service = serve(tmp_path, started)
    service.wait_for_line("listening on")
    service.wait_for_line("jobs.worker worker ")
    for half in service.halves():
        with suppress(ProcessLookupError):
            os.kill(half, signal.SIGKILL)
    service.wait_for_line("listening on", times=2)
    service.wait_for_line("jobs.worker worker ", times=2)
    assert service.end(signal.SIGTERM) < STOP_LIMIT


def test_both_halves_go_when_their_parent_is_killed(tmp_path: Path, started: list[Service]) -> None:
    service = serve(tmp_path, started)
    service.wait_for_line("listening on")
    service.wait_for_line("jobs.worker worker ")
    below = service.halves()
    service.end(signal.SIGKILL)
    wait_until_gone(below)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"MAX_CONCURRENT_AGENT": "3"}, "KUGETSU_MAX_CONCURRENT_AGENTS"),
        ({"QUEUE_TIMEOUT": "soon"}, "KUGETSU_QUEUE_TIMEOUT"),
        ({"DATABASE_URL": "postgresql://localhost/kugetsu"}, "KUGETSU_DATABASE_URL"),
        ({"AGENT_RUNNER": "server"}, "KUGETSU_AGENT_RUNNER"),
        ({"AGENT_COMMAND": "no-such-agent"}, "no-such-agent"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "worker"])
def test_what_is_set_wrong_ends_the_start_with_one_line(
    tmp_path: Path, started: list[Service], command: str, settings: dict[str, str], words: str
) -> None:
    service = serve(tmp_path, started, command, **settings)
    assert service.process.wait(PATIENCE) == 2
    (line,) = [line for line in service.log.read_text().splitlines() if line.startswith("kugetsu: ")]
    assert words in line
    assert "Traceback" not in service.log.read_text()


def test_two_on_one_port_are_told(tmp_path: Path, started: list[Service]) -> None:
    first = serve(tmp_path, started, "web")
    first.wait_for_line("listening on")
    port = first.log.read_text().split("listening on http://127.0.0.1:")[1].split(",")[0]
    (tmp_path / "second").mkdir()
    second = serve(tmp_path / "second", started, "web", PORT=port)
    assert second.process.wait(PATIENCE) == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in second.log.read_text()


def test_who_calls_while_the_http_side_starts_again_waits_and_is_answered(
    tmp_path: Path, started: list[Service]
) -> None:
    """Gitea sends each webhook once: the socket stays with the parent."""
    service = serve(tmp_path, started)
    service.wait_for_line("listening on")
    address = service.log.read_text().split("listening on ")[1].split(",")[0]
    assert httpx.get(f"{address}/healthz", trust_env=False).status_code == 200
    (web,) = [half for half in service.halves() if b"\0web\0" in Path(f"/proc/{half}/cmdline").read_bytes()]
    os.kill(web, signal.SIGKILL)
    wait_until_gone({web})
    assert httpx.get(f"{address}/healthz", trust_env=False, timeout=PATIENCE).status_code == 200
    assert service.log.read_text().count(f"listening on {address},") == 2
    assert service.end(signal.SIGTERM) < STOP_LIMIT


def test_who_is_to_outlive_its_terminal_does(tmp_path: Path, started: list[Service]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        service = serve(tmp_path, started)
    finally:
        signal.signal(signal.SIGHUP, before)
    service.wait_for_line("listening on")
    service.wait_for_line("jobs.worker worker ")
    for pid in [*service.halves(), service.process.pid]:
        os.kill(pid, signal.SIGHUP)
    address = service.log.read_text().split("listening on ")[1].split(",")[0]
    assert httpx.get(f"{address}/healthz", trust_env=False).status_code == 200
    assert service.end(signal.SIGTERM) < STOP_LIMIT
    assert "is started again" not in service.log.read_text()


def test_a_signal_that_does_not_wake_the_main_thread_is_heard(tmp_path: Path, started: list[Service]) -> None:
    """The kernel may hand it to any thread, or to the main one right before that goes to sleep."""
    service = serve(tmp_path, started, "worker")
    service.wait_for_line("the agent is")
    main, *others = sorted(int(task.name) for task in Path(f"/proc/{service.process.pid}/task").iterdir())
    assert main == service.process.pid
    os.kill(others[-1], signal.SIGTERM)
    service.process.wait(PATIENCE)
    assert service.process.returncode == 0
