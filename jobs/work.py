"""What a push would bring, as plain values. Pure.

Paths are text in which bytes that are no UTF-8 stand as surrogates, as `os.fsdecode` leaves them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LINK: Final = 0o120000
SUBMODULE: Final = 0o160000
ABSENT: Final = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs. A mode of 0 means that there is nothing on that side."""

    path: str
    old_mode: int
    new_mode: int
    old_id: str
    new_id: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one push may bring. Sizes in bytes, as the files are in the tree."""

    file: int = 20 * 1024 * 1024
    total: int = 100 * 1024 * 1024
    files: int = 3000


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret in an added line: of which kind. `known`: it is one of this service's own."""

    path: str
    kind: str
    known: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What a push would bring.

    `changes` are the paths that differ from the base in the end, `sizes` those of all that is new in any of the commits
    (a file that a later commit takes away is pushed, too). `colliding` and `leaving` are paths that would fall together
    with another one, and links that lead out of the tree. `rootless` are commits that descend from nothing the server
    has, `disguised` those by somebody else than the bot. `filters` are the files that set a filter of git's.
    """

    changes: tuple[Change, ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()
    findings: tuple[Finding, ...] = ()
    colliding: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    rootless: tuple[str, ...] = ()
    disguised: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
