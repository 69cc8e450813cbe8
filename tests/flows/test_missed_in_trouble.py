"""What no webhook told of is found however things stand: clocks, pages that shift, repositories that are others now."""

from tests.fakes.gitea import FakeGitea
from tests.flows.conftest import MakeWorld
from tests.flows.deaf import deaf_world, off_since, set_clock
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
