"""What the HTTP side works with."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from peewee import Database

from models.settings import Settings


def _nobody() -> None:
    """Rings nowhere."""


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What the HTTP side works with: `ring` is the door bell of the desk, `ring_agents` that of
    the agents, who look for work by themselves a little later; `clock` gives seconds since the epoch.
    `environ` holds the variables that the settings hand to the agent, so that none of them is shown.
    """

    settings: Settings
    database: Database
    ring: Callable[[], None]
    ring_agents: Callable[[], None] = _nobody
    clock: Callable[[], float] = time.time
    environ: Mapping[str, str] = field(default_factory=dict)
