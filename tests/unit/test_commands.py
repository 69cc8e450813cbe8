"""A repository's command under a keeper: how it ends, what is kept of its output, what it sees."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import agent, commands, keeper
from jobs.commands import CommandCancelled, CommandEnd, CommandLost, Order
from jobs.keeper import SHUTDOWN
from jobs.transcript import CANCELLED
from tests.unit.runs import PATIENT, World, wait_until, world


@pytest.fixture(params=["bwrap", "none"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, request.param)


def order(here: World, command: str, seconds: float = 60) -> Order:
    (here.root / "mirror/objects").mkdir(parents=True, exist_ok=True)
    return Order(
        name="verify",
        command=command,
        place=here.place,
        sandbox=here.box,
        mirror=here.root / "mirror",
        lock=here.lock,
        run_dir=here.root / "run-1",
        limits=replace(PATIENT, wall=seconds),
    )


def run(here: World, command: str, seconds: float = 60) -> CommandEnd:
    return commands.run(order(here, command, seconds), lambda folder: wait_for_end(here, folder))


def wait_for_end(here: World, folder: Path) -> None:
    wait_until("the end of the command", lambda: agent.state_of(folder, here.lock) != "running")


@pytest.mark.parametrize(
    ("command", "ok", "how", "output"),
    [
        ("echo out; echo err >&2", True, "exit 0", "out\nerr"),
        ("echo before; exit 3; echo after", False, "exit 3", "before"),
        ("false\necho not reached", False, "exit 1", ""),
        ("cat; pwd | grep -c tree", True, "exit 0", "1"),
        ("printf '\\033[31mred\\033[0m\\rover\\nplain\\000\\n'", True, "exit 0", "over\nplain"),
        ("if then", False, "exit 2", None),
        ("kill -KILL $$", False, None, ""),
    ],
)
def test_the_end_and_the_output(here: World, command: str, ok: bool, how: str | None, output: str | None) -> None:
    end = run(here, command)
    assert end.ok is ok
    assert how is None or end.how == how
    assert output is None or end.output == output


def test_of_much_output_the_last_lines_are_kept_whole(here: World) -> None:
    end = run(here, "seq 100000")
    lines = end.output.splitlines()
    assert lines[-1] == "100000"
    assert all(int(line) > 98_000 for line in lines)


def test_its_time_is_limited_and_nothing_of_it_lives_on(here: World) -> None:
    end = run(here, f"sleep {here.marker} & sleep {here.marker}", seconds=1)
    assert (end.ok, end.how) == (False, "ended because it was still working after 1 second")
    assert here.sleepers() == []


def test_repeated_it_gives_the_same_end_and_runs_once(here: World) -> None:
    script = "echo x >>$KUGETSU_TEMP_DIR/runs"
    assert run(here, script) == run(here, script)
    assert (here.place.tmp / "runs").read_text() == "x\n"


def stopped(here: World, reason: str) -> CommandEnd:
    """A command that waits for ever the first time, and is stopped for this reason."""

    def follow(folder: Path) -> None:
        wait_until("the command to begin", (here.place.tmp / "begun").exists)
        if folder.name == "verify":
            agent.request_stop(folder, reason)
        wait_for_end(here, folder)

    again = "[ ! -e $KUGETSU_TEMP_DIR/begun ] || exit 0"
    return commands.run(order(here, f"{again}\ntouch $KUGETSU_TEMP_DIR/begun\nsleep {here.marker}"), follow)


def test_a_cancel_is_not_the_commands_failure(here: World) -> None:
    with pytest.raises(CommandCancelled):
        stopped(here, CANCELLED)


def test_what_the_end_of_the_service_ended_runs_again(here: World) -> None:
    assert stopped(here, SHUTDOWN).ok


def test_one_that_always_takes_its_keeper_along_is_given_up(here: World) -> None:
    for folder in ("verify", "verify-2", "verify-3"):
        (here.root / "run-1" / folder).mkdir(parents=True)
    with pytest.raises(CommandLost, match="lost with its worker 3 times"):
        run(here, "true")


def test_it_gets_nothing_that_is_ours(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUGETSU_GITEA_TOKEN", "a-token-of-ours")
    end = run(here, "env")
    assert "a-token-of-ours" not in end.output
    assert "CI=true" in end.output


def test_ends_of_the_service_are_no_loss_however_many_there_are(here: World) -> None:
    seen: list[str] = []

    def follow(folder: Path) -> None:
        seen.append(folder.name)
        if len(seen) <= commands.MOST_LOST:
            agent.request_stop(folder, SHUTDOWN)
        else:
            (here.place.tmp / "go").touch()
        wait_for_end(here, folder)

    assert commands.run(order(here, "while [ ! -e $KUGETSU_TEMP_DIR/go ]; do sleep 0.05; done"), follow).ok


def test_one_whose_keeper_comes_up_late_runs_once(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = order(here, "echo x >>$KUGETSU_TEMP_DIR/runs; sleep 1")
    folder, state_of, late = wanted.run_dir / "verify", agent.state_of, list[str]()
    with monkeypatch.context() as killed:
        killed.setattr(agent, "_start_keeper", lambda _: keeper.READY)
        agent.launch(commands._spec(wanted, folder))

    def state_and_then_a_keeper(run_dir: Path, lock: Path) -> agent.RunState:
        found = state_of(run_dir, lock)
        if not late:
            late.append(agent._start_keeper(folder))
        return found

    monkeypatch.setattr(agent, "state_of", state_and_then_a_keeper)
    assert commands.run(wanted, lambda folder: wait_for_end(here, folder)).ok
    assert (here.place.tmp / "runs").read_text() == "x\n"
