"""The desk's care for webhooks: it lists what the bot sees, and keeps each webhook of ours as it should be.

Nothing is asked of Gitea by the HTTP side; what somebody wants stands in the table `hook`, and so does what was seen.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from jobs.desk import pause_after
from jobs.gitea import LABELS, GiteaDown, GiteaError, GiteaMissing, GiteaRefused
from jobs.hook_making import Maker
from jobs.queue import Lane
from jobs.repofile import PATH
from jobs.servers import Forge
from jobs.wiring import Wiring
from models import hooks
from models.hooks import SERVER, HookState
from models.repofile import RepoFileWrong, parse
from models.settings import allowed_by_name
from models.side_tables import Hook
from models.wire import Permissions, Repository

log = logging.getLogger(__name__)

LEASE_SECONDS = 120.0
LIST_SECONDS = 300.0
"""How often a server is asked which repositories there are."""

LOOK_SECONDS = 900.0
"""How often each repository's webhook is looked at while nobody asks."""

TEST_SECONDS = 5.0
"""How long a test delivery may take: Gitea gives it five seconds, once it is its turn."""


class HookCare:
    """Sees to the webhooks; `look` is what a ring calls."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._settings = wiring.settings
        self._on = wiring.settings.webhooks != "off"
        self._busy = threading.Lock()

    def start(self) -> None:
        """A worker begins."""
        if self._on:
            hooks.start(self._wiring.db, self._wiring.forges.names)

    def any_due(self) -> bool:
        """Whether there is something to see to."""
        return self._on and hooks.any_due(self._wiring.db, self._wiring.forges.names, now=self._wiring.clock())

    def look(self) -> bool:
        """See to the next place that is due; False where none is, or another thread does: so the desk's other worker is
        free for what people wait for, and what is decided for all of a server stands before it is acted upon.
        """
        if not self._on or not self._busy.acquire(blocking=False):
            return False
        try:
            row = self._take()
            if row is not None:
                self._see_to(row)
            return row is not None
        finally:
            self._busy.release()

    def _take(self) -> Hook | None:
        now = self._wiring.clock()
        return hooks.take(self._wiring.db, self._wiring.forges.names, now=now, lease=LEASE_SECONDS)

    def _see_to(self, row: Hook) -> None:
        forge = self._wiring.forges[row.server]
        try:
            if row.place == SERVER:
                self._list(forge, row)
            else:
                self._look_at(forge, row)
        except GiteaError as error:
            log.warning("%s %s: the webhook could not be looked at: %s", row.server, row.place or "(server)", error)
            due = self._wiring.clock() + pause_after(row.failures)
            hooks.put_off(self._wiring.db, row, problem=str(error), due_at=due)

    # The server: which repositories there are, and whether one webhook does for several

    def _list(self, forge: Forge, row: Hook) -> None:
        """First the webhooks that serve many repositories, then the list of those: a repository's own webhook is made
        only where no wider one tells of it.
        """
        found = self._visible(forge)
        maker = Maker(self._wiring, forge)
        whole = maker.wide(SERVER)
        wide = {} if whole else {owner: self._wide(maker, owner) for owner in sorted({_owner(name) for name in found})}
        places = {name: self._columns(forge, repo) | _by(whole, wide, name) for name, repo in found.items()}
        now = self._wiring.clock()
        hooks.listed(self._wiring.db, forge.name, places, now=now)
        if row.looked_at == 0.0 or row.due_at == 0.0:
            hooks.all_due(self._wiring.db, forge.name, now=now)
        hooks.seen(self._wiring.db, row, due_at=now + LIST_SECONDS, looked_at=now)
        self._wiring.bells.ring(Lane.DESK)

    def _wide(self, maker: Maker, owner: str) -> bool | None:
        """Whether one webhook of this organisation tells of its repositories; None where Gitea cannot say so now, which
        keeps no other waiting. Raises GiteaError where it says nothing at all.
        """
        try:
            return maker.wide(owner)
        except GiteaError as error:
            if isinstance(error, GiteaDown) and error.status is None:
                raise
            log.warning("%s: whether it has a webhook of ours is not known now: %s", owner, error)
            return None

    def _visible(self, forge: Forge) -> dict[str, Repository]:
        """By name: what the bot owns or works in, and what the settings name by its name."""
        found = {repo.full_name: repo for repo in forge.gitea.repos()}
        known = {name.lower() for name in found}
        for name in allowed_by_name(self._settings.repos_on(forge.name)):
            if name.lower() not in known:
                try:
                    repo = forge.gitea.repo(name)
                except (GiteaMissing, GiteaRefused):
                    continue
                found[repo.full_name] = repo
        return found

    def _columns(self, forge: Forge, repo: Repository) -> dict[str, Any]:
        allowed = self._settings.allows(forge.name, repo.full_name)
        rights = _rights(repo)
        return {"remote_id": repo.id, "allowed": allowed, "rights": rights, "archived": repo.archived}

    # A repository

    def _look_at(self, forge: Forge, row: Hook) -> None:
        maker = Maker(self._wiring, forge)
        if row.archived or (not row.allowed and row.hook_id is None):
            found: dict[str, Any] = {"state": HookState.UNKNOWN, "problem": ""}
        else:
            found = maker.see_to(row)
        found |= self._belongings(forge, row)
        now = self._wiring.clock()
        due = now + (TEST_SECONDS if found.get("tested_at") == now else LOOK_SECONDS)
        hooks.seen(self._wiring.db, row, due_at=due, looked_at=now, **found)

    def _belongings(self, forge: Forge, row: Hook) -> dict[str, str]:
        """What else a repository should have: our labels, and a file that can be read."""
        names = {label.name for label in forge.gitea.repo_labels(row.place)}
        missing = [spec.name for spec in LABELS if spec.name not in names]
        return {"labels_missing": ", ".join(missing), "file_problem": _file_problem(forge, row.place)}


def _file_problem(forge: Forge, repo: str) -> str:
    try:
        parse((forge.gitea.file(repo, PATH) or b"").decode(errors="replace"))
    except RepoFileWrong as wrong:
        return str(wrong)
    return ""


def _owner(repo: str) -> str:
    return repo.partition("/")[0]


def _by(whole: bool, wide: Mapping[str, bool | None], repo: str) -> dict[str, str | None]:
    """The wider place whose webhook tells of this repository, or None; nothing where that is not known now."""
    if whole:
        return {"by": SERVER}
    is_wide = wide[_owner(repo)]
    return {} if is_wide is None else {"by": _owner(repo) if is_wide else None}


def _rights(repo: Repository) -> str:
    may = repo.permissions or Permissions()
    return "admin" if may.admin else "write" if may.push else "read"
