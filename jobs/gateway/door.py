"""The worker's way to the gateway: has it run, tells where, and gives each job its token."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from peewee import Database

from jobs.gateway import files
from jobs.gateway.files import Limit, Spec
from jobs.gateway.providers import Arrangement
from jobs.sandbox import SYSTEM_PATH
from models import spending
from models.budgets import Limits

log = logging.getLogger(__name__)

_START_SECONDS = 30.0
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir")
"""What the gateway needs of our environment to find its way out."""


class GatewayFailed(Exception):
    """The gateway does not start; the message says what it said."""


@dataclass(frozen=True)
class Door:
    """`host` is this machine's name in the tables."""

    home: Path
    host: str
    arrangement: Arrangement
    limits: Limits
    environ: Mapping[str, str]

    def config_for(self, db: Database, job_id: int) -> dict[str, Any] | None:
        """Opencode's configuration for a job, with a token of its own; None where there is nothing to say.

        Raises GatewayFailed.
        """
        if not self.arrangement.providers:
            return self.arrangement.config_for("", "")
        return self.arrangement.config_for(self.address(db), spending.open_account(db, job_id))

    def address(self, db: Database) -> str:
        """Where the gateway listens, started if it does not run. Raises GatewayFailed."""
        return f"http://127.0.0.1:{self.ensure(db)}"

    def ensure(self, db: Database) -> int:
        """Have the gateway run that serves this arrangement; its port, which stays as long as it can."""
        found = files.running(self.home)
        if found is not None and found.digest == self._digest:
            return found.port
        with files.start_lock(self.home, wait=True):
            found = files.running(self.home)
            if found is not None and found.digest == self._digest:
                return found.port
            port = self._start(spending.kept_port(db, self.host))
            spending.keep_port(db, self.host, port)
            return port

    def _start(self, port: int) -> int:
        served = self.arrangement.providers
        limits = [Limit(scope, unit, amount) for (scope, unit), amount in self.limits.items()]
        spec = Spec(str(self.home.resolve()), port, self._digest, served, limits)
        kept = {name: value for name, value in self.environ.items() if name.lower() in _PROXIES}
        try:
            ended = subprocess.run(
                [sys.executable, "-P", "-m", "jobs.gateway"],
                input=msgspec.json.encode(spec),
                env={**kept, "PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
                cwd="/",
                capture_output=True,
                timeout=_START_SECONDS,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GatewayFailed(f"the model gateway did not start within {_START_SECONDS:g} seconds") from None
        word, _, number = ended.stdout.decode().strip().partition(" ")
        if word != "ready" or not number.isdigit():
            said = ended.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise GatewayFailed(f"the model gateway did not start: {said[0]}")
        log.info("the model gateway listens on port %s for %s", number, ", ".join(served))
        return int(number)

    @cached_property
    def _digest(self) -> str:
        """Of all that makes one gateway another: what it serves, and its own code."""
        limits = [[*key, value] for key, value in self.limits.items()]
        sources = sorted(Path(__file__).parent.glob("*.py"))
        code = [version("kugetsu"), *(f"{path.name} {path.stat().st_mtime_ns}" for path in sources)]
        return hashlib.sha256(msgspec.json.encode([self.arrangement.providers, limits, code])).hexdigest()
