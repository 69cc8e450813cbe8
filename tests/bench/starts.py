"""What the sandbox adds to the start of an agent: from launch to first line, and for the real opencode to the end
of `--version`. The peer is the same without a sandbox.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from jobs import agent, opencode, sandbox
from jobs.agent import RunSpec
from jobs.place import Place
from jobs.sandbox import Sandbox
from jobs.watch import Limits

ROUNDS, FEW = 25, 5
PATIENT = Limits(wall=60, start=60, stall=60)


def measure(folder: Path) -> dict[str, object]:
    """Medians in milliseconds. The two kinds take turns, so that other load on the machine hits both."""
    place = Place.at(folder / "place")
    for part in (place.repo, place.tree, place.home, place.tmp):
        part.mkdir(parents=True)
    boxes = {kind: sandbox.choose(kind, folder) for kind in ("none", "bwrap")}
    program = opencode.find("opencode", path=os.environ["PATH"])
    first = _medians(boxes, ROUNDS, lambda box: _first_line(folder, place, box))
    version = _medians(boxes, FEW, lambda box: agent.version(program, box))
    return {
        "sandbox": boxes["bwrap"].why,
        "launch to first line, without, median ms": round(first["none"]),
        "launch to first line, bwrap, median ms": round(first["bwrap"]),
        "more, ms (to be under 150)": round(first["bwrap"] - first["none"]),
        "opencode --version, without, median ms": round(version["none"]),
        "opencode --version, bwrap, median ms": round(version["bwrap"]),
    }


def _medians(boxes: dict[str, Sandbox], rounds: int, act: Callable[[Sandbox], object]) -> dict[str, float]:
    taken: dict[str, list[float]] = {kind: [] for kind in boxes}
    for _ in range(rounds):
        for kind, box in boxes.items():
            began = time.perf_counter()
            act(box)
            taken[kind].append(time.perf_counter() - began)
    return {kind: statistics.median(times) * 1000 for kind, times in taken.items()}


def _first_line(folder: Path, place: Place, box: Sandbox) -> None:
    run_dir, lock = folder / f"run-{time.perf_counter_ns()}", folder / "lock"
    spec = RunSpec(
        argv=["/bin/sh", "-c", "echo up"],
        env=sandbox.plain_environment(place),
        prompt="",
        place=place,
        sandbox=box,
        lock=lock,
        run_dir=run_dir,
        limits=PATIENT,
    )
    agent.launch(spec)
    events = run_dir / "events.jsonl"
    until = time.monotonic() + 60
    while not (events.exists() and events.stat().st_size) and time.monotonic() < until:
        time.sleep(0.001)
    agent.follow(run_dir, lock, on_lines=lambda _: None, should_stop=lambda: None, poll=0.005)
