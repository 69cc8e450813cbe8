"""The lease of a job, kept while its worker lives."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from peewee import PeeweeException

from jobs.wiring import Wiring
from models import ledger
from models.ledger import Claimed

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
RENEW_SECONDS = 5.0


class TakenOver(Exception):
    """Another worker has the job: this one stood still for longer than its lease."""


def check_held(wiring: Wiring, claimed: Claimed) -> None:
    """Raise TakenOver where the job is not this worker's any more: before anything that a row cannot fence."""
    if not ledger.holds(wiring.db, claimed):
        raise TakenOver


@contextmanager
def lease_kept(wiring: Wiring, claimed: Claimed) -> Iterator[None]:
    """Renew the job's lease while the block runs, whatever it waits for."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEW_SECONDS):
            try:
                ledger.renew(wiring.db, claimed, until=wiring.clock() + LEASE_SECONDS)
            except PeeweeException:
                log.exception("job=%s: the lease could not be renewed; tried again", claimed.job_id)
        wiring.db.close()

    renewing = threading.Thread(target=renew, name=f"lease-job-{claimed.job_id}", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        over.set()
        renewing.join()
