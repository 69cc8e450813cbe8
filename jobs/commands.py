"""A command of the repository's own (`setup`, `verify`), run in the sandbox of a place as the agent is: under a keeper.

So it outlives its worker, too; whoever comes next follows it or finds how it ended. Its folder, inside that of the run,
holds the command, its output and its end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Final

from jobs import agent, keeper
from jobs.agent import LaunchFailed, RunSpec, RunState
from jobs.keeper import SHUTDOWN, KeeperResult
from jobs.place import Place
from jobs.sandbox import Sandbox, plain_environment
from jobs.transcript import CANCELLED
from jobs.watch import Limits

SCRIPT: Final = "command.sh"
MOST_LOST: Final = 3
"""How often a command may be lost with its keeper before it is given up."""

_MOST_OUTPUT: Final = 64 << 20
_TAIL_BYTES: Final = 6_000
_CONTROL: Final = re.compile(
    r"\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[^\n\t\x20-\x7e\xa0-\U0010ffff]"
)
_SAME_LINE: Final = re.compile(r"[^\n]*\r(?!\n)")

Follow = Callable[[Path], None]
"""Waits for the end of the run in this folder; raises where there is no use in waiting."""


class CommandLost(Exception):
    """The command was lost with its keeper again and again."""


class CommandCancelled(Exception):
    """Somebody cancelled the job while the command ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run and where. `name` says what it is for, `run_dir` is the folder of the agent's run. It
    may be silent as long as it likes.
    """

    name: str
    command: str
    place: Place
    sandbox: Sandbox
    mirror: Path
    lock: Path
    run_dir: Path
    limits: Limits
    hide: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a command ended: `how` in a few words ("exit 1"), `output` the last part of what it printed."""

    command: str
    ok: bool
    how: str
    seconds: float
    output: str


def run(order: Order, follow: Follow) -> CommandEnd:
    """Run the command, or find it running or ended. Repeated for the same run it gives the same end.

    Raises CommandLost, CommandCancelled, LaunchFailed, AgentLocked, and what `follow` raises.
    """
    lost = 0
    for folder in _folders(order):
        result = _result(order, folder, follow)
        if result is not None and result.reason != SHUTDOWN:
            return _end(order, folder, result)
        agent.end_strays(order.lock, order.place)
        agent.tidy(folder)
        lost += result is None
        if lost >= MOST_LOST:
            break
    raise CommandLost(f"the repository's `{order.name}` command was lost with its worker {MOST_LOST} times")


def began(run_dir: Path, name: str) -> bool:
    """Whether this command was started in the run, by whomever."""
    return (run_dir / name).exists()


def begun(run_dir: Path) -> list[Path]:
    """The folders of the commands that were started in the run, by whomever."""
    return sorted(path.parent for path in run_dir.glob(f"*/{SCRIPT}"))


def _folders(order: Order) -> Iterator[Path]:
    yield order.run_dir / order.name
    yield from (order.run_dir / f"{order.name}-{number}" for number in count(2))


def _result(order: Order, folder: Path, follow: Follow) -> KeeperResult | None:
    if folder.exists():
        agent.withdraw(folder)
    else:
        agent.launch(_spec(order, folder))
    if agent.state_of(folder, order.lock) is RunState.RUNNING:
        follow(folder)
    return agent.result_of(folder)


def _spec(order: Order, folder: Path) -> RunSpec:
    return RunSpec(
        argv=("/bin/sh", "-e", "-c", f"exec 2>&1\n{order.command}\n"),
        env=environment(order.place),
        prompt="",
        place=order.place,
        sandbox=order.sandbox,
        lock=order.lock,
        run_dir=folder,
        limits=replace(order.limits, start=order.limits.wall, stall=order.limits.wall, output=_MOST_OUTPUT),
        files={SCRIPT: order.command},
        read_only=[order.mirror / "objects"],
        hide=order.hide,
    )


def environment(place: Place) -> Mapping[str, str]:
    """All that a command of a repository is given: no key of the agent's either, since it needs no LLM."""
    home = place.home
    return {
        **plain_environment(place),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "KUGETSU_TEMP_DIR": str(place.tmp),
        "CI": "true",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "GIT_CONFIG_KEY_1": "gc.auto",
        "GIT_CONFIG_VALUE_1": "0",
    }


def _end(order: Order, folder: Path, result: KeeperResult) -> CommandEnd:
    seconds = max(0.0, result.ended_at - result.started_at)
    return CommandEnd(order.command, result.code == 0, _how(result), seconds, _tail(folder / keeper.EVENTS))


def _how(result: KeeperResult) -> str:
    match result.ended:
        case "exited" if result.signal is not None:
            return f"killed by signal {result.signal}"
        case "exited":
            return f"exit {result.code}"
        case "stopped" if result.reason == CANCELLED:
            raise CommandCancelled
        case "stopped":
            return f"ended: {result.reason}"
        case "failed_to_start":
            raise LaunchFailed(result.reason)
        case _:
            return f"ended because it {result.reason}"


def _tail(output: Path) -> str:
    """The last lines as a person at a terminal sees them."""
    with output.open("rb") as file:
        size = output.stat().st_size
        file.seek(max(0, size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    if size > _TAIL_BYTES:
        text = text.partition("\n")[2] or text
    return _CONTROL.sub("", _SAME_LINE.sub("", text.replace("\r\n", "\n"))).strip("\n")
