"""What a test needs beside `stub_agent.py`: its command, and the record its runs leave."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

COMMAND = str(Path(__file__).resolve().with_name("stub_agent.py"))
"""For the setting `agent_command`."""


@dataclass(frozen=True)
class StubRun:
    """One run of the stub agent. Times are Unix seconds; a killed run has no end."""

    session: str
    argv: tuple[str, ...]
    cwd: str
    prompt: str
    began: float
    ended: float | None


def runs_in(homes: Iterable[Path]) -> list[StubRun]:
    """The runs recorded in these HOME folders of agents (`worktrees/*/home`), oldest first."""
    found = [run for home in homes for run in _runs(home / "stub-runs.jsonl")]
    return sorted(found, key=lambda run: run.began)


def most_at_once(runs: Iterable[StubRun]) -> int:
    """How many ran at the same time at most; a run without an end counts as never ended."""
    changes: list[tuple[float, int]] = []
    for run in runs:
        changes += [(run.began, 1), *([(run.ended, -1)] if run.ended is not None else [])]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _runs(record: Path) -> list[StubRun]:
    lines = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    ends = {line["run"]: line["time"] for line in lines if line["event"] == "ended"}
    return [
        StubRun(
            session=line["session"],
            argv=tuple(line["argv"]),
            cwd=line["cwd"],
            prompt=line["prompt"],
            began=line["time"],
            ended=ends.get(line["run"]),
        )
        for line in lines
        if line["event"] == "began"
    ]
