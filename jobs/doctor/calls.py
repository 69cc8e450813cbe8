"""The doctor is called to the service: examinations that somebody asked for on the admin page."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from jobs.doctor.examine import Examination
from jobs.rounds import Rounds
from jobs.wiring import Wiring
from models import checkups
from models.checkup import Checkup, unknown

LOOK_SECONDS = 1.0

log = logging.getLogger(__name__)


class Calls:
    """Makes them one after the other, beside the work. `environ` is where the agent's variables are taken from."""

    def __init__(self, wiring: Wiring, environ: Mapping[str, str]) -> None:
        self._wiring = wiring
        self._environ = environ
        self._rounds = Rounds(wiring, "doctor", self._look, seconds=LOOK_SECONDS)
        self._taken: int | None = None

    def start(self) -> None:
        """Begin to listen for them."""
        self._rounds.start()

    def join(self, seconds: float) -> None:
        """Wait for its end, once `stopping` is set; what is not finished by then is for the next worker."""
        self._rounds.join(seconds)
        self._leave()

    def _leave(self) -> None:
        if self._taken is not None:
            checkups.leave(self._wiring.db, self._taken)
            self._taken = None

    def _look(self) -> None:
        self._leave()  # it could not be written down what was found
        while not self._wiring.stopping.is_set():
            row = checkups.take(self._wiring.db, now=self._wiring.clock())
            if row is None:
                return
            self._taken = row.id
            found = self._found(row.repo)
            checkups.finish(self._wiring.db, row.id, found, now=self._wiring.clock())
            self._taken = None

    def _found(self, repo: str) -> Checkup:
        try:
            return Examination(self._wiring.settings, self._environ, repo).run()
        except Exception as error:
            log.exception("the doctor stumbled")
            words = self._wiring.redactor.clean(f"{type(error).__name__}: {error}")
            return Checkup.of(
                [unknown("doctor", f"the examination broke off: {words}", why="the worker's log has more")]
            )
