"""Runs of the agent as workers see them: launched, locked, followed, adopted after a crash, ended when stray."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import agent
from jobs.agent import AgentLocked, LaunchFailed, RunState, StartGate
from jobs.opencode import Program
from jobs.processes import carrying, sharing_lock
from tests.fakes import stub
from tests.unit.runs import World, running, wait_until, world

_WORKER = """
import pickle, signal, sys
from pathlib import Path
from jobs import agent
agent.launch(pickle.loads(Path(sys.argv[1]).read_bytes()))
signal.pause()
"""
_OTHER_WORKER = """
import sys
from pathlib import Path
from jobs import agent
print(agent.follow(
    Path(sys.argv[1]), Path(sys.argv[2]), on_lines=lambda found: print(*found), should_stop=lambda: None
))
"""

_PROJECT = Path(__file__).parents[2]


@pytest.fixture(params=["none", "bwrap"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, request.param)


@pytest.fixture
def unboxed(tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, "none")


@pytest.fixture
def boxed(tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, "bwrap")


def read_along(here: World, run_dir: Path, should_stop: Callable[[], str | None] = lambda: None) -> list[bytes]:
    lines: list[bytes] = []
    assert agent.follow(run_dir, here.lock, on_lines=lines.extend, should_stop=should_stop) is RunState.ENDED
    return lines


def test_following_gives_every_line_once_and_ends_with_the_run(here: World) -> None:
    spec = here.start("for n in 1 2 3; do echo line $n; sleep 0.15; done; printf unfinished")
    assert read_along(here, spec.run_dir) == [b"line 1", b"line 2", b"line 3", b"unfinished"]


def test_lines_of_megabytes_arrive_whole(here: World) -> None:
    spec = here.start("head -c 3000000 /dev/zero | tr '\\0' x; echo; head -c 70000 /dev/zero | tr '\\0' y; echo")
    assert read_along(here, spec.run_dir) == [b"x" * 3_000_000, b"y" * 70_000]


def test_a_reason_to_stop_reaches_the_keeper(here: World) -> None:
    spec = here.start("echo hi; sleep MARKER")
    here.wait_for_sleeper()
    assert read_along(here, spec.run_dir, lambda: "cancelled") == [b"hi"]
    result = agent.result_of(spec.run_dir)
    assert result is not None
    assert (result.ended, result.reason) == ("stopped", "cancelled")


def test_a_worker_that_leaves_leaves_the_agent_running(here: World) -> None:
    spec, leave, lines = here.start("echo hi; sleep MARKER"), threading.Event(), list[bytes]()

    def on_lines(found: list[bytes]) -> None:
        lines.extend(found)
        leave.set()

    state = agent.follow(spec.run_dir, here.lock, on_lines=on_lines, should_stop=lambda: None, leave=leave)
    assert (state, lines) == (RunState.RUNNING, [b"hi"])
    assert here.sleepers()


def test_one_place_has_one_agent(here: World) -> None:
    first = here.start("echo hi; sleep MARKER")
    second = here.spec("echo never")
    with pytest.raises(AgentLocked, match="locks/issue"):
        agent.launch(second)
    assert agent.state_of(second.run_dir, here.lock) is RunState.LOST
    assert agent.state_of(first.run_dir, here.lock) is RunState.RUNNING
    assert not (second.run_dir / "events.jsonl").exists()


def test_the_next_run_may_follow_at_once(here: World) -> None:
    assert [here.run("exit 4").code, here.run("exit 5").code] == [4, 5]


def test_a_folder_holds_one_run(here: World) -> None:
    spec = here.start("echo hi")
    here.end_of(spec)
    with pytest.raises(LaunchFailed, match="already holds a run"):
        agent.launch(spec)


def test_a_keeper_that_cannot_write_says_why(here: World) -> None:
    spec = here.spec("echo hi")
    (spec.run_dir / "keeper.json.draft").mkdir(parents=True)
    with pytest.raises(LaunchFailed, match="IsADirectoryError"):
        agent.launch(spec)
    assert not agent.is_held(here.lock)


def test_an_agent_outlives_the_worker_that_launched_it(here: World) -> None:
    """`kill -9` of the worker costs nothing; another process reads the run from its first line to its end."""
    release = here.place.tmp / "go"
    spec = here.spec(f"echo first; while ! [ -e {release} ]; do sleep 0.05; done; echo last; exit 6")
    (here.root / "spec").write_bytes(pickle.dumps(spec))
    with subprocess.Popen([sys.executable, "-c", _WORKER, str(here.root / "spec")], cwd=_PROJECT) as worker:
        wait_until("the first line", lambda: "first" in _text(spec.run_dir / "events.jsonl"))
        worker.kill()
    assert agent.state_of(spec.run_dir, here.lock) is RunState.RUNNING
    argv = [sys.executable, "-c", _OTHER_WORKER, str(spec.run_dir), str(here.lock)]
    with subprocess.Popen(argv, cwd=_PROJECT, stdout=subprocess.PIPE, text=True) as process:
        release.touch()
        said, _ = process.communicate(timeout=30)
    assert said.split() == ["b'first'", "b'last'", "ended"]
    assert here.end_of(spec).code == 6


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def kill_keeper(here: World, script: str) -> Path:
    """Start a run with a sleeper, kill its keeper, and give the run's folder."""
    spec = here.start(script)
    here.wait_for_sleeper()
    os.kill(here.keeper_of(spec), signal.SIGKILL)
    wait_until("the loss", lambda: agent.state_of(spec.run_dir, here.lock) is RunState.LOST)
    return spec.run_dir


