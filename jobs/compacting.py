"""Keeping mirrors small, without taking anything away that a place borrows.

A place's repository has no objects of its own but what its agent made: the others it reads in the mirror, also those
that no ref of the mirror names any more. So while any place of a repository is there, nothing is dropped, only packed
(https://git-scm.com/docs/git-repack, `-k`); where there is none, what no ref names goes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jobs import checkout
from jobs.git import GitFailed
from jobs.mirror import Mirror
from jobs.standing import OURS, Target

log = logging.getLogger(__name__)

MOST_PACKS: Final = 10
MOST_LOOSE: Final = 500
"""A mirror with more of either is packed anew."""
REPACK_LIMIT: Final = 900.0


def drop_refs(path: Path, target: Target, jobs: Sequence[int]) -> None:
    """Take away what we have kept in a mirror for a conversation that is over. Can be repeated."""
    if not path.is_dir():
        return
    names = [f"{OURS}/{kind}/{target.branch}" for kind in ("start", "seen")] + [f"{OURS}/pulls/{target.issue}"]
    names += [f"{OURS}/{kind}/{job}" for kind in ("jobs", "sealed") for job in jobs]
    kept = f"{OURS}/kept/{target.branch}"
    with Mirror(path).held() as held:
        given_way = [name for name in held.names(kept) if name.rpartition("/")[0] == kept]
        for name in [*held.refs(*names), *given_way]:
            held.set_ref(name, None)


def compact(path: Path, places: Path, *, wanted: bool) -> None:
    """Pack a mirror anew where that is worth it; take it away where neither a conversation (`wanted`) nor a place needs
    it: it can be fetched again. Raises MirrorBusy.
    """
    if wanted and not _is_untidy(path):
        return
    with Mirror(path).held() as held:
        borrowed = _is_borrowed(path, places)
        if not wanted and not borrowed:
            checkout.remove(path)
            return
        try:
            held.repack(keep_all=borrowed, deadline=REPACK_LIMIT)
        except GitFailed as error:
            log.warning("%s could not be packed anew: %s", path, error)


def _is_borrowed(path: Path, places: Path) -> bool:
    """Whether there is a place of this repository, or one in the making. Names that only begin alike count, too."""
    server, owner, name = path.parts[-3:]
    start = "-".join((server.replace("-", "+"), owner.replace("-", "+"), name.removesuffix(".git")))
    return any(folder.is_dir() for folder in places.glob(f"{start}-*"))


def _is_untidy(path: Path) -> bool:
    packs = len(list(path.glob("objects/pack/*.pack")))
    return packs > MOST_PACKS or sum(1 for _ in path.glob("objects/??/*")) > MOST_LOOSE
