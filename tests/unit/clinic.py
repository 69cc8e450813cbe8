"""A sound service, ways to break it, and the doctor."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from jobs.doctor.examine import Examination
from models.checkup import Checkup, Finding, Level
from tests.fakes import stub
from tests.unit.hook_stage import BOT, Service, Stage
from webhook import checkup

NO_VARIABLES: Mapping[str, str] = {}
PATIENCE = 1.0
"""Seconds that a delivery which never comes is waited for; one that comes is there at once."""


@dataclass
class Clinic:
    """A sound service on its stage, a way to break it, and the doctor."""

    stage: Stage
    service: Service
    monkeypatch: pytest.MonkeyPatch

    def examine(self, repo: str = "", *, environ: Mapping[str, str] = NO_VARIABLES, **changed: str) -> Checkup:
        """What the doctor finds, with these settings changed."""
        given = {"WEBHOOKS": "manual", "SANDBOX": "none", "AGENT_COMMAND": stub.COMMAND, **changed}
        settings = self.stage.settings(**given)
        return Examination(settings, {"PATH": os.environ["PATH"], **environ}, repo, wait=PATIENCE).run()

    def token_with(self, *scopes: str) -> str:
        return self.stage.gitea.token_for(BOT, scopes)

    def rows(self, change: Callable[[], object]) -> None:
        with self.service.site.database.connection_context():
            change()


def cause_of(found: Checkup) -> Finding:
    """What stands first in the doctor's answer."""
    assert found.cause is not None, checkup.as_text(found)
    assert found.cause.what
    assert found.cause.why
    assert found.cause.cure
    first = checkup.as_text(found).splitlines()[0]
    assert first.startswith(f"wrong    {found.cause.check}")
    return found.cause


def said_by(found: Checkup, check: str) -> str:
    return next(finding.what for finding in found.findings if finding.check == check)


def level_of(found: Checkup, check: str) -> Level:
    return next(finding.level for finding in found.findings if finding.check == check)
