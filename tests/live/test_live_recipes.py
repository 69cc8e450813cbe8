"""Research and review with the real opencode: from the label to what stands on the issue or the pull request."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.opencode import Program
from tests.fakes.gitea import FakeGitea
from tests.fakes.llm import FakeLLM, bash, opencode_config, turn
from tests.world import WRITER, World

pytestmark = [pytest.mark.live, pytest.mark.timeout(500)]

LIMIT = 200.0
TEN = "".join(f"line {number}\n" for number in range(1, 11))


@pytest.fixture
def world(tmp_path: Path, llm: FakeLLM, program: Program) -> Iterator[World]:
    """A world whose agent is opencode, with a scripted LLM behind it."""
    home = tmp_path / "kugetsu"
    home.mkdir()
    (home / "opencode.json").write_text(json.dumps(opencode_config(llm.base_url)))
    (home / "models.json").write_text("{}")
    with FakeGitea(tmp_path / "gitea") as gitea:
        made = World(tmp_path, gitea, AGENT_COMMAND=program.argv[0])
        with made:
            yield made


def hand_over(name: str, text: str) -> str:
    """A command that writes a file into the agent's temporary folder."""
    return f"cat > \"$KUGETSU_TEMP_DIR/{name}\" <<'END'\n{text}\nEND"


def test_research_and_the_answer_to_its_question(world: World, llm: FakeLLM) -> None:
    found = "The **loop** is slow.\n\n## Questions\n\nMay it be removed?"
    llm.play(
        turn("I look.", bash("grep -n items app.py")),
        turn("I write it down.", bash(hand_over("findings.md", found))),
        turn("It is written."),
    )
    issue = world.issue("Why is it slow?", "Please find out.")
    world.label(issue, "kugetsu/research")
    result = world.wait_for_result(issue, timeout=LIMIT)
    assert result.index("The **loop** is slow.") < result.index("May it be removed?")
    assert f"@{WRITER}" in result
    assert "Please find out." in llm.turns[0].prompt
    llm.play(turn("Noted.", bash(hand_over("findings.md", "Then remove it."))), turn("It is written."))
    world.comment(issue, "/kugetsu yes, it may")
    assert "Then remove it." in world.wait_for_result(issue, 2, LIMIT)
    assert llm.turns[-1].users == 2
    assert "yes, it may" in llm.turns[-1].prompt
    assert world.gitea.pulls_of(world.repo) == []
    assert list(world.gitea.branches_of(world.repo)) == ["main"]


def test_review_and_a_second_look_at_what_is_new(world: World, llm: FakeLLM) -> None:
    fork = world.gitea.push(world.repo, "main", {"app.py": TEN}, WRITER)
    first = TEN.replace("line 3\n", "LINE 3\n")
    pull = world.pull({"app.py": first}, body="Louder.")
    head = world.gitea.branches_of(world.repo)["topic"]
    _reviewer(llm, f"git diff {fork} {head}", "Loud.", 3)
    world.label(pull, "kugetsu/review")
    world.wait_for_result(pull, timeout=LIMIT)
    assert _places(world, pull, 0) == [("app.py", 3, "Why here?")]
    later = world.gitea.push(world.repo, "topic", {"app.py": first.replace("line 8\n", "LINE 8\n")}, WRITER)
    _reviewer(llm, f"git diff {head} {later}", "Louder.", 3, 8)
    world.comment(pull, "/kugetsu review")
    world.wait_for_result(pull, 2, LIMIT)
    assert _places(world, pull, 1) == [("app.py", 8, "Why here?")]
    assert f"git diff {head} {later}" in llm.turns[-1].prompt
    assert llm.turns[-1].users == 2
    assert set(world.gitea.branches_of(world.repo)) == {"main", "topic"}


def _reviewer(llm: FakeLLM, look: str, summary: str, *lines: int) -> None:
    """Script an LLM that looks at the diff, fails if it is not there, and remarks on these lines."""
    remarks = [{"path": "app.py", "line": line, "side": "new", "body": "Why here?"} for line in lines]
    review = json.dumps({"summary": summary, "comments": remarks})
    llm.play(
        turn(
            "I look.", bash(f'{look} > "$KUGETSU_TEMP_DIR/seen.diff" && grep -c "^+LINE" "$KUGETSU_TEMP_DIR/seen.diff"')
        ),
        turn("I write it down.", bash(f'test -s "$KUGETSU_TEMP_DIR/seen.diff" && {hand_over("review.json", review)}')),
        turn("It is written."),
    )


def _places(world: World, pull: int, number: int) -> list[tuple[str, int, str]]:
    comments = world.reviews(pull)[number].comments
    return [(each.details["path"], each.details["new_position"], each.body) for each in comments]
