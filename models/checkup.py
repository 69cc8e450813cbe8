"""What a look at the whole chain found: plain values, which a terminal, a page or a program can show."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How a link of the chain is. `unknown`: it could not be looked at."""

    WELL = "well"
    UNKNOWN = "unknown"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One link: `check` is its name, `where` which server or repository it is of ("": this machine), `what` what was
    seen, `why` what that does, `cure` one command or link.
    """

    check: str
    level: Level
    what: str
    where: str = ""
    why: str = ""
    cure: str = ""


class Checkup(msgspec.Struct, frozen=True):
    """All findings in the order of the chain: the first that is wrong is the cause of those after it."""

    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Checkup:
        return cls(tuple(findings))

    @property
    def cause(self) -> Finding | None:
        """The first that is wrong."""
        return next((finding for finding in self.findings if finding.level == Level.WRONG), None)

    @property
    def well(self) -> bool:
        return self.cause is None


def well(check: str, what: str, where: str = "") -> Finding:
    """A link that holds."""
    return Finding(check=check, level=Level.WELL, what=what, where=where)


def wrong(check: str, what: str, *, why: str, cure: str, where: str = "") -> Finding:
    """A link that is broken."""
    return Finding(check=check, level=Level.WRONG, what=what, where=where, why=why, cure=cure)


def warning(check: str, what: str, *, why: str, cure: str = "", where: str = "") -> Finding:
    """A link that holds, with something to be said of it."""
    return Finding(check=check, level=Level.WARNING, what=what, where=where, why=why, cure=cure)


def unknown(check: str, what: str, *, why: str = "", where: str = "") -> Finding:
    """A link that could not be looked at, and why."""
    return Finding(check=check, level=Level.UNKNOWN, what=what, where=where, why=why)
