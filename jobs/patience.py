"""Writing what has to be written, as soon as the database can be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from peewee import PeeweeException

from jobs.wiring import Wiring
from models import trouble

AGAIN_SECONDS: Final = 1.0
"""How often a database that cannot be used is tried again."""


def patiently(wiring: Wiring, act: Callable[[], object]) -> None:
    """Do `act`, again and again until the database lets it; given up where the worker is to end."""
    while True:
        try:
            act()
            return
        except PeeweeException as error:
            if trouble.of_database(error) is None:
                raise
        wiring.db.close()  # after trouble another connection is the safer one
        if wiring.stopping.wait(AGAIN_SECONDS):
            return
