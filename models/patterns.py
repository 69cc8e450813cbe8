"""Patterns for repositories, as settings have them: `acme/*`, `!acme/secret`, `*`."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence


def repo_allowed(patterns: Sequence[str], repo: str) -> bool:
    """Whether `repo` ("owner/name") may be worked on: the last pattern that matches decides, `!` leaves out.

    Letter case does not count; `*` alone is every repository; elsewhere a `*` stays on its side of the slash.
    When the first pattern leaves something out, all the rest is allowed; with no pattern at all, nothing is.
    """
    allowed = bool(patterns) and patterns[0].startswith("!")
    for pattern in patterns:
        if _matches(pattern.removeprefix("!").lower(), repo.lower()):
            allowed = not pattern.startswith("!")
    return allowed


def _matches(pattern: str, repo: str) -> bool:
    if pattern == "*":
        return True
    sides, parts = pattern.split("/"), repo.split("/")
    return len(sides) == len(parts) and all(map(fnmatch.fnmatchcase, parts, sides))
