"""What the gateway and the workers tell each other: the spec it is started with, and the file that says where it is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from jobs.gateway.prices import Price
from jobs.gateway.providers import Provider
from jobs.keeper import write_json
from jobs.processes import Identity
from models.budgets import Scope, Unit

CONTROL, LOG, PRICES = "gateway.sock", "gateway.log", "prices.json"
_RUNNING, _LOCK = "gateway.json", "gateway.lock"

Catalogue = dict[str, dict[str, Price]]


class Limit(msgspec.Struct, frozen=True):
    """One limit of the settings."""

    scope: Scope
    unit: Unit
    amount: float


class Spec(msgspec.Struct, frozen=True):
    """What to serve. It holds the providers' keys, so it goes through a pipe and is written nowhere. `digest` tells it
    from any other.
    """

    home: str
    port: int
    digest: str
    providers: Mapping[str, Provider]
    limits: list[Limit]


class Running(msgspec.Struct, frozen=True):
    """The gateway that runs, or ran last."""

    process: Mapping[str, int | str]
    port: int
    digest: str

    @property
    def alive(self) -> bool:
        written = msgspec.convert(self.process, Identity)
        return written.here() and Identity.of(written.pid) == written


def running(home: Path) -> Running | None:
    """The gateway of this folder, if one runs."""
    try:
        found = msgspec.json.decode((home / _RUNNING).read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if found.alive else None


def remember(home: Path, found: Running) -> None:
    write_json(home / _RUNNING, msgspec.to_builtins(found))


def forget(home: Path) -> None:
    (home / _RUNNING).unlink(missing_ok=True)


@contextmanager
def start_lock(home: Path, *, wait: bool = False) -> Iterator[bool]:
    """Held by who starts a gateway, or ends it; False where somebody else holds it and one is not to `wait`."""
    try:
        file = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # the whole folder is gone
        yield True
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(file)


class _Prices(msgspec.Struct, frozen=True):
    of: str
    prices: Catalogue


def write_prices(home: Path, of: str, prices: Catalogue) -> None:
    """Keep what opencode's catalogue says, for the gateway to read. `of` names whose prices these are."""
    write_json(home / PRICES, msgspec.to_builtins(_Prices(of, prices)))


def prices_of(home: Path) -> str:
    """Whose prices are kept; "" where none are."""
    return _kept(home).of


def _kept(home: Path) -> _Prices:
    try:
        return msgspec.json.decode((home / PRICES).read_bytes(), type=_Prices)
    except (FileNotFoundError, msgspec.DecodeError):
        return _Prices("", {})


def prices_in(home: Path) -> Callable[[str], Mapping[str, Price]]:
    """Gives the catalogue's prices of a provider's models, read anew when the file has changed."""
    known: Catalogue = {}
    read_at = 0

    def of(provider: str) -> Mapping[str, Price]:
        nonlocal known, read_at
        path = home / PRICES
        changed = path.stat().st_mtime_ns if path.exists() else 0
        if changed != read_at:
            known, read_at = _kept(home).prices, changed
        return known.get(provider, {})

    return of
