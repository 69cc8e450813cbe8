"""Where a repository is that cannot be found under its name: renamed, archived, or gone; and whether an issue is gone.

The server's number of it stays when it is renamed. One that is gone may only be out of our sight, because somebody took
the bot's access away by mistake: its reports wait for an hour before they are given up.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from jobs.gitea import GiteaMissing, GiteaRejected
from jobs.servers import Forge
from jobs.wiring import Wiring
from models import closing, hooks, repos
from models.repos import Seen
from models.tables import Repo, Thread

log = logging.getLogger(__name__)

GIVEN_UP_SECONDS = 3600.0
"""How long a repository must have been gone before nothing is tried there any more."""

GIVEN_UP_FAILURES = 20
"""How often in a row the desk must have failed at an issue that is gone, likewise: with its pauses, in an hour."""

LOCKED = 423
"""Gitea's answer to a change in an archived repository."""


@dataclass(frozen=True, slots=True)
class Where:
    """What became of a repository, or an issue. `words` is a sentence, "" where nothing is the matter with it.

    `moved`: it has another name, or can be used again; `gone`: there is none; `given_up`: for so long that nothing more
    is tried; `archived`: nobody can write to it.
    """

    words: str = ""
    moved: bool = False
    gone: bool = False
    given_up: bool = False
    archived: bool = False


def is_about_the_repository(error: Exception) -> bool:
    """Whether the error may come from the repository itself not being there, or being archived."""
    return isinstance(error, GiteaMissing) or (isinstance(error, GiteaRejected) and error.status == LOCKED)


class Whereabouts:
    """Asks the server, and notes what it says."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def follow(self, forge: Forge, repo: Repo) -> Where:
        """What became of the repository; its row has its new name afterwards. Raises GiteaError."""
        watch = repos.watch_of(self._wiring.db, repo.id)
        number = watch.remote_id if watch is not None else None
        try:
            there = forge.gitea.repo_by_id(number) if number is not None else forge.gitea.repo(repo.name)
        except GiteaMissing:
            return self._gone(repo)
        repos.number(self._wiring.db, forge.name, repo.id, there.id)
        repos.seen(self._wiring.db, forge.name, Seen(there.id, there.full_name, there.archived))
        if there.archived:
            return Where(f"{there.full_name} is archived: nobody can write to it", archived=True)
        if there.full_name != repo.name:
            log.warning("server=%s repo=%s is called %s now", forge.name, repo.name, there.full_name)
            hooks.list_soon(self._wiring.db, now=self._wiring.clock())
            return Where(f"it is called {there.full_name} now", moved=True)
        return Where()

    def follow_issue(self, forge: Forge, thread: Thread) -> Where:
        """Likewise of an issue in a repository that is there. Raises GiteaError."""
        try:
            forge.gitea.issue(thread.repo.name, thread.issue)
        except GiteaMissing:
            words = f"there is no {thread.repo.name}#{thread.issue} any more, or the bot may not see it"
            return Where(words, gone=True, given_up=thread.desk_failures >= GIVEN_UP_FAILURES)
        return self._follow_pull(forge, thread)

    def _follow_pull(self, forge: Forge, thread: Thread) -> Where:
        """Somebody may have deleted the pull request: the conversation goes on without it."""
        if thread.pull is None or thread.pull == thread.issue:
            return Where()
        try:
            forge.gitea.issue(thread.repo.name, thread.pull)
        except GiteaMissing:
            closing.lose_pull(self._wiring.db, thread.id, thread.pull)
            return Where(f"the pull request #{thread.pull} is gone", moved=True)
        return Where()

    def _gone(self, repo: Repo) -> Where:
        now = self._wiring.clock()
        since = repos.lost(self._wiring.db, repo.id, now=now)
        words = f"there is no repository {repo.name} any more, or the bot may not see it"
        return Where(words, gone=True, given_up=now - since >= GIVEN_UP_SECONDS)