_LEAVING = "echo hi; (setsid sh -c 'sleep MARKER; true' &); (env -i setsid sleep MARKER 9<&- &); sleep MARKER"


def test_in_the_sandbox_everything_dies_with_the_keeper(boxed: World) -> None:
    run_dir = kill_keeper(boxed, _LEAVING)
    wait_until("the end of all", lambda: running(boxed.marker) == [])
    assert not agent.is_held(boxed.lock)
    assert agent.result_of(run_dir) is None
    assert agent.end_strays(boxed.lock, boxed.place) == ()


def test_without_a_sandbox_strays_are_found_and_killed(unboxed: World) -> None:
    kill_keeper(unboxed, "echo hi; (setsid sh -c 'sleep MARKER; true' &); sleep MARKER")
    wait_until("the end of the agent itself", lambda: len(running(unboxed.marker)) <= 3)
    assert running(unboxed.marker)
    ended = agent.end_strays(unboxed.lock, unboxed.place)
    assert len(ended) >= 2
    assert running(unboxed.marker) == []
    assert not agent.is_held(unboxed.lock)
    assert unboxed.run("exit 0").code == 0


def test_who_shares_the_lock_is_a_stray_even_with_another_home(unboxed: World) -> None:
    kill_keeper(unboxed, "echo hi; (HOME=/elsewhere setsid sh -c 'sleep MARKER; true' &); sleep MARKER")
    assert agent.is_held(unboxed.lock)
    assert sharing_lock(unboxed.lock)[1]
    agent.end_strays(unboxed.lock, unboxed.place)
    assert running(unboxed.marker) == []


def test_while_a_keeper_lives_there_are_no_strays(here: World) -> None:
    spec = here.start("echo hi; sleep MARKER")
    here.wait_for_sleeper()
    assert agent.end_strays(here.lock, here.place) == ()
    assert agent.state_of(spec.run_dir, here.lock) is RunState.RUNNING
    agent.request_stop(spec.run_dir, "enough")
    assert here.end_of(spec).ended == "stopped"


