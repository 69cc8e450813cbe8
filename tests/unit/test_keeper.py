"""Every way a run can end, under the real keeper, with and without the sandbox."""

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import agent, keeper, watch
from jobs.watch import Limits
from tests.unit.runs import PATIENT, World, running, wait_until, world

HOG = "python3 -c 'import time; kept = bytearray(160 << 20); time.sleep(60)'"
HIDING_HOG = (
    "python3 -c 'import mmap, time; kept = mmap.mmap(-1, 160 << 20); kept.write(bytes(160 << 20)); time.sleep(60)'"
)
CROWD = "for n in $(seq 60); do sleep MARKER & done; wait"
SPIN = "for n in 1 2; do (while :; do :; done) & done; wait"


@pytest.fixture(params=["none", "bwrap"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, request.param)


@pytest.fixture
def unboxed(tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, "none")


@pytest.fixture
def boxed(tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, "bwrap")


def test_a_run_ends_with_its_code_and_all_it_wrote(here: World) -> None:
    before = time.time()
    spec = here.start("cat; echo ' heard'; echo complaint >&2; pwd; exit 3")
    result = here.end_of(spec)
    assert (result.ended, result.code, result.signal, result.reason) == ("exited", 3, None, "")
    assert (spec.run_dir / "events.jsonl").read_text() == f"the prompt heard\n{here.place.tree}\n"
    assert result.stderr == (spec.run_dir / "stderr.txt").read_text() == "complaint\n"
    assert before <= result.started_at <= result.ended_at <= time.time()
    assert result.max_rss > 0


def test_the_agent_gets_the_environment_of_its_spec_and_nothing_else(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUGETSU_GITEA_TOKEN", "secret-token-of-ours")
    spec = here.spec("env; tr '\\0' '\\n' </proc/self/environ; tr '\\0' '\\n' <$PROC1")
    inside = "/proc/1/environ" if here.box.kind == "bwrap" and not here.box.own_user else "/dev/null"
    spec = replace(spec, env={**spec.env, "PROC1": inside, "NAMED": "by the settings"})
    agent.launch(spec)
    assert here.end_of(spec).code == 0
    said = (spec.run_dir / "events.jsonl").read_text()
    names = {line.partition("=")[0] for line in said.splitlines()}
    assert names - {"PWD", "OLDPWD", "_", "SHLVL"} == {"HOME", "TMPDIR", "PATH", "LANG", "PROC1", "NAMED"}


def test_the_spec_with_its_secrets_does_not_stay_on_disk(here: World) -> None:
    spec = replace(here.spec("echo hello"), env={"API_KEY": "key-that-must-not-stay"})
    agent.launch(spec)
    here.end_of(spec)
    left = {path.name: path.read_text() for path in spec.run_dir.iterdir()}
    assert set(left) == {
        "events.jsonl", "keeper.json", "keeper.log", "prompt.txt", "result.json", "stderr.txt"
    }  # fmt: skip
    assert not any("key-that-must-not-stay" in text for text in left.values())
    assert left["keeper.log"] == ""


def test_files_of_a_run_are_for_us_alone(here: World) -> None:
    spec = here.start("echo hello")
    here.end_of(spec)
    assert (spec.run_dir / "prompt.txt").stat().st_mode & 0o777 == 0o600
    assert spec.run_dir.stat().st_mode & 0o777 == 0o700


def test_what_the_agent_makes_has_ordinary_permissions(here: World) -> None:
    here.run("echo hello >made.txt")
    assert (here.place.tree / "made.txt").stat().st_mode & 0o777 == 0o644


def test_a_killed_agent_is_told_from_one_that_ended(here: World) -> None:
    result = here.run("kill -9 $$")
    assert result.ended == "exited"
    # bwrap tells of a signal by an exit code, as shells do
    assert (result.code, result.signal) == ((None, 9) if here.box.kind == "none" else (137, None))


@pytest.mark.parametrize(
    ("limits", "script", "ended", "reason"),
    [
        (replace(PATIENT, wall=0.5), "echo hi; sleep MARKER", "timeout", "was still working after 0.5 seconds"),
        (replace(PATIENT, start=0.5), "sleep MARKER", "no_start", "gave no sign of life within 0.5 seconds"),
        (replace(PATIENT, stall=0.5), "echo hi; sleep MARKER", "stalled", "gave no sign of life for 0.5 seconds"),
        (replace(PATIENT, output=5000), "yes", "output_limit", "wrote more than 5000 bytes of output"),
        (replace(PATIENT, output=5000), "echo hi; yes >&2", "output_limit", "wrote more than 5000 bytes of output"),
        (replace(PATIENT, memory=96 << 20), HOG, "over_limit", "used more than 96 MiB of memory"),
        (replace(PATIENT, memory=96 << 20), HIDING_HOG, "over_limit", "used more than 96 MiB of memory"),
        (replace(PATIENT, threads=40), CROWD, "over_limit", "ran more than 40 processes and threads at once"),
        (replace(PATIENT, cpu=0.4), SPIN, "over_limit", "used more than 0.4 seconds of processor time"),
    ],
    ids=["wall", "start", "stall", "output", "stderr", "memory", "shared memory", "processes", "processor time"],
)
def test_a_broken_limit_ends_the_run(here: World, limits: Limits, script: str, ended: str, reason: str) -> None:
    result = here.run(script, limits=limits)
    assert (result.ended, result.reason) == (ended, reason)


def test_a_file_longer_than_allowed_is_cut_off(here: World) -> None:
    result = here.run("echo hi; exec head -c 9000000 /dev/zero >long", limits=replace(PATIENT, file=1 << 20))
    assert (here.place.tree / "long").stat().st_size == 1 << 20
    assert result.code != 0


def test_standard_error_is_no_sign_of_life(here: World) -> None:
    script = "while :; do echo retrying >&2; sleep 0.05; done"
    assert here.run(script, limits=replace(PATIENT, start=0.5)).ended == "no_start"


def test_an_agent_that_speaks_now_and_then_is_not_stalled(here: World) -> None:
    script = "for n in 1 2 3 4 5 6; do echo $n; sleep 0.2; done"
    assert here.run(script, limits=replace(PATIENT, stall=0.9)).ended == "exited"


def test_a_stop_is_obeyed_within_two_seconds_and_its_reason_kept(here: World) -> None:
    spec = here.start("echo hi; sleep MARKER")
    here.wait_for_sleeper()
    asked = time.monotonic()
    agent.request_stop(spec.run_dir, "cancelled")
    agent.request_stop(spec.run_dir, "too late")
    result = here.end_of(spec)
    assert (result.ended, result.reason) == ("stopped", "cancelled")
    assert time.monotonic() - asked < 2


def test_sigterm_to_the_keeper_is_a_stop(here: World) -> None:
    spec = here.start("echo hi; sleep MARKER")
    here.wait_for_sleeper()
    os.kill(here.keeper_of(spec), signal.SIGTERM)
    result = here.end_of(spec)
    assert (result.ended, result.reason) == ("stopped", keeper.SHUTDOWN)


def test_an_agent_that_ignores_sigterm_is_killed(here: World) -> None:
    spec = here.start("trap '' TERM; echo hi; while :; do sleep MARKER; done")
    here.wait_for_sleeper()
    agent.request_stop(spec.run_dir, "cancelled")
    assert here.end_of(spec).ended == "stopped"


def test_an_agent_may_tidy_up_on_sigterm(unboxed: World) -> None:
    spec = unboxed.start("trap 'echo bye; exit 0' TERM; echo hi; sleep MARKER & wait")
    unboxed.wait_for_sleeper()
    agent.request_stop(spec.run_dir, "cancelled")
    unboxed.end_of(spec)
    assert (spec.run_dir / "events.jsonl").read_text() == "hi\nbye\n"


@pytest.mark.parametrize("after", ["exit 0", "sleep MARKER"], ids=["ends", "is stopped"])
def test_children_that_left_the_session_end_with_the_run(here: World, after: str) -> None:
    leave = "(setsid nohup setsid sh -c 'touch left; sleep MARKER; true' >/dev/null 2>&1 &)"
    spec = here.start(f"echo hi; {leave}; while ! [ -e left ]; do sleep 0.02; done; {after}")
    if after != "exit 0":
        here.wait_for_sleeper()
        agent.request_stop(spec.run_dir, "cancelled")
    assert here.end_of(spec).ended == ("exited" if after == "exit 0" else "stopped")


def test_a_crowd_that_keeps_forking_ends_with_the_run(here: World) -> None:
    spec = here.start("echo hi; for n in 1 2 3 4 5; do (while :; do sleep 0.01; sleep MARKER & done) & done; wait")
    wait_until("a crowd", lambda: len(here.sleepers()) > 50)
    agent.request_stop(spec.run_dir, "cancelled")
    assert here.end_of(spec).ended == "stopped"


def test_a_program_that_is_not_there_failed_to_start(unboxed: World) -> None:
    spec = replace(unboxed.spec(""), argv=["/nowhere/agent"])
    agent.launch(spec)
    result = unboxed.end_of(spec)
    assert (result.ended, result.code) == ("failed_to_start", None)
    assert "No such file" in result.reason


def test_a_program_that_is_not_in_the_sandbox_says_so_on_standard_error(boxed: World) -> None:
    spec = replace(boxed.spec(""), argv=["/nowhere/agent"])
    agent.launch(spec)
    result = boxed.end_of(spec)
    assert result.ended == "exited"
    assert result.code in (1, 127)
    assert "/nowhere/agent" in result.stderr


def test_the_keeper_is_nobodys_child_and_leaves_nothing_open(here: World) -> None:
    spec = here.start("echo hi; sleep MARKER")
    here.wait_for_sleeper()
    pid = here.keeper_of(spec)
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert int(status["PPid"]) != os.getpid()
    assert os.getsid(pid) != os.getsid(0)
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    assert {line.partition("=")[0] for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if line} == {
        "PATH", "LANG"
    }  # fmt: skip
    opened = {str(link.readlink()).partition(":[")[0] for link in Path(f"/proc/{pid}/fd").iterdir()}
    opened = {path for path in opened if not path.startswith("/proc")}  # it may be looking at what its agent uses
    assert opened == {"/dev/null", str(spec.run_dir / "keeper.log"), str(here.lock), "pipe"}
    agent.request_stop(spec.run_dir, "enough")
    here.end_of(spec)
    wait_until("the keeper's end", lambda: running(str(spec.run_dir)) == [])


def test_the_result_is_there_before_the_lock_is_free(here: World) -> None:
    spec = here.start("echo hi; sleep 0.3")
    while agent.is_held(here.lock):
        time.sleep(0.001)
    assert json.loads((spec.run_dir / "result.json").read_text())["ended"] == "exited"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3600, "1 hour"), (7200, "2 hours"), (600, "10 minutes"), (60, "1 minute"), (90, "90 seconds"), (1, "1 second")],
)
def test_durations_are_spoken_as_people_do(seconds: float, words: str) -> None:
    assert watch.spoken(seconds) == words
