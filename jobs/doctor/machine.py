"""The first links: this machine, its folder, its database, git and the sandbox."""

from __future__ import annotations

import getpass
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from peewee import Database, PeeweeException

from jobs import git, sandbox
from jobs.git import GitFailed
from jobs.sandbox import Sandbox, SandboxUnavailable
from models import opening, trouble
from models.checkup import Finding, unknown, warning, well, wrong
from models.disk import Room, folders_of, spoken
from models.settings import Settings

OLDEST_GIT = (2, 31)
"""The first that takes settings from its environment (GIT_CONFIG_COUNT), which keeps tokens off command lines."""


def home(settings: Settings) -> Finding:
    """The folder of everything on disk."""
    folder = settings.home
    why = "everything that must survive a restart is kept there"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        said = f"{folder} cannot be written to: {error.strerror}"
        return wrong(
            "home", said, why=why, cure=f"chown -R {_me()} {folder}, or set KUGETSU_HOME to a folder of your own"
        )
    if folder.stat().st_mode & 0o007:
        cure = f"chmod o= {folder}"
        return warning("home", f"{folder} can be entered by anybody here", why="it holds logs and work", cure=cure)
    return well("home", str(folder))


def disk(settings: Settings) -> Finding:
    """Room for clones and logs."""
    home = settings.home
    try:
        rooms = {folder: Room.of(folder) for folder in (folders_of(settings) or [home])}
    except OSError as error:
        return unknown("disk", f"the free space cannot be read: {error.strerror}")
    for folder, room in rooms.items():
        if room.scarce:
            why, cure = "no new work is started meanwhile", "make room: KUGETSU_RETENTION_DAYS"
            return wrong("disk", f"{folder}: {room.words()}", why=why, cure=cure)
    return well("disk", f"{spoken(min(room.free for room in rooms.values()))} free")


def database(settings: Settings) -> tuple[Finding, Database | None]:
    """The database, where it is there and can be written; it is neither made nor changed here."""
    path = settings.home / "kugetsu.db"
    if not path.is_file():
        why = "the service makes it when it first starts"
        return wrong("database", f"there is no {path} yet", why=why, cure="start the service: make run"), None
    db = opening.open_database(path)
    try:
        with db.connection_context():
            opening.probe(db)
            behind = opening.pending(db)
    except (PeeweeException, opening.DatabaseRefused) as error:
        said = f"{path}: {trouble.of_storage(error) or error}"
        why = "webhooks are answered with 503 and nothing starts"
        return wrong("database", said, why=why, cure=f"lsof {path}"), None
    if behind:
        said = f"{path} is of an older version: {', '.join(behind)} did not run yet"
        why = "the service brings it up to date when it starts"
        return wrong("database", said, why=why, cure="restart the service with this version"), None
    return well("database", str(path)), db


def git_program() -> Finding:
    """git, new enough."""
    why = "repositories are cloned, read and pushed with it"
    try:
        said = git.git(["version"], git.Run(cwd=Path("/")))
    except (GitFailed, OSError) as error:
        return wrong("git", f"git does not run: {error}", why=why, cure="apt install git")
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
        need = ".".join(map(str, OLDEST_GIT))
        return wrong("git", f"{said.strip()} is too old, {need} is needed", why=why, cure="apt install git")
    return well("git", said.strip())


def box(settings: Settings) -> tuple[Finding, Sandbox | None]:
    """The sandbox that the agents run in."""
    try:
        found = sandbox.choose(settings.sandbox, settings.home)
    except (SandboxUnavailable, OSError) as error:
        return wrong("sandbox", str(error), why="no worker starts", cure="apt install bubblewrap"), None
    if found.kind == "none":
        why = "an agent can read and change whatever the service can"
        cure = "apt install bubblewrap" if settings.sandbox == "auto" else "unset KUGETSU_SANDBOX"
        return warning("sandbox", found.why, why=why, cure=cure), found
    return well("sandbox", found.why), found


def look(settings: Settings) -> Iterator[Finding]:
    """What needs neither the database nor the sandbox any further."""
    yield home(settings)
    yield disk(settings)
    yield git_program()


def _me() -> str:
    return getpass.getuser()
