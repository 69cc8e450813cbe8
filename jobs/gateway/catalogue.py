"""The prices in opencode's own catalogue, asked of opencode itself: they come with its version."""

from __future__ import annotations

import json
import logging
import subprocess
import tempfile
from pathlib import Path

from jobs.gateway import files
from jobs.gateway.files import Catalogue
from jobs.gateway.prices import read_catalogue
from jobs.gateway.providers import KNOWN, Arrangement
from jobs.opencode import Program
from jobs.place import Place
from jobs.sandbox import Sandbox

log = logging.getLogger(__name__)

_SECONDS = 120.0


def renew(home: Path, arrangement: Arrangement, program: Program, agent_name: str, sandbox: Sandbox) -> None:
    """Keep the catalogue's prices of the providers that are served, for the gateway to read. It is asked for only where
    it is of use, and once for each version of `program`: that takes some seconds of processor time.
    """
    names = sorted(set(arrangement.providers) & set(KNOWN))
    of = f"{agent_name} {' '.join(names)}"
    if not program.is_opencode or not names or files.prices_of(home) == of:
        return
    found = _asked(arrangement, program, sandbox)
    if found:
        files.write_prices(home, of, {name: found[name] for name in names if name in found})
        log.info("prices of %d models taken from the catalogue of %s", sum(map(len, found.values())), agent_name)
    else:
        log.warning("the prices of %s are not known: a limit of cost cannot hold them", ", ".join(names))


def _asked(arrangement: Arrangement, program: Program, sandbox: Sandbox) -> Catalogue:
    with tempfile.TemporaryDirectory(prefix="kugetsu-") as folder:
        place = Place.at(Path(folder).resolve())
        for each in (place.home, place.tmp):
            each.mkdir()
        config = place.root / "opencode.json"
        config.write_text(json.dumps(arrangement.config_for("http://127.0.0.1:9", "none")))
        switches = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS")
        env = {f"OPENCODE_DISABLE_{switch}": "1" for switch in switches} | {"OPENCODE_CONFIG": str(config)}
        # Into a file: opencode 1.18.33 ends before a pipe has taken all that it printed.
        printed = place.root / "printed"
        argv = ["/bin/sh", "-c", f'exec "$@" >{printed.name}', "sh", *program.argv, "models", "--verbose"]
        try:
            sandbox.run_inside(place, None, argv, _SECONDS, env=env, read_only=program.needs)
        except subprocess.TimeoutExpired:
            return {}
        return read_catalogue(printed.read_text(errors="replace")) if printed.exists() else {}
