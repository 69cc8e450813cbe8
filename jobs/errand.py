"""A job with all that is needed to run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.servers import Forge
from jobs.spending import Purse
from jobs.workspace import Target
from models.ledger import Claimed
from models.tables import Job, Thread


@dataclass(frozen=True)
class Errand:
    """`run_dir` keeps what this run was told and what it said, `lock` is held by whatever runs in the job's place, and
    `purse` is what the job may use.
    """

    claimed: Claimed
    job: Job
    thread: Thread
    forge: Forge
    target: Target
    run_dir: Path
    lock: Path
    purse: Purse
