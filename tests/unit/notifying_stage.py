"""What tells people outside Gitea, begun and ended by a test beside a running HTTP side."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from jobs.known_secrets import secrets_of
from jobs.notifying import Notifier
from jobs.queue import Bells
from jobs.redact import Redactor
from jobs.servers import Forges
from jobs.wiring import Wiring
from tests.unit.website import Website, running, settings_for

PATIENCE = 20.0


@contextmanager
def notifying_on(folder: Path, **given: str) -> Iterator[tuple[Website, Notifier]]:
    """The HTTP side with these settings, and a notifier that is not started yet; it has ended afterwards."""
    with ExitStack() as stack:
        site = stack.enter_context(running(settings_for(folder, **given)))
        bells = Bells(folder / "queue.db")
        stack.callback(bells.close)
        forges = Forges(site.settings.servers, site.database)
        stack.callback(forges.close)
        parts = {"settings": site.settings, "db": site.database, "bells": bells, "forges": forges}
        redactor = Redactor(secrets_of(site.settings))
        wiring = Wiring(**parts, redactor=redactor, worker="w", clock=time.time)  # type: ignore[arg-type]
        notifier = Notifier(wiring)
        yield site, notifier
        wiring.stopping.set()
        if given.get("NOTIFY"):
            notifier.join(PATIENCE)


def wait_for_so_many(found: Sequence[object], count: int) -> None:
    """Until so many have come, or for so long that they never will."""
    until = time.monotonic() + PATIENCE
    while len(found) < count and time.monotonic() < until:
        time.sleep(0.02)
