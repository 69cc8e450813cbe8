"""Somebody has work done and loses the right to it before it is pushed."""

import pytest

from jobs import rights
from tests.world import WRITER, World

WORK = "stub: write app.py new\nstub: wait go"


def begun(world: World, *, by: str = WRITER) -> int:
    """An issue whose agent is at work for `by`."""
    issue = world.issue("Change it", WORK)
    world.comment(issue, "/kugetsu do it", by=by)
    world.wait_for_agents(1)
    return issue


def test_nothing_is_pushed_for_who_may_not_write_any_more(world: World) -> None:
    issue = begun(world)
    world.gitea.let(world.repo, WRITER, "read")
    world.let_go(issue, "go")
    result = world.wait_for_result(issue)
    assert "nothing was pushed" in result
    assert f"{WRITER} has read access" in result
    assert world.labels(issue) == ["kugetsu/failed"]
    assert list(world.gitea.branches_of(world.repo)) == ["main"]
    (place,) = world.places()
    assert (place / "tree" / "app.py").read_text() == "new"


def test_it_would_be_if_nobody_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(rights, "lost", lambda *_: None)
    issue = begun(world)
    world.gitea.let(world.repo, WRITER, "read")
    world.let_go(issue, "go")
    world.next_pull(issue)
    world.wait_for_result(issue)


def test_one_of_two_who_lost_it_is_enough(world: World) -> None:
    world.gitea.let(world.repo, "eve", "write")
    issue = begun(world)
    for by in ("eve", WRITER):
        said = world.comment(issue, f"/kugetsu go on\nstub: write {by}.py new", by=by)
        world.wait_for_reaction(said, "eyes")
    world.gitea.let(world.repo, "eve", None)
    world.let_go(issue, "go")
    world.next_pull(issue)
    assert "eve has read access" in world.wait_for_result(issue, 2)
    assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", f"{WRITER}.py") is None


def test_who_may_write_by_a_team_alone_keeps_the_right(world: World) -> None:
    """Gitea's own answer about such people is too low; what a signed event has said of them counts."""
    world.gitea.let(world.repo, "teamster", "team-write")
    issue = begun(world, by="teamster")
    world.let_go(issue, "go")
    world.next_pull(issue)
    world.wait_for_result(issue)


def test_who_has_left_the_team_loses_it(world: World) -> None:
    world.gitea.let(world.repo, "teamster", "team-write")
    issue = begun(world, by="teamster")
    world.gitea.let(world.repo, "teamster", None)
    world.let_go(issue, "go")
    assert "nothing was pushed" in world.wait_for_result(issue)