def test_who_only_looks_at_the_lock_is_no_stray(here: World) -> None:
    here.lock.parent.mkdir()
    with here.lock.open("w"):
        assert sharing_lock(here.lock) == (0, set())
        assert agent.end_strays(here.lock, here.place) == ()


def test_a_process_is_known_by_its_first_environment() -> None:
    with subprocess.Popen(["/bin/sleep", "60"], env={"NAME": "value of a test"}) as process:
        wait_until("its environment", lambda: carrying("NAME=value of a test") == {process.pid})
        assert carrying("NAME=value") == set()
        process.kill()


def test_a_run_that_never_began_is_lost(here: World) -> None:
    assert agent.state_of(here.root / "nothing", here.lock) is RunState.LOST


def test_a_keeper_of_an_earlier_boot_is_gone_with_its_lock(here: World) -> None:
    spec = here.start("exit 0")
    here.end_of(spec)
    (spec.run_dir / "result.json").unlink()
    written = spec.run_dir / "keeper.json"
    written.write_text(written.read_text().replace('"boot": "', '"boot": "another-'))
    wait_until("a free lock", lambda: not agent.is_held(here.lock))
    assert agent.state_of(spec.run_dir, here.lock) is RunState.LOST


def test_a_keeper_out_of_sight_is_known_by_its_lock(here: World) -> None:
    """A worker in another container sees the files and the lock, but not the process."""
    spec = here.start("echo hi; sleep MARKER")
    written = spec.run_dir / "keeper.json"
    written.write_text(written.read_text().replace("pid:[", "pid:[9"))
    assert agent.state_of(spec.run_dir, here.lock) is RunState.RUNNING


def test_a_process_number_used_again_is_not_the_keeper(here: World) -> None:
    spec = here.start("exit 0")
    here.end_of(spec)
    (spec.run_dir / "result.json").unlink()
    identity = (spec.run_dir / "keeper.json").read_text().split('"pid": ')
    me = f'{identity[0]}"pid": {os.getpid()}, {identity[1].partition(", ")[2]}'
    (spec.run_dir / "keeper.json").write_text(me)
    assert agent.state_of(spec.run_dir, here.lock) is RunState.LOST


def test_the_gate_lets_so_many_in_and_the_next_when_one_has_started() -> None:
    gate, inside = StartGate(1), list[str]()

    def enter(name: str) -> None:
        with gate.pass_through(lambda: None):
            inside.append(name)

    with gate.pass_through(lambda: None) as started:
        second = threading.Thread(target=enter, args=("second",))
        second.start()
        second.join(0.3)
        assert inside == []
        started()
        second.join(10)
        assert inside == ["second"]
        started()  # again, as every later event does
    with gate.pass_through(lambda: pytest.fail("the slot was lost")):
        pass


def test_who_waits_at_the_gate_may_give_up() -> None:
    gate = StartGate(1)

    def give_up() -> None:
        raise InterruptedError

    with gate.pass_through(lambda: None), pytest.raises(InterruptedError), gate.pass_through(give_up):
        pytest.fail("two were let in")


def test_the_program_tells_its_version(here: World) -> None:
    program = Program("stub", (stub.COMMAND,), (Path(stub.COMMAND),))
    assert agent.version(program, here.box, here.place.root) == "stub 1.0"
    assert agent.version(Program("none", ("/nowhere/at/all",)), here.box, here.place.root) == ""
    assert agent.version(program, here.box, here.place.root / "gone") == ""


def test_the_files_of_a_run_can_be_read_and_not_written_in_the_sandbox(boxed: World) -> None:
    spec = replace(boxed.spec("cat $FILE; echo changed >>$FILE"), files={"settings.json": "{}"})
    spec = replace(spec, env={**spec.env, "FILE": str(spec.run_dir / "settings.json")})
    agent.launch(spec)
    assert boxed.end_of(spec).code != 0
    assert (spec.run_dir / "events.jsonl").read_text() == (spec.run_dir / "settings.json").read_text() == "{}"
