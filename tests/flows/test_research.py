"""Research: an issue is looked into, and what was found is posted on it."""

import pytest

from tests.fakes.gitea import FakeGitea
from tests.world import WRITER, World

FINDINGS = '"$KUGETSU_TEMP_DIR/findings.md"'


def hand_over(text: str) -> str:
    """A line that makes the stub agent write its findings."""
    return f"stub: run printf '{text}' > {FINDINGS}"


def test_a_label_brings_findings_and_pushes_nothing(world: World) -> None:
    issue = world.issue("Why is it slow?", f"stub: write app.py tried\n{hand_over('The **loop** is.')}")
    world.label(issue, "kugetsu/research")
    result = world.wait_for_result(issue)
    assert f"@{WRITER}" in result
    assert "The **loop** is." in result
    assert world.labels(issue) == ["kugetsu/done"]
    assert world.gitea.pulls_of(world.repo) == []
    assert list(world.gitea.branches_of(world.repo)) == ["main"]
    assert world.files_on(issue) == []


def test_an_answer_goes_on_in_the_same_conversation(world: World) -> None:
    text = r"All of it.\n\n## Questions\n\n1. Which one?\n\n## More\n\nDetails."
    issue = world.issue("Which database?", hand_over(text))
    world.label(issue, "kugetsu/research")
    first = world.wait_for_result(issue)
    assert first.index("Details.") < first.index("**Questions**") < first.index("1. Which one?")
    world.comment(issue, f"/kugetsu the second one\n{hand_over('Then it is clear.')}")
    second = world.wait_for_result(issue, 2)
    assert "Then it is clear." in second
    assert "All of it." not in second
    assert [job.recipe for job in world.jobs()] == ["research", "research"]
    assert len({run.session for run in world.agent_runs()}) == 1
    assert "the second one" in world.agent_runs()[1].prompt


def test_long_findings_are_attached(world: World) -> None:
    many = "stub: run for i in $(seq 3000); do echo line $i is here; done > " + FINDINGS
    asked = f"stub: run printf '\\n## Questions\\n\\nIs this enough?\\n' >> {FINDINGS}"
    issue = world.issue("Tell me everything", f"{many}\n{asked}")
    world.label(issue, "kugetsu/research")
    result = world.wait_for_result(issue)
    assert "line 1 is here" in result
    assert "line 3000 is here" not in result
    assert "findings.md" in result
    assert "Is this enough?" in result
    assert world.files_on(issue) == ["findings.md"]


def test_without_a_file_the_answer_is_what_was_found(world: World) -> None:
    issue = world.issue("Is it safe?", "stub: say It is safe.")
    world.label(issue, "kugetsu/research")
    assert "It is safe." in world.wait_for_result(issue)


def test_a_link_is_no_finding(world: World) -> None:
    issue = world.issue("Show me", f"stub: run ln -s /etc/passwd {FINDINGS}\nstub: say I tried.")
    world.label(issue, "kugetsu/research")
    result = world.wait_for_result(issue)
    assert "root:" not in result
    assert "I tried." in result


def test_findings_of_an_earlier_job_are_not_told_again(world: World) -> None:
    issue = world.issue("Why is it slow?", hand_over("Because of the loop."))
    world.label(issue, "kugetsu/research")
    world.wait_for_result(issue)
    world.comment(issue, "/kugetsu sure?\nstub: say Quite sure.")
    second = world.wait_for_result(issue, 2)
    assert "Quite sure." in second
    assert "Because of the loop." not in second


@pytest.mark.parametrize("route", ["POST .*/comments$", "POST .*/assets"])
def test_a_lost_answer_posts_nothing_twice(world: World, fake: FakeGitea, route: str) -> None:
    many = "stub: run for i in $(seq 3000); do echo line $i is here; done > " + FINDINGS
    issue = world.issue("Tell me everything", f"stub: wait go\n{many}")
    world.label(issue, "kugetsu/research")
    world.wait_for_agents(1)
    world.gitea.settle()
    fake.drop_response(route)
    world.let_go(issue, "go")
    world.wait_for_result(issue)
    assert len(world.said(issue, "result")) == 1
    assert world.files_on(issue) == ["findings.md"]


def test_a_server_that_takes_no_attachment_gets_the_text(world: World, fake: FakeGitea) -> None:
    many = "stub: run for i in $(seq 1500); do echo line $i is here; done > " + FINDINGS
    issue = world.issue("Tell me everything", f"stub: wait go\n{many}")
    world.label(issue, "kugetsu/research")
    world.wait_for_agents(1)
    fake.fail("POST .*/assets", 404)
    world.let_go(issue, "go")
    world.wait_for_label(issue, "kugetsu/done")
    world.wait_until(lambda: "line 1500 is here" in "".join(world.said(issue, "result")), "the whole text")
    assert world.files_on(issue) == []


def test_research_on_somebody_s_pull_request_reads_its_branch(world: World) -> None:
    pull = world.pull({"app.py": "theirs\n"})
    world.comment(pull, f"/kugetsu research what is in it?\nstub: run cat app.py > {FINDINGS}")
    assert "theirs" in world.wait_for_result(pull)
    assert f"git diff {world.gitea.branches_of(world.repo)['main']}" in world.agent_runs()[0].prompt
