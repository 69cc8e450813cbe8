"""What the HTTP side works with."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from peewee import Database
from starlette.routing import BaseRoute

from models.settings import Settings
from webhook.pages.frame import Frame


def _nobody() -> None:
    """Rings nowhere."""


class SettingUp(Protocol):
    """The pages of the first start, as long as the service is not set up."""

    def routes(self, frame: Frame) -> Sequence[BaseRoute]:
        """Their addresses."""


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What the HTTP side works with: `ring` is the door bell of the desk, `ring_agents` that of
    the agents, who look for work by themselves a little later; `clock` gives seconds since the epoch.
    `environ` holds the variables that the settings hand to the agent, so that none of them is shown.
    `set_up` is None where the service is set up, or is to be set up by settings alone.
    """

    settings: Settings
    database: Database
    ring: Callable[[], None]
    ring_agents: Callable[[], None] = _nobody
    clock: Callable[[], float] = time.time
    environ: Mapping[str, str] = field(default_factory=dict)
    set_up: SettingUp | None = None
