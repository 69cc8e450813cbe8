"""The repository's own word on the work: `setup` before the first run in a place, `verify` after each.

What they are stands in `.kugetsu.toml` on the default branch; what they do happens in the sandbox.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any, Final, Literal

from jobs import commands, keepsake, repofile, tidying
from jobs.allowance import limits_of
from jobs.commands import CommandCancelled, CommandEnd, CommandLost, Follow, Order
from jobs.errand import Errand
from jobs.inside import InsideFailed
from jobs.leases import check_held
from jobs.mirror import Mirror
from jobs.repofile import RepoFile
from jobs.sandbox import Sandbox
from jobs.wiring import Wiring
from jobs.workspace import Workspace, WorkspaceRefused
from models import ledger

log = logging.getLogger(__name__)

SETUP: Final = "setup"
VERIFY: Final = "verify"
MOST_REPAIRS: Final = 2
"""How often red goes back to the agent."""


class SetupFailed(Exception):
    """The repository's setup did not succeed, so no agent was started; `end` has the details."""

    def __init__(self, end: CommandEnd) -> None:
        super().__init__(f"the repository's `setup` command did not succeed ({end.how})")
        self.end = end


@dataclass(frozen=True, slots=True)
class Checks:
    """Runs them, or finds them run: everything here can be repeated by another worker."""

    wiring: Wiring
    workspace: Workspace
    sandbox: Sandbox

    def prepare(self, errand: Errand, file: RepoFile, follow: Follow) -> None:
        """Set the place up, unless this has been done with the same command before. Raises SetupFailed,
        WorkspaceRefused, and what `commands.run` raises.
        """
        if file.setup is None:
            return
        inside, name = self.workspace.inside(errand.target), hashlib.sha256(file.setup.encode()).hexdigest()
        if tidying.set_up(inside) == name:
            return
        try:
            tidying.begin_setup(inside)
            end = self._run(errand, SETUP, file, follow)
            if not end.ok:
                raise SetupFailed(end)
            tidying.end_setup(inside, name)
        except InsideFailed as error:
            raise WorkspaceRefused(f"The workspace could not be set up: {error}.") from error

    def take_in(self, errand: Errand) -> dict[str, Any]:
        """Collect what the agent made; gives it by the names of the job's columns. Once the check has begun it is not
        done again, for then the tree may hold what the check has left there.
        """
        names = ("base_sha", "head_sha", "changed")
        if commands.began(errand.run_dir, VERIFY):
            job = ledger.job_of(self.wiring.db, errand.job.id)
            return {name: getattr(job, name) for name in names}
        message = errand.thread.title or "Work"
        place = self.workspace.place(errand.target)
        made = self.workspace.collect(errand.target, place, errand.job.id, errand.forge.identity, message)
        result = {name: getattr(made, name) for name in names}
        ledger.note_progress(self.wiring.db, errand.claimed, **result)
        keepsake.keep_patch(
            Mirror(self.workspace.mirror(errand.target)), made.base_sha, made.head_sha, errand.run_dir.parent
        )
        return result

    def verify(self, errand: Errand, follow: Follow) -> CommandEnd | None:
        """How the repository's check takes the work that was just collected; None where it has no check."""
        file = repofile.kept(self.wiring, errand.thread.repo)
        if file.verify is None:
            return None
        try:
            end = self._run(errand, VERIFY, file, follow)
        except (CommandCancelled, CommandLost):
            self._sweep(errand)
            raise
        self._sweep(errand)
        return end

    def _sweep(self, errand: Errand) -> None:
        try:
            tidying.sweep(self.workspace.inside(errand.target))
        except InsideFailed as error:
            log.warning("job=%s: what its check left could not be swept away: %s", errand.job.id, error)

    def _run(self, errand: Errand, name: Literal["setup", "verify"], file: RepoFile, follow: Follow) -> CommandEnd:
        settings, command = self.wiring.settings, getattr(file, name)
        check_held(self.wiring, errand.claimed)
        self._show(errand, f"{name}: {command.partition(chr(10))[0]}")
        end = commands.run(
            Order(
                name=name,
                command=command,
                place=self.workspace.place(errand.target),
                sandbox=self.sandbox,
                mirror=self.workspace.mirror(errand.target),
                lock=errand.lock,
                run_dir=errand.run_dir,
                limits=limits_of(settings, file.timeout),
                hide=(settings.home.resolve(),),
            ),
            follow,
        )
        log.info("job=%s %s: %s after %.1f s", errand.job.id, name, end.how, end.seconds)
        return end

    def _show(self, errand: Errand, step: str) -> None:
        ledger.note_progress(self.wiring.db, errand.claimed, step=step)
        if self.wiring.settings.verbosity == "verbose":
            ledger.want_report(self.wiring.db, errand.job.id)


def row(end: CommandEnd | None) -> dict[str, Any]:
    """What the job's row says of a command that has ended."""
    if end is None:
        return {"check": "", "check_ok": None, "check_how": "", "check_seconds": 0.0, "check_output": ""}
    told = {"check": end.command, "check_ok": end.ok, "check_how": end.how}
    return {**told, "check_seconds": end.seconds, "check_output": end.output}
