"""Worlds in which webhooks get lost, and waiting until Kugetsu has looked by itself."""

import time
from datetime import UTC, datetime, timedelta

from peewee import fn

from models.side_tables import Watch
from tests.fakes.gitea import FakeGitea
from tests.flows.conftest import MakeWorld
from tests.world import World

INTERVAL = "1s"


def deaf_world(make_world: MakeWorld, **settings: str) -> World:
    """A world in which nobody listens to webhooks, and Kugetsu has had its first look at the repository."""
    world = make_world(RECONCILE_INTERVAL=INTERVAL, **settings)
    world.halves.stop_web()
    wait_for_a_look(world)
    return world


def wait_for_a_look(world: World) -> None:
    """Until the repository has been looked at from now on."""
    before = looks(world)
    world.wait_for(lambda: looks(world) > before, "a look at the repository")


def looks(world: World) -> float:
    with world.database() as database:
        return float(Watch.select(fn.MIN(Watch.looked_at)).scalar(database) or 0.0)


def wait_for_another_second() -> None:
    """Gitea dates by whole seconds, and what is said in the second in which we come is said to us."""
    began = int(time.time())
    while int(time.time()) <= began:
        time.sleep(0.02)


def recovered(world: World) -> list[str]:
    """What was found that no webhook told of."""
    return sorted(row.detail for row in world.deliveries() if row.source == "reconcile")


def set_clock(fake: FakeGitea, hours: float) -> None:
    """From now on Gitea's clock is so many hours ahead of ours, or behind it."""
    fake.forge.state.clock = lambda: datetime.now(UTC) + timedelta(hours=hours)


def off_since(world: World, hours: float) -> None:
    """Kugetsu stops, as if it had last looked so many hours ago."""
    world.halves.stop_worker()
    ago = hours * 3600
    with world.database() as database:
        Watch.update(
            known_from=Watch.known_from - ago,
            heard_until=Watch.heard_until - ago,
            looked_at=Watch.looked_at - ago,
            swept_at=Watch.swept_at - ago,
        ).execute(database)
