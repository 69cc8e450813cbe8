"""A run that takes too much is ended, and the issue says what it was."""

from tests.flows.conftest import MakeWorld


def test_the_issue_says_which_limit_was_passed(make_world: MakeWorld) -> None:
    world = make_world(AGENT_MEMORY="96MiB")
    issue = world.issue(
        "Take it all", "stub: run python3 -c 'import time; kept = bytearray(200 << 20); time.sleep(60)'"
    )
    world.label(issue, "kugetsu/code")
    assert "used more than 96 MiB of memory and was ended" in world.wait_for_result(issue)
    assert world.labels(issue) == ["kugetsu/failed"]


def test_so_it_does_when_the_check_takes_too_much(make_world: MakeWorld) -> None:
    world = make_world(AGENT_PROCESSES="60")
    world.repository_says('verify = "for n in $(seq 90); do sleep 20 & done; wait"\n')
    issue = world.issue("Add a file", "stub: write a.txt one")
    world.label(issue, "kugetsu/code")
    assert "ran more than 60 processes and threads at once" in world.next_pull(issue).body
