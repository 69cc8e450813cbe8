"""The stub agent does what its prompt says, in the sandbox, and is judged as the real one is."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import agent, opencode
from jobs.opencode import Invocation, Surroundings
from jobs.transcript import Cancelled, Completed, Failed, ShutDown, Transcript, judge
from tests.fakes import stub
from tests.unit.runs import World, running, wait_until, world


@pytest.fixture(params=["none", "bwrap"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, request.param)


def start(here: World, prompt: str, session: str | None = None) -> agent.RunSpec:
    program = opencode.find(stub.COMMAND, path="/nowhere")
    spec = here.spec("")
    given = Surroundings(
        place=here.place, run_dir=spec.run_dir, bot_name="bot", bot_email="bot@example.org", sandboxed=True
    )
    spec = replace(
        spec,
        argv=Invocation(program, session=session, title="never passed on").argv(),
        env=opencode.environment(given, program),
        prompt=prompt.replace("MARKER", here.marker),
        read_only=program.needs,
    )
    agent.launch(spec)
    return spec


def end(here: World, spec: agent.RunSpec) -> tuple[Transcript, Completed | Failed | Cancelled | ShutDown]:
    result = here.end_of(spec)
    transcript = Transcript.of(spec.run_dir / "events.jsonl")
    return transcript, judge(transcript, result)


def test_it_writes_and_commits_and_answers(here: World) -> None:
    subprocess.run(["git", "init", "-q", here.place.tree], check=True)
    prompt = "An issue.\n> stub: write sub/a.txt one\\ntwo\nstub: commit Add a\nstub: run cat sub/a.txt\n"
    prompt += "stub: say Done.\\nAll."
    transcript, verdict = end(here, start(here, prompt))
    assert verdict == Completed("Done.\nAll.")
    assert (here.place.tree / "sub/a.txt").read_text() == "one\ntwo"
    log = ["git", "-c", "safe.directory=*", "-C", str(here.place.tree), "log", "--format=%s|%an"]
    assert subprocess.run(log, check=True, capture_output=True, text=True).stdout == "Add a|bot\n"
    assert [step.tool for step in transcript.steps] == ["write", "bash", "bash"]
    assert (transcript.tokens.total, transcript.ignored) == (120 * 5, 0)


def test_without_directives_it_says_so(here: World) -> None:
    assert end(here, start(here, "Hello"))[1] == Completed("Nothing was asked of me.")


def test_it_keeps_a_record_of_its_runs(here: World) -> None:
    first = end(here, start(here, "stub: junk this is no JSON"))[0]
    second = end(here, start(here, "more", session=first.session))[0]
    assert first.ignored == 1
    runs = stub.runs_in([here.place.home])
    assert [run.prompt for run in runs] == ["stub: junk this is no JSON", "more"]
    assert {run.session for run in runs} == {first.session} == {second.session}
    assert runs[1].argv == ("run", "--format", "json", "--session", first.session)
    assert {run.cwd for run in runs} == {str(here.place.tree)}
    assert stub.most_at_once(runs) == 1
    assert stub.most_at_once([replace(run, ended=None) for run in runs]) == 2


@pytest.mark.parametrize(
    ("directive", "reason", "passing"),
    [
        ("fail 429", "the LLM's provider limits how much is asked of it (429): stub error 429", True),
        ("fail 401 bad key", "the LLM's provider refused the key it was given (401): bad key", False),
        ("exit 3", "the agent ended with code 3: stub: told to end with code 3", False),
        ("crash", "the agent was killed (signal 9), perhaps for lack of memory", True),
        ("finish length", "the LLM's answer was cut off: it reached the limit of its length", False),
        ("nonsense", "the agent ended with code 2: stub: there is no directive 'nonsense'", False),
    ],
)
def test_it_fails_as_told(here: World, directive: str, reason: str, passing: bool) -> None:
    assert end(here, start(here, f"stub: {directive}"))[1] == Failed(reason, passing=passing)


def test_once_is_once_and_the_rest_is_still_done_later(here: World) -> None:
    spec = start(here, "stub: write a.txt a\nstub: once crash\nstub: write b.txt b")
    transcript, verdict = end(here, spec)
    assert isinstance(verdict, Failed)
    assert not (here.place.tree / "b.txt").exists()
    assert end(here, start(here, "Continue where you stopped.", transcript.session))[1] == Completed(
        "Did: write b.txt."
    )


def test_it_waits_and_can_be_cancelled(here: World) -> None:
    spec = start(here, "stub: spawn MARKER\nstub: wait go\nstub: say Went.")
    wait_until("the run", lambda: (here.place.home / "stub-runs.jsonl").exists() and here.sleepers() != [])
    (here.place.tmp / "go").touch()
    assert end(here, spec)[1] == Completed("Went.")
    spec = start(here, "stub: sleep MARKER")
    wait_until("the second run", lambda: len(stub.runs_in([here.place.home])) == 2)
    agent.request_stop(spec.run_dir, "cancelled")
    assert end(here, spec)[1] == Cancelled()
    assert running(here.marker) == []


def test_it_can_be_silent(here: World) -> None:
    spec = start(here, "stub: silent")
    wait_until("the run", (here.place.home / "stub-runs.jsonl").exists)
    assert (spec.run_dir / "events.jsonl").read_text() == ""
    agent.request_stop(spec.run_dir, "enough")
    assert end(here, spec)[1] == Failed("enough")


def test_a_long_line_and_an_unknown_session(here: World) -> None:
    spec = start(here, "stub: print 200000")
    assert end(here, spec)[1] == Completed("Did: bash print.")
    assert max(map(len, (spec.run_dir / "events.jsonl").read_text().splitlines())) > 200_000
    assert end(here, start(here, "x", "ses_gone"))[1] == Failed(
        "the agent no longer has this conversation", passing=True, fresh=True
    )


def test_it_knows_no_option_beyond_the_contract() -> None:
    argv = [stub.COMMAND, "run", "--format", "json", "--title", "T"]
    ended = subprocess.run(
        argv, env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}, capture_output=True, check=False
    )
    assert ended.returncode == 2
