"""Clearing up: what nobody needs any more after the days of `KUGETSU_RETENTION_DAYS` goes, and its space is given back.

What belongs to an open issue stays, however old it is, but for deliveries and logs: it may hold work that was never
pushed. Everything here can be cut short and done again.
"""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from peewee import SqliteDatabase

from jobs import checkout, compacting
from jobs.gitea import GiteaError, GiteaMissing
from jobs.pull_place import READING
from jobs.report import target_of
from jobs.servers import Forge
from jobs.whereabouts import Whereabouts
from jobs.wiring import Wiring
from jobs.workspace import MirrorBusy, Target, Workspace
from models import repos, retention, threads, trouble
from models.disk import Room
from models.tables import Thread

log = logging.getLogger(__name__)

DAY: Final = 86_400.0
QUIET_SECONDS: Final = 60.0
ASK_AGAIN_SECONDS: Final = DAY
"""How often Gitea is asked whether an old conversation's issue is still open."""
MISSING: Final = "missing"


class Retention:
    """`run` clears up once. One worker at a time does so on this host; the others need not."""

    def __init__(self, wiring: Wiring, workspace: Workspace) -> None:
        self._wiring = wiring
        self._workspace = workspace
        self._whereabouts = Whereabouts(wiring)
        self._open_until: dict[int, float] = {}

    def run(self) -> None:
        """One thing after the other; what cannot be done now is left for the next time."""
        home = self._wiring.settings.home
        with _alone(home / "retention.lock") as mine:
            if mine:
                for act in (
                    self._deliveries,
                    self._notifications,
                    self._conversations,
                    self._logs,
                    self._mirrors,
                    self._database,
                ):
                    self._try(act)
        self._wiring.db.close()

    def _try(self, act: Callable[[], None]) -> None:
        if self._wiring.stopping.is_set():
            return
        try:
            act()
        except Exception as error:
            if (words := trouble.of_storage(error)) is None:
                log.exception("clearing up stumbled; the rest goes on")
            else:
                log.warning("clearing up is put off: %s", words)

    @property
    def _before(self) -> float:
        return self._wiring.clock() - self._wiring.settings.retention_days * DAY

    def _deliveries(self) -> None:
        self._drop(retention.drop_deliveries, "deliveries")

    def _notifications(self) -> None:
        self._drop(retention.drop_notifications, "notifications")

    def _drop(self, some: Callable[..., int], what: str) -> None:
        total = 0
        while count := some(self._wiring.db, before=self._before):
            total += count
            if self._rest():
                break
        if total:
            log.info("%d old %s are gone", total, what)

    def _rest(self) -> bool:
        """Let others write; whether this worker is to end."""
        return self._wiring.stopping.wait(retention.REST_SECONDS)

    def _conversations(self) -> None:
        """Each by itself: what cannot be taken away keeps nothing else."""
        for number in retention.quiet_threads(self._wiring.db, before=self._before):
            self._try(partial(self._conversation, number))

    def _conversation(self, number: int) -> None:
        try:
            self._look_at(threads.load(self._wiring.db, number))
        except (GiteaError, MirrorBusy) as error:
            log.warning("whether thread %d is still needed is not known now: %s", number, error)

    def _look_at(self, thread: Thread) -> None:
        now = self._wiring.clock()
        if self._open_until.get(thread.id, 0.0) > now:
            return
        forge = self._wiring.forges[thread.server]
        if self._is_needed(forge, thread):
            self._open_until[thread.id] = now + ASK_AGAIN_SECONDS
            return
        target = target_of(forge, thread, "")
        place = self._workspace.place(target)
        with self._workspace.alone(place):
            # Asked again, since it may have been waited for while somebody reopened the issue.
            is_quiet = retention.is_quiet(self._wiring.db, thread.id, before=self._before)
            if is_quiet and not self._is_needed(forge, thread):
                self._forget(thread, target)

    def _is_needed(self, forge: Forge, thread: Thread) -> bool:
        """Whether its issue is open, or its pull request, or that cannot be known. Raises GiteaError."""
        numbers = [thread.issue, *([thread.pull] if thread.pull is not None else [])]
        states = [_state_of(forge, thread.repo.name, number) for number in numbers]
        if "open" in states:
            return True
        return MISSING in states and self._may_come_back(forge, thread)

    def _may_come_back(self, forge: Forge, thread: Thread) -> bool:
        """Whether the whole repository is out of sight and has not been for long: who takes the bot's access away for
        an hour must not find its work gone. Raises GiteaError.
        """
        where = self._whereabouts.follow(forge, thread.repo)
        if not where.gone:
            return where.moved
        watch = repos.watch_of(self._wiring.db, thread.repo_id)
        return watch is None or watch.lost_at is None or watch.lost_at >= self._before

    def _forget(self, thread: Thread, target: Target) -> None:
        """Places and refs first: where this is cut short, the row leads here again."""
        for purpose in ("", READING):
            self._workspace.forget(self._workspace.place(replace(target, purpose=purpose)))
        compacting.drop_refs(self._workspace.mirror(target), target, retention.jobs_of(self._wiring.db, thread.id))
        if retention.forget_thread(self._wiring.db, thread.id, before=self._before):
            log.info(
                "server=%s repo=%s issue=%s: closed and quiet, so nothing of it is kept",
                thread.server,
                thread.repo.name,
                thread.issue,
            )

    def _logs(self) -> None:
        needed = retention.needed_logs(self._wiring.db, since=self._before)
        folders = self._wiring.settings.home / "jobs"
        for folder in sorted(folders.iterdir()) if folders.is_dir() else []:
            if folder.name.isdecimal() and int(folder.name) not in needed and _is_older(folder, self._before):
                self._try(partial(checkout.remove, folder))

    def _mirrors(self) -> None:
        home, wanted = self._wiring.settings.home, retention.folders_with_threads(self._wiring.db)
        for path in sorted((home / "repos").glob("*/*/*.git")):
            server, owner, name = path.parts[-3:]
            is_wanted = (server, f"{owner}/{name.removesuffix('.git')}") in wanted
            self._try(partial(compacting.compact, path, home / "worktrees", wanted=is_wanted))

    def _database(self) -> None:
        db, now = self._wiring.db, self._wiring.clock()
        if isinstance(db, SqliteDatabase):
            idle = retention.is_idle(db, now=now, quiet_for=QUIET_SECONDS)
            room = Room.of(self._wiring.settings.home).free
            given = retention.give_back(db, idle=idle, room=room, rest=self._rest)
            if given:
                log.info("the database gave %d bytes back", given)


def _state_of(forge: Forge, repo: str, number: int) -> str:
    """Of an issue or pull request: `open`, `closed` or `missing`."""
    try:
        return forge.gitea.issue(repo, number).state
    except GiteaMissing:
        return MISSING


def _is_older(folder: Path, moment: float) -> bool:
    """A folder may be made just before its row says that it is needed."""
    return folder.stat().st_mtime < moment


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            # Closing alone would leave it to whoever was forked meanwhile and has a copy until its exec (flock(2)).
            fcntl.flock(lock, fcntl.LOCK_UN)
