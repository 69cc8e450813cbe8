"""What a job has made, kept as a patch beside its log for the pages: they run no git, and branches go."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from jobs.git import GitFailed
from jobs.mirror import Mirror

PATCH: Final = "made.diff"
MOST_BYTES: Final = 1 << 20
CUT: Final = "\n(the rest is not kept here: see the pull request)\n"

log = logging.getLogger(__name__)


def keep_patch(mirror: Mirror, base: str, head: str, folder: Path) -> None:
    """Write what differs between the two commits into the job's `folder`, its beginning where it is long. Where that
    does not succeed nothing is lost but the page's part, so it only stands in the log.
    """
    try:
        patch = mirror.patch(base, head).encode()
        whole = patch if len(patch) <= MOST_BYTES else patch[:MOST_BYTES] + CUT.encode()
        draft = folder / f"{PATCH}.draft"
        draft.write_bytes(whole)
        draft.replace(folder / PATCH)
    except (GitFailed, OSError) as error:
        log.warning("what was made could not be kept in %s: %s", folder, error)
