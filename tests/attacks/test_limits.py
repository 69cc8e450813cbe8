"""An agent that takes all there is, and one that will not go. With the limit off each attack goes through."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import shown
from tests.unit.runs import PATIENT, World, running, world

MEMORY = "python3 -c 'import time; kept = bytearray(160 << 20); time.sleep(SECONDS)'"
OUTPUT = "head -c 3000000 /dev/zero; sleep SECONDS"
PROCESSES = "for n in $(seq 60); do sleep SECONDS & done; wait"
SPIN = """python3 -c 'import time
while time.process_time() < SECONDS: pass'"""
CPU = f"for n in 1 2; do {SPIN} & done; wait"

ATTACKS = {
    "memory": (MEMORY, replace(PATIENT, memory=96 << 20), "over_limit"),
    "processes": (PROCESSES, replace(PATIENT, threads=40), "over_limit"),
    "processor time": (CPU, replace(PATIENT, cpu=0.4), "over_limit"),
    "output": (OUTPUT, replace(PATIENT, output=100_000), "output_limit"),
}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, "bwrap")


@pytest.mark.parametrize("attack", ATTACKS)
def test_who_takes_too_much_is_ended_and_the_reason_told(here: World, attack: str) -> None:
    script, limits, ended = ATTACKS[attack]
    result = here.run("echo hi; " + script.replace("SECONDS", "60"), limits=limits)
    assert result.ended == ended
    assert result.reason


@pytest.mark.parametrize("attack", ATTACKS)
def test_without_a_limit_it_gets_it(here: World, attack: str) -> None:
    assert here.run(ATTACKS[attack][0].replace("SECONDS", "0.5")).ended == "exited"


def test_the_folders_in_memory_are_bounded(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "for folder in /tmp /dev/shm; do head -c 3000000 /dev/zero >$folder/big && echo $folder; done; echo >/dev/x"
    )
    attack = ["sh", "-c", script]
    assert here.box.run_inside(here.place, None, attack, 30).stdout.split() == ["/tmp", "/dev/shm"]
    monkeypatch.setattr(shown, "MEMORY_FOLDER_BYTES", 1 << 20)
    assert here.box.run_inside(here.place, None, attack, 30).stdout.split() == []


def test_children_that_fork_twice_and_leave_their_session_end_with_the_run(here: World) -> None:
    daemon = "(setsid sh -c '(setsid nohup sleep MARKER >/dev/null 2>&1 &)' &)"
    here.run(f"echo hi; {daemon}; sleep 0.3")
    assert running(f"sleep {here.marker}") == []


def test_they_would_stay_if_nobody_ended_them(here: World) -> None:
    """The control: the same, started by a plain shell."""
    daemon = f"(setsid sh -c '(setsid nohup sleep {here.marker} >/dev/null 2>&1 &)' &)"
    subprocess.run(["sh", "-c", f"{daemon}; sleep 0.3"], check=True)
    left = running(f"sleep {here.marker}")
    subprocess.run(["kill", "-9", *(line.partition(":")[0] for line in left)], check=bool(left))
    assert left
