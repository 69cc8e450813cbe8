"""What a repository tells agents, read from its default branch in the clean mirror; never from a branch under work."""

from __future__ import annotations

import posixpath
from typing import Final

from jobs import objects
from jobs.mirror import Mirror
from jobs.work import LINK, SUBMODULE

GUIDE: Final = "AGENTS.md"
MOST_GUIDE: Final = 64 * 1024
MOST_FILES: Final = 200
MOST_BYTES: Final = 2 * 1024 * 1024

_FOLDER: Final = ".opencode/"
_FILES: Final = ("opencode.json", "opencode.jsonc")
_GENERATED: Final = ("node_modules/", "package-lock.json", "package.json", "bun.lock", ".gitignore")
"""What opencode itself puts into such a folder."""


def read(mirror: Mirror, branch: str, path: str) -> bytes | None:
    """A file of the branch, through one link at most; None where there is none, or it is too large."""
    listing = objects.listing(mirror, f"refs/heads/{branch}")
    entry = listing.get(path)
    if entry is not None and entry.mode == LINK:
        aim = mirror.contents([entry.id])[0].decode(errors="replace")
        entry = listing.get(posixpath.normpath(posixpath.join(posixpath.dirname(path), aim)))
    if entry is None or entry.mode in (LINK, SUBMODULE):
        return None
    size = objects.sizes(mirror, [entry.id])[entry.id]
    return mirror.contents([entry.id])[0] if size <= MOST_GUIDE else None


def configuration(mirror: Mirror, branch: str) -> dict[str, bytes]:
    """The branch's own configuration of opencode, by path below `.opencode`; that of the root counts as in there."""
    wanted: dict[str, str] = {}
    for path, entry in objects.listing(mirror, f"refs/heads/{branch}").items():
        inner = path.removeprefix(_FOLDER) if path.startswith(_FOLDER) else path if path in _FILES else None
        if inner is not None and not inner.startswith(_GENERATED) and entry.mode not in (LINK, SUBMODULE):
            wanted.setdefault(inner, entry.id)
    kept = dict(list(wanted.items())[:MOST_FILES])
    sizes = objects.sizes(mirror, set(kept.values()))
    if sum(sizes.values()) > MOST_BYTES:
        return {}
    found: dict[str, bytes] = {}
    for batch in objects.contents(mirror, sizes):
        found |= batch
    return {path: found[name] for path, name in kept.items()}
