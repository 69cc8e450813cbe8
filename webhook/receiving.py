"""The HTTP side as a process: `kugetsu web`, or half of `kugetsu serve`."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

from jobs.queue import Bells, Lane
from models import opening
from models.settings import Settings
from webhook.app import create_app
from webhook.preparing import Preparing
from webhook.server import serve
from webhook.setup.pages import SetUp
from webhook.supervisor import AGAIN, WELL
from webhook.wiring import Wiring

log = logging.getLogger("kugetsu")


def receive(settings: Settings, environ: Mapping[str, str], *, listening: int | None, set_up: bool) -> int:
    """Serve until a signal says stop; the exit code. `listening` is the number of a socket that listens already;
    `set_up`: the first start, which asks for the settings and ends once they are written.
    """
    database = opening.open_database(settings.home / "kugetsu.db")
    preparing = Preparing(database, settings)
    bells = Bells(settings.home / "queue.db")
    desk, agents = (partial(bells.ring, lane) for lane in (Lane.DESK, Lane.AGENTS))
    wiring = Wiring(settings=settings, database=database, ring=desk, ring_agents=agents, environ=environ)
    setting_up = SetUp(wiring, end=_end) if set_up else None
    app = create_app(replace(wiring, set_up=setting_up))
    given = socket.socket(fileno=listening) if listening is not None else None
    with preparing, setting_up or nullcontext():
        serve(app, settings, announce=_announce(settings, setting_up), listening=given)
    bells.close()
    preparing.check()
    return AGAIN if setting_up is not None and setting_up.finished else WELL


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _announce(settings: Settings, setting_up: SetUp | None) -> partial[None]:
    missing = [] if settings.gitea_url else ["KUGETSU_GITEA_URL and KUGETSU_GITEA_TOKEN"]
    missing += [] if any(server.webhook_secrets for server in settings.servers.values()) else ["KUGETSU_WEBHOOK_SECRET"]
    return partial(_say_hello, missing, setting_up)


def _say_hello(missing: Sequence[str], setting_up: SetUp | None, address: str) -> None:
    log.info("listening on %s, webhooks at %s/webhook, pages at %s/admin", address, address, address)
    for names in missing:
        log.warning("%s: not set yet", names)
    if setting_up is not None:
        setting_up.invite(address)
