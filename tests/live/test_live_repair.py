"""Red goes back to the real opencode, which goes on in its session and mends its work."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.opencode import Program
from tests.fakes.gitea import FakeGitea
from tests.fakes.llm import FakeLLM, opencode_config, turn, use
from tests.world import World

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]

LIVE_PATIENCE = 300.0
CHECK = "grep -q right app.py || { printf 'app.py is wrong [[%s:repair]]' script; exit 3; }"
"""Its output, but not the command, says which script the LLM plays when it is told."""


@pytest.fixture
def world(tmp_path: Path, llm: FakeLLM, program: Program) -> Iterator[World]:
    home = tmp_path / "kugetsu"
    home.mkdir()
    (home / "opencode.json").write_text(json.dumps(opencode_config(llm.base_url)))
    (home / "models.json").write_text("{}")
    command = program.argv[0]
    with FakeGitea(tmp_path / "gitea") as gitea, World(tmp_path, gitea, AGENT_COMMAND=command) as world:
        yield world


def test_red_goes_back_into_the_same_session(world: World, llm: FakeLLM) -> None:
    llm.play(turn("", use("write", filePath="{cwd}/app.py", content="wrong\n")), turn("I wrote it."))
    llm.play(
        turn("", use("write", filePath="{cwd}/app.py", content="right\n")),
        turn("I wrote it, and mended it after the check."),
        script="repair",
    )
    world.repository_says(f'verify = """{CHECK}"""')
    issue = world.issue("Write app.py")
    world.label(issue, "kugetsu/code")
    result = world.wait_for_result(issue, timeout=LIVE_PATIENCE)
    assert "mended it after the check" in result
    pull = world.next_pull(issue)
    assert (pull.title, "after one repair" in pull.body) == ("Write app.py", True)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "app.py") == "right\n"
    last = llm.turns[-1]
    assert (last.users, "app.py is wrong" in last.prompt) == (2, True)
    (job,) = world.jobs()
    assert (job.repairs, job.attempt, job.run, job.check_ok) == (1, 0, 2, True)
