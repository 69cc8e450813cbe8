"""Looks at Gitea for what no webhook told of: Gitea sends each delivery once and never again.

Each repository has its turn: soon again where something happens or webhooks get lost, seldom where nothing does. A look
reads what changed since the last one; the first of a process, and one an hour, goes through all open issues, since a
label is state. What is found takes the road of a webhook. Only one such look at a time runs in a process at each
server, beside the desk's other workers: one that hangs keeps nothing else waiting.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from functools import partial

from jobs.gitea import GiteaDown, GiteaError, GiteaMissing
from jobs.looking import Look, Window
from jobs.patience import patiently
from jobs.servers import Forge
from jobs.whereabouts import Whereabouts
from jobs.wiring import Wiring
from models import recovery, repos, trouble, watching
from models.repos import Seen
from models.side_tables import Census, Watch
from models.watching import Pace
from models.wire import Repository

log = logging.getLogger(__name__)

QUIET_FACTOR = 10
"""A repository in which nothing happens is looked at so many times more seldom."""

ACTIVE_SECONDS = 3600.0
SWEEP_SECONDS = 3600.0
LOST_SECONDS = 3600.0
LEASE_SECONDS = 120.0
OWN_ERROR = "an error of Kugetsu's own; its log has all of it"
FIRST_PAUSE_SECONDS = 1.0

OVERLAP_SECONDS = 60.0
"""Looked at again before the time of the last look: a change is dated before it can be seen, and clocks are set."""

MOST_SET_BACK_SECONDS = 86400.0

REACH_SECONDS = 12 * 3600.0
"""How far back all comments are read once an hour: whoever may set the date of an entry sets it back. It is less than
the least time for which asks are kept, so nothing old is taken for new."""


class Reconciler:
    """`due` says whether there is anything to look at, `look` looks at one thing."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._whereabouts = Whereabouts(wiring)
        self._servers = wiring.forges.names
        interval = wiring.settings.reconcile_interval.total_seconds()
        self._pace = Pace(interval, interval * QUIET_FACTOR)
        self._seen: dict[int, dict[int, int]] = {}
        self._choosing, self._looking = threading.Lock(), set[str]()
        watching.register(wiring.db, self._servers)

    def due(self) -> bool:
        """Whether there is anything to look at now."""
        return watching.any_due(self._wiring.db, self._servers, now=self._wiring.clock())

    def look(self) -> bool:
        """Look at one repository, or for new ones; False where there is none to look at, or another thread does."""
        with self._choosing:
            now = self._wiring.clock()
            free = [name for name in self._servers if name not in self._looking]
            row = watching.take_census(self._wiring.db, free, now=now, lease=LEASE_SECONDS) or watching.take(
                self._wiring.db, free, now=now, lease=LEASE_SECONDS
            )
            if row is None:
                return False
            self._looking.add(row.server)
        try:
            if isinstance(row, Census):
                self._count(row)
            else:
                self._look(row, now)
        finally:
            self._looking.discard(row.server)
        return True

    def _count(self, row: Census) -> None:
        put_off = partial(watching.not_counted, self._wiring.db, row.server)
        self._try(f"server={row.server}: counting repositories", partial(self._count_at, row), row, put_off)

    def _count_at(self, row: Census) -> None:
        forge = self._wiring.forges[row.server]
        there = forge.gitea.now()
        for repo in forge.gitea.repos():
            if self._wiring.settings.allows(forge.name, repo.full_name):
                repos.seen(self._wiring.db, forge.name, Seen(repo.id, repo.full_name, repo.archived))
        due_at = self._wiring.clock() + self._spread(self._pace.quiet)
        watching.counted(self._wiring.db, forge.name, there=there, before=row.counted_at, due_at=due_at)

    def _look(self, watch: Watch, now: float) -> None:
        if not self._wiring.settings.allows(watch.server, watch.repo.name):
            watching.looked(self._wiring.db, watch, due_at=now + SWEEP_SECONDS)
            return
        put_off = partial(watching.put_off, self._wiring.db, watch)
        what = f"server={watch.server} repo={watch.repo.name}: looking"
        self._try(what, partial(self._look_at, watch, now), watch, put_off)

    def _try(self, what: str, act: Callable[[], None], row: Watch | Census, put_off: Callable[..., None]) -> None:
        """Do this; what did not succeed is put off for a while, and it is said why, as soon as that can be written."""
        began = self._wiring.clock()
        try:
            act()
        except Exception as error:
            known = isinstance(error, (GiteaError, ValueError))
            words = str(error) if known else trouble.of_storage(error)
            if words is None:
                log.exception("%s stumbled", what)
            else:
                log.warning("%s did not succeed: %s", what, words)
            due_at = began + self._pause(row, error)
            patiently(self._wiring, partial(put_off, problem=words or OWN_ERROR, due_at=due_at))

    def _look_at(self, watch: Watch, now: float) -> None:
        forge = self._wiring.forges[watch.server]
        try:
            shown, there = forge.gitea.repo_now(watch.repo.name)
            if self._is_still(forge, watch, shown):
                self._look_through(forge, watch, there, now)
            else:
                self._look_for(forge, watch, now)
        except GiteaMissing as missing:
            self._look_for(forge, watch, now, str(missing))

    def _is_still(self, forge: Forge, watch: Watch, shown: Repository) -> bool:
        """Whether what has its name now is this repository, by its own name, and in use. Another one is known now."""
        row = repos.seen(self._wiring.db, forge.name, Seen(shown.id, shown.full_name, shown.archived))
        return row == watch.repo_id and shown.full_name == watch.repo.name and not shown.archived

    def _look_for(self, forge: Forge, watch: Watch, now: float, missing: str = "") -> None:
        """It is not there under its name, or cannot be used, or something in it is `missing`."""
        where = self._whereabouts.follow(forge, watch.repo)
        due_at = now + (LOST_SECONDS if where.gone or where.archived else self._spread(self._pace.quiet))
        problem = where.words or missing
        watching.put_off(self._wiring.db, watch, problem=problem, due_at=0.0 if where.moved else due_at)

    def _look_through(self, forge: Forge, watch: Watch, there: float, now: float) -> None:
        window = self._window(watch, there, now)
        look = Look(
            self._wiring,
            forge,
            Repository(watch.remote_id or 0, watch.repo.name),
            window,
            self._seen.get(watch.repo_id, {}),
        )
        look.run()
        self._seen[watch.repo_id] = look.seen
        stirred = look.stirred or watch.heard_until is None
        stirred_at = now if stirred else watch.stirred_at
        pause = self._spread(self._pace.active if self._is_active(watch, now, stirred_at) else self._pace.quiet)
        watching.looked(
            self._wiring.db,
            watch,
            due_at=now + (window.grace if look.too_young else pause),
            known_from=window.known_from,
            heard_until=window.there,
            looked_at=now,
            stirred_at=stirred_at,
            swept_at=now if window.sweep else watch.swept_at,
        )

    def _window(self, watch: Watch, there: float, now: float) -> Window:
        """What is to be read, by the server's clock. Where that was set back since the last look, ours says by how
        much: what is dated by it is older than it should be.
        """
        known_from = watch.known_from
        if known_from is None:
            counted_at = watching.counted_at(self._wiring.db, watch.server)
            known_from = there if counted_at is None else counted_at
        since = known_from
        if watch.heard_until is not None:
            set_back = (now - watch.looked_at) - (there - watch.heard_until)
            since = watch.heard_until - OVERLAP_SECONDS - min(max(set_back, 0.0), MOST_SET_BACK_SECONDS)
        if there < known_from:
            known_from = min(since, there)
        sweep = watch.repo_id not in self._seen or now - watch.swept_at >= SWEEP_SECONDS
        back = min(since, max(known_from, there - REACH_SECONDS)) if sweep else since
        grace = self._pace.active / 10
        return Window(there=there, known_from=known_from, since=since, back=back, grace=grace, sweep=sweep)

    def _is_active(self, watch: Watch, now: float, stirred_at: float) -> bool:
        if now - stirred_at < ACTIVE_SECONDS:
            return True
        missed = recovery.missed_since(self._wiring.db, now - recovery.DAY_SECONDS)
        return (watch.server, watch.repo.name) in missed

    def _pause(self, row: Watch | Census, error: Exception) -> float:
        """Growing, with a ceiling, and no shorter than the server asks for."""
        wait = error.wait if isinstance(error, GiteaDown) else 0.0
        return max(wait, self._spread(min(FIRST_PAUSE_SECONDS * 2 ** min(row.failures, 16), self._pace.quiet)))

    @staticmethod
    def _spread(seconds: float) -> float:
        """Never all at the same moment, and with what is left for too young to be found, within `seconds`."""
        return seconds * random.uniform(0.8, 0.9)  # noqa: S311 - spread, not secrecy
