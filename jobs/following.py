"""Reads along with what runs for a job until it has ended: notes how far it is, and has it stopped where it must be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jobs import agent, room
from jobs.errand import Errand
from jobs.leases import check_held
from jobs.recipes import keep_session
from jobs.transcript import CANCELLED, Transcript
from jobs.wiring import Wiring
from jobs.workspace import Workspace
from models import ledger

_NOTING: Final = 2.0
"""Seconds between two notes of how far an agent is."""


class Leaving(Exception):
    """This worker stops; what runs goes on, and the next worker adopts the job."""


class Following:
    """Until `leaving` is set: then each of these raises Leaving; TakenOver where another worker has the job."""

    def __init__(self, wiring: Wiring, workspace: Workspace, leaving: threading.Event) -> None:
        self._wiring = wiring
        self._workspace = workspace
        self._leaving = leaving

    def check_leaving(self) -> None:
        """Raise Leaving where this worker stops."""
        if self._leaving.is_set():
            raise Leaving

    def run(self, errand: Errand, started: Callable[[], None]) -> None:
        """Follow the agent until it has ended, noting how far it is. `started` is called at its first word."""
        transcript, budget = Transcript(), room.Budget(self._workspace.place(errand.target))
        noted, unnoted, over = -_NOTING, False, None

        def on_lines(lines: list[bytes]) -> None:
            nonlocal unnoted
            started()
            transcript.feed_all(lines)
            unnoted = True

        def should_stop() -> str | None:
            nonlocal noted, unnoted, over
            if time.monotonic() - noted >= _NOTING:
                check_held(self._wiring, errand.claimed)
                if unnoted:
                    self.note(errand, transcript)
                noted, unnoted, over = time.monotonic(), False, errand.purse.look()
            cancelled = ledger.cancel_requested(self._wiring.db, errand.job.id)
            return CANCELLED if cancelled else transcript.stuck or over or budget.broken()

        agent.follow(errand.run_dir, errand.lock, on_lines=on_lines, should_stop=should_stop, leave=self._leaving)
        self._check(errand)

    def command(self, errand: Errand, folder: Path) -> None:
        """Follow a command of the repository's until it has ended."""
        budget = room.Budget(self._workspace.place(errand.target))

        def should_stop() -> str | None:
            return CANCELLED if ledger.cancel_requested(self._wiring.db, errand.job.id) else budget.broken()

        agent.follow(folder, errand.lock, on_lines=_unread, should_stop=should_stop, leave=self._leaving)
        self._check(errand)

    def _check(self, errand: Errand) -> None:
        self.check_leaving()
        check_held(self._wiring, errand.claimed)

    def note(self, errand: Errand, transcript: Transcript) -> None:
        """Store how far the agent is; with verbosity `verbose` the issue shows it, too."""
        if transcript.session is not None:
            ledger.mark_told(self._wiring.db, errand.job.id, errand.job.run, now=self._wiring.clock())
        steps = transcript.steps
        progress = {"steps": len(steps), "step": steps[-1].words if steps else ""}
        ledger.note_progress(self._wiring.db, errand.claimed, **progress)
        errand.purse.note(transcript)
        if transcript.session is not None:
            keep_session(self._wiring.db, errand.thread, errand.job, transcript.session)
        if self._wiring.settings.verbosity == "verbose":
            ledger.want_report(self._wiring.db, errand.job.id)


def _unread(_lines: list[bytes]) -> None:
    return
