"""The command `kugetsu doctor`. It needs nothing to be set up, so that it can also look at what cannot start."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from models.settings import Settings

WELL, NOT_WELL = 0, 1


def add_command(commands: Any) -> None:
    """Add it to the subcommands of a parser; what is parsed then has `examine`, which does it."""
    says = "look at every link of the chain, and name the cause and the cure"
    doctor = commands.add_parser("doctor", help=says, description=says)
    doctor.add_argument("repo", nargs="?", metavar="OWNER/REPO", type=_repo, help="only this repository")
    doctor.add_argument("--json", action="store_true", help="all findings as JSON")
    doctor.set_defaults(examine=_examine, with_parent=None)


def _examine(settings: Settings, environ: Mapping[str, str], arguments: argparse.Namespace) -> int:
    from jobs.doctor.examine import Examination
    from webhook import checkup

    found = Examination(settings, environ, arguments.repo or "").run()
    text = json.dumps(checkup.as_json(found), indent=2) if arguments.json else checkup.as_text(found)
    sys.stdout.write(f"{text}\n")
    return WELL if found.well else NOT_WELL


def _repo(text: str) -> str:
    owner, slash, name = text.partition("/")
    if not (owner and slash and name) or "/" in name:
        raise argparse.ArgumentTypeError(f"{text!r} is wrong; right would be OWNER/REPO")
    return text
