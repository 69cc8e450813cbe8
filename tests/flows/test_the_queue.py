"""More is asked than can be done at once: what people see of the queue, and how an administrator steers it."""

import re
from functools import partial
from typing import Any

import httpx

from tests.fakes import stub
from tests.flows.conftest import MakeWorld
from tests.world import BOT, FILES, SECRET, WRITER, World

OTHER = "acme/gadgets"
WAITS = "stub: wait go\nstub: write app.py x"


def steer(world: World, path: str, **said: Any) -> dict[str, Any]:
    """An administrator steers on the machine itself; the answer."""
    answer = httpx.post(f"{world.halves.url}/admin/{path}", json=said or None, trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def busy(world: World, count: int = 1) -> list[int]:
    """Issues whose agents work until they are let go."""
    issues = [world.issue(f"Long {number}", WAITS) for number in range(count)]
    for issue in issues:
        world.label(issue, "kugetsu/code")
    world.wait_for_agents(count)
    return issues


def asked(world: World, title: str, *labels: str) -> int:
    """An issue that is labelled and has got its place in the queue."""
    issue = world.issue(title, WAITS)
    for label in labels:
        world.label(issue, label)
    world.label(issue, "kugetsu/code")
    world.wait_until(lambda: world.said(issue, "live"), f"a word on #{issue}")
    return issue


def headline(world: World, issue: int) -> str:
    """The first line of the comment that follows the issue's last job."""
    return (world.said(issue, "live") or [""])[-1].partition("\n")[0]


def wait_for(world: World, issue: int, pattern: str) -> None:
    """Until the comment that follows the issue's last job says so."""
    shown = partial(headline, world, issue)
    world.wait_until(lambda: re.search(pattern, shown()), f"{pattern!r} on #{issue}, which says {shown()!r}")


def wait_for_places(world: World, issues: list[int]) -> None:
    """Until each issue says its place in the queue, from 1."""
    for number, issue in enumerate(issues, 1):
        wait_for(world, issue, rf"Queued\*\*, position {number}\b")


def end(world: World, issues: list[int]) -> None:
    """Let these agents go on, one after the other as they start."""
    for issue in issues:
        world.wait_for(partial(_has_begun, world, issue), f"an agent on #{issue}")
        world.let_go(issue, "go")
    for issue in issues:
        world.wait_for_label(issue, "kugetsu/done")


def _has_begun(world: World, issue: int) -> bool:
    name = world.repo.rpartition("/")[2]
    return bool(stub.runs_in(list((world.home / "worktrees").glob(f"*-{name}-{issue}/home"))))


def test_five_labels_and_one_slot(make_world: MakeWorld) -> None:
    world = make_world(MAX_CONCURRENT_AGENTS="1")
    first = busy(world)
    waiting = [asked(world, f"Waits {number}") for number in range(4)]
    wait_for_places(world, waiting)
    world.comment(waiting[1], "/kugetsu cancel")
    world.wait_for_label(waiting[1], "kugetsu/cancelled")
    rest = [waiting[0], *waiting[2:]]
    wait_for_places(world, rest)
    end(world, first)
    wait_for(world, rest[0], "Working on it")
    wait_for(world, rest[1], r"position 1, in ")
    wait_for(world, rest[2], r"position 2, in ")
    end(world, rest)
    assert [job.outcome for job in world.jobs()] == ["completed", "completed", "cancelled", "completed", "completed"]


def test_a_pause_is_told_and_lets_what_runs_run(make_world: MakeWorld) -> None:
    world = make_world(MAX_CONCURRENT_AGENTS="1")
    first = busy(world)
    second = asked(world, "Waits")
    assert steer(world, "pause", reason="the disk is full")["paused"]
    wait_for(world, second, r"position 1, paused: the disk is full\.")
    end(world, first)
    assert headline(world, second).startswith("🌑")
    steer(world, "resume")
    end(world, [second])


def test_a_limit_raised_meanwhile_starts_more_at_once(make_world: MakeWorld) -> None:
    world = make_world(MAX_CONCURRENT_AGENTS="1")
    first = busy(world)
    waiting = [asked(world, "Waits"), asked(world, "Waits, too")]
    steer(world, "capacity", limit=3)
    world.wait_for_agents(3)
    end(world, [*first, *waiting])


def test_a_repository_at_its_limit_lets_another_go_first(make_world: MakeWorld) -> None:
    world = make_world(MAX_CONCURRENT_AGENTS="2", MAX_AGENTS_PER_REPO="1")
    world.gitea.repo(OTHER, files=FILES, collaborators={WRITER: "write", BOT: "admin"})
    world.gitea.hook(OTHER, f"{world.halves.url}/webhook", SECRET)
    first = busy(world)
    second = asked(world, "Waits for the first")
    wait_for(world, second, "position 1.*As many agents work in this repository as may")
    other = world.gitea.open_issue(OTHER, WRITER, "Elsewhere", "stub: write app.py x").number
    world.gitea.create_label(OTHER, "kugetsu/code", exclusive=True)
    world.gitea.label(OTHER, other, "kugetsu/code", WRITER)
    world.wait_until(lambda: "kugetsu/done" in world.gitea.labels_of(OTHER, other), "the other repository's work")
    assert headline(world, second).startswith("🌑")
    end(world, [*first, second])


def test_what_is_urgent_goes_first(make_world: MakeWorld) -> None:
    world = make_world(MAX_CONCURRENT_AGENTS="1")
    first = busy(world)
    plain = asked(world, "Plain")
    low = asked(world, "Can wait", "priority/low")
    high = asked(world, "Urgent", "priority/high")
    said = world.issue("Urgent, too", WAITS)
    world.comment(said, "/kugetsu code --priority high")
    wait_for_places(world, [high, said, plain, low])
    world.label(plain, "priority/high")
    wait_for_places(world, [plain, high, said, low])
    for issue in (plain, high, said, low):
        world.comment(issue, "/kugetsu cancel")
        world.wait_for_label(issue, "kugetsu/cancelled")
    end(world, first)


def test_an_administrator_cancels_and_has_it_done_again(world: World) -> None:
    issue = busy(world)[0]
    steer(world, "jobs/1/cancel")
    assert "An administrator has cancelled it." in world.wait_for_result(issue)
    assert world.labels(issue) == ["kugetsu/cancelled"]
    steer(world, "jobs/1/retry")
    world.wait_for_agents(2)
    end(world, [issue])
    result = world.wait_for_result(issue, 2)
    assert f"@{WRITER}" in result
    assert "@admin" not in result
    assert world.jobs()[1].asked_by == "admin"
