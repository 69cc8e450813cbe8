"""What no webhook told of is found however things stand: clocks, pages that shift, repositories that are others now."""

from tests.fakes.gitea import FakeGitea
from tests.flows.conftest import MakeWorld
from tests.flows.deaf import deaf_world, off_since, recovered, set_clock
from tests.world import WRITER


def test_what_moves_to_a_page_that_was_read_is_found(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = deaf_world(make_world)
    off_since(world, hours=30)
    set_clock(fake, hours=-24)
    issue = world.issue("Crash")
    said = [world.comment(issue, f"Number {number}") for number in range(50)]
    world.comment(issue, "/kugetsu do it\nstub: write a.txt x")
    set_clock(fake, hours=0)
    second_page = fake.hold("GET /api/v1/repos/acme/widgets/issues/comments", skip=1)
    world.halves.start_worker()
    assert second_page.reached.wait(30)
    fake.delete_comment(world.repo, said[0], WRITER)
    second_page.release()
    world.wait_for_result(issue)


def test_what_was_said_by_a_clock_that_is_set_back_is_found_at_once(make_world: MakeWorld, fake: FakeGitea) -> None:
    set_clock(fake, hours=3)
    world = deaf_world(make_world)
    said, labelled = world.issue("One"), world.issue("Two", "stub: write b.txt x")
    world.comment(said, "/kugetsu do it\nstub: write a.txt x")
    world.label(labelled, "kugetsu/code")
    set_clock(fake, hours=0)
    for issue in (said, labelled):
        world.wait_for_result(issue)
    assert len(recovered(world)) == 2


def test_what_is_said_by_a_clock_that_is_set_on_is_found(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = deaf_world(make_world)
    issue = world.issue("One")
    world.comment(issue, "/kugetsu do it\nstub: write a.txt x")
    set_clock(fake, hours=3)
    world.wait_for_result(issue)
    world.comment(issue, "/kugetsu more\nstub: write b.txt x")
    world.wait_for_result(issue, 2)


def test_what_was_said_in_more_than_a_week_without_us_is_found(make_world: MakeWorld, fake: FakeGitea) -> None:
    world = deaf_world(make_world)
    off_since(world, hours=9 * 24)
    set_clock(fake, hours=-8 * 24)
    labelled, said = world.issue("One", "stub: write a.txt x"), world.issue("Two")
    world.label(labelled, "kugetsu/code")
    world.comment(said, "/kugetsu do it\nstub: write b.txt x")
    pull = world.pull({"app.py": "one\ntwo\n"})
    world.review(pull, "/kugetsu mend it\nstub: write c.txt x")
    set_clock(fake, hours=0)
    world.halves.start_worker()
    for issue in (labelled, said, pull):
        world.wait_for_result(issue)
    assert len(recovered(world)) == 3
