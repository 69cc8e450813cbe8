"""Work that a thread of its own looks for now and then, so that it keeps nobody waiting, and nobody keeps it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from jobs.wiring import Wiring
from models import trouble

TROUBLE_SECONDS = 10.0

log = logging.getLogger(__name__)


class Rounds:
    """Calls `look` every `seconds` until `stopping` of the wiring is set; trouble ends none of it."""

    def __init__(self, wiring: Wiring, name: str, look: Callable[[], None], *, seconds: float) -> None:
        self._wiring = wiring
        self._name = name
        self._look = look
        self._seconds = seconds
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, with a first look after `seconds`."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for its end, once `stopping` is set. What it was about is left to the next worker."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        pause = self._seconds
        while not self._wiring.stopping.wait(pause):
            try:
                self._look()
                pause = self._seconds
            except Exception as error:
                pause = TROUBLE_SECONDS
                if (words := trouble.of_storage(error)) is None:
                    log.exception("the %s stumbled; it goes on", self._name)
                else:
                    log.warning("the %s waits: %s", self._name, words)
                    self._wiring.db.close()
        self._wiring.db.close()
