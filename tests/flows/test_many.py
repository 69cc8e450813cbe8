"""Sixty labels at once and three slots: never more than three agents, every job done, in the order of the asks."""

import pytest

from models.moves import State
from models.tables import Move
from tests.fakes.stub import most_at_once
from tests.flows.conftest import MakeWorld
from tests.world import World

ISSUES, SLOTS = 60, 3
LIMIT = 240.0


def taken_in_turn(world: World) -> list[int]:
    """The jobs as they were taken. Not by `started_at`, which two threads may read before either has the lock."""
    with world.database() as database:
        claims = (Move.source == State.QUEUED) & (Move.target == State.RUNNING)
        taken = Move.select(Move.job).where(claims).order_by(Move.id)
        return [int(move.job_id) for move in taken.execute(database)]


@pytest.mark.timeout(600)  # a real server takes a second for each push
def test_sixty_labels_and_three_slots(make_world: MakeWorld) -> None:
    world = make_world(MAX_CONCURRENT_AGENTS=str(SLOTS))
    first = [world.issue(f"Number {number}", f"stub: wait go\nstub: write f{number}.txt x") for number in range(SLOTS)]
    rest = [world.issue(f"Number {number}", f"stub: write f{number}.txt x") for number in range(SLOTS, ISSUES)]
    issues = [*first, *rest]
    for issue in first:
        world.label(issue, "kugetsu/code")
    world.wait_for_agents(SLOTS)
    for issue in rest:
        world.label(issue, "kugetsu/code")
    world.wait_until(lambda: all(world.labels(issue) == ["kugetsu/queued"] for issue in rest), "the rest queued", LIMIT)
    for issue in first:
        world.let_go(issue, "go")
    for issue in issues:
        world.wait_for_label(issue, "kugetsu/done", LIMIT)
    world.wait_quiet(LIMIT)
    runs = world.agent_runs()
    assert len(runs) == ISSUES
    assert most_at_once(runs) == SLOTS
    jobs = world.jobs()
    assert [job.outcome for job in jobs] == ["completed"] * ISSUES
    taken, waited = taken_in_turn(world), sorted(jobs, key=lambda job: job.queued_at or 0)
    at_once = taken[:SLOTS]  # there was a free slot: they had nobody to wait behind
    assert taken[SLOTS:] == [job.id for job in waited if job.id not in at_once]
    assert len(world.gitea.pulls_of(world.repo)) == ISSUES
