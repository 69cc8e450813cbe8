"""What the HTTP side works with."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from peewee import Database

from models.settings import Settings


def _nobody() -> None:
    """Rings nowhere."""


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What the HTTP side works with: `ring` is the door bell of the desk, `ring_agents` that of
    the agents, who look for work by themselves a little later; `clock` gives seconds since the epoch.
    """

    settings: Settings
    database: Database
    ring: Callable[[], None]
    ring_agents: Callable[[], None] = _nobody
    clock: Callable[[], float] = time.time
