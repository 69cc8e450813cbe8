"""Takes away what a conversation that is over left on this host: its places, and the sessions of its agent."""

from __future__ import annotations

from dataclasses import replace

from jobs.pull_place import READING
from jobs.report import target_of
from jobs.servers import Forge
from jobs.wiring import Wiring
from jobs.workspace import Workspace
from models import closing, threads
from models.tables import Thread


def free(wiring: Wiring, workspace: Workspace, forge: Forge, thread: Thread) -> None:
    """Take away what a conversation that is over left here, once nothing of it runs."""
    if threads.load(wiring.db, thread.id).over:
        place = workspace.place(target_of(forge, thread, ""))
        with workspace.alone(place):
            if not closing.is_running(wiring.db, thread.id):
                _free(wiring, workspace, forge, thread)


def free_for(wiring: Wiring, workspace: Workspace, forge: Forge, thread: Thread) -> Thread:
    """The same for a job of the thread that was just claimed, and that nothing else can run beside; gives the thread as
    it is then.
    """
    with workspace.alone(workspace.place(target_of(forge, thread, ""))):
        if threads.load(wiring.db, thread.id).over:
            _free(wiring, workspace, forge, thread)
    return threads.load(wiring.db, thread.id)


def _free(wiring: Wiring, workspace: Workspace, forge: Forge, thread: Thread) -> None:
    """The places first: where this is cut short, it is done again."""
    target = target_of(forge, thread, "")
    for purpose in (READING, ""):
        workspace.forget(workspace.place(replace(target, purpose=purpose)))
    closing.begin_anew(wiring.db, thread.id)
