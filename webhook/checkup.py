"""What the doctor found, as text for a terminal, as JSON, and in the order of a page. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from models.checkup import Checkup, Finding, Level

ORDER = (Level.WRONG, Level.WARNING, Level.UNKNOWN, Level.WELL)

_WIDTH = max(len(level) for level in Level)


def as_text(checkup: Checkup) -> str:
    """A paragraph for each finding that asks for something, a line for each that does not, and a last word."""
    lines = [line for finding in in_order(checkup) for line in _lines(finding)]
    return "\n".join([*lines, last_word(checkup)])


def in_order(checkup: Checkup) -> list[Finding]:
    """What has to be done first, each level in the order of the chain."""
    return sorted(checkup.findings, key=lambda finding: ORDER.index(finding.level))


def as_json(checkup: Checkup) -> dict[str, Any]:
    """`well`, `cause` (the first that is wrong) and all `findings`."""
    findings = [msgspec.to_builtins(finding) for finding in checkup.findings]
    cause = msgspec.to_builtins(checkup.cause) if checkup.cause is not None else None
    return {"well": checkup.well, "cause": cause, "findings": findings}


def _lines(finding: Finding) -> Iterator[str]:
    of = f" ({finding.where})" if finding.where else ""
    yield f"{finding.level:{_WIDTH}}  {finding.check}{of}: {finding.what}"
    for name, text in (("why", finding.why), ("cure", finding.cure)):
        if text:
            yield f"{'':{_WIDTH}}  {name}: {text}"


def last_word(checkup: Checkup) -> str:
    """How it is, in one sentence."""
    count = sum(finding.level == Level.WRONG for finding in checkup.findings)
    said = sum(finding.level in (Level.WARNING, Level.UNKNOWN) for finding in checkup.findings)
    if not count:
        return f"Nothing is wrong; {said} to know of." if said else "All is well."
    things = (
        "1 thing is wrong"
        if count == 1
        else f"{count} things are wrong, the first of which may be the cause of the rest"
    )
    return f"{things}."
