"""A repository's `.kugetsu.toml`, as it stands on the default branch; never the branch under work."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass

from jobs.servers import Forge
from jobs.wiring import Wiring
from models.repofile import RepoFile, RepoFileWrong, parse
from models.tables import Repo

__all__ = ["PATH", "RepoFile", "Trouble", "current", "kept", "trouble"]

log = logging.getLogger(__name__)

PATH = ".kugetsu.toml"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the newest version of the file is not used. `version` tells it from every other one."""

    version: str
    problem: str


def current(wiring: Wiring, forge: Forge, repo: Repo) -> RepoFile:
    """The file as it is now; where that is broken the last good one, and `trouble` says why. Nothing at all where there
    is none. Raises `GiteaError` where it cannot be asked for.
    """
    text = (forge.gitea.file(repo.name, PATH) or b"").decode(errors="replace")
    version = hashlib.sha256(text.encode()).hexdigest()
    try:
        read = parse(text)
    except RepoFileWrong as wrong:
        log.warning("server=%s repo=%s: %s is broken: %s", repo.server, repo.name, PATH, wrong)
        _note(wiring, repo, file_version=version, file_problem=str(wrong))
        return kept(wiring, repo)
    _note(wiring, repo, file_version=version, file_problem="", file_good=text)
    return read


def _note(wiring: Wiring, repo: Repo, **seen: str) -> None:
    """Store what was seen where it is news: the file is read far more often than it changes."""
    row = Repo.select().where(Repo.id == repo.id).get(wiring.db)
    if any(getattr(row, name) != text for name, text in seen.items()):
        Repo.update(**seen).where(Repo.id == repo.id).execute(wiring.db)


def kept(wiring: Wiring, repo: Repo) -> RepoFile:
    """The last good version that was read, without asking for it again."""
    text = Repo.select(Repo.file_good).where(Repo.id == repo.id).scalar(wiring.db)
    try:
        return parse(text or "")
    except RepoFileWrong:  # an older Kugetsu took it for good
        return RepoFile()


def trouble(wiring: Wiring, repo: Repo) -> Trouble | None:
    """What was wrong with the file when it was last read, or None."""
    row = Repo.select().where(Repo.id == repo.id).get(wiring.db)
    return Trouble(row.file_version, row.file_problem) if row.file_problem else None
