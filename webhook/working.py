"""The work side as a process: `kugetsu worker`, or half of `kugetsu serve`."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from jobs.worker import WorkerProcess
from models.settings import Settings
from webhook.preparing import prepared
from webhook.signals import at_end
from webhook.supervisor import WELL

NICENESS = 5
"""The work gives way to the receiving: a webhook has five seconds to be answered, once. Agents give way to both."""


def work(settings: Settings, environ: Mapping[str, str]) -> int:
    """Work until a signal says stop; the exit code."""
    os.nice(NICENESS)
    stop = threading.Event()
    at_end(stop.set)
    if not prepared(settings, stop):
        return WELL
    worker = WorkerProcess(settings, environ)
    worker.start()
    stop.wait()
    worker.stop()
    return WELL
