"""Which row a repository is, by its number on the server and by its name, and what is known of where it has gone.

A repository is renamed and its name taken by another: the number tells them apart. Who knows no number goes by name.
"""

from __future__ import annotations

from uuid import uuid4

import msgspec
from peewee import JOIN, Database

from models.prepared import Prepared, slot, slots
from models.side_tables import Watch
from models.tables import Repo, Thread


class Seen(msgspec.Struct, frozen=True):
    """A repository as the server shows it to the bot."""

    remote_id: int
    name: str
    archived: bool = False


def find(db: Database, server: str, name: str, remote_id: int = 0) -> int | None:
    """The row of the repository, None where there is none. `remote_id` 0: not known."""
    found = _BY_NUMBER.one(db, server=server, remote_id=remote_id) if remote_id else None
    if found is not None:
        return int(found)
    number, theirs = _BY_NAME.run(db, server=server, name=name).fetchone() or (None, None)
    return None if number is None or _is_older(theirs, remote_id) else int(number)


def ensure(db: Database, server: str, name: str, remote_id: int = 0) -> int:
    """The row of the repository, made where it is missing. Whoever had its name before, and is older, has lost it."""
    found = find(db, server, name, remote_id)
    if found is None:
        _give_up_name(db, server, name)
        _ADD.run(db, server=server, name=name, folder=_free_folder(db, server, name))
        found = int(_BY_NAME.run(db, server=server, name=name).fetchone()[0])
    known = _REMOTE.run(db, repo=found).fetchone()
    if known is None or (remote_id and known[0] is None):
        number(db, server, found, remote_id)
    return found


def number(db: Database, server: str, repo_id: int, remote_id: int) -> None:
    """Note the number of a repository whose number was not known, unless another has it; 0: it is not known now."""
    Watch.insert(server=server, repo=repo_id).on_conflict(action="NOTHING", conflict_target=[Watch.repo]).execute(db)
    if remote_id and _BY_NUMBER.one(db, server=server, remote_id=remote_id) is None:
        Watch.update(remote_id=remote_id).where((Watch.repo == repo_id) & Watch.remote_id.is_null()).execute(db)


def _is_older(theirs: int | None, remote_id: int) -> bool:
    """Whether the repository that had a name is not the one that has it now: a server numbers them as they are made."""
    return bool(remote_id and theirs is not None and theirs < remote_id)


def _free_folder(db: Database, server: str, name: str) -> str:
    """The name in lower case, unless the work of a repository lies there that had this name before."""
    folder = name.lower()
    taken = Repo.select().where((Repo.server == server) & (Repo.folder == folder)).exists(db)
    return f"{folder}@{uuid4().hex[:8]}" if taken else folder


def _give_up_name(db: Database, server: str, name: str) -> None:
    """A name that no repository can have, until it is known what became of the one that had this."""
    number, theirs = _BY_NAME.run(db, server=server, name=name).fetchone() or (None, None)
    if number is not None:
        Repo.update(name=f"{name}@{theirs}").where(Repo.id == number).execute(db)
        Watch.update(due_at=0.0).where(Watch.repo == number).execute(db)


def seen(db: Database, server: str, repo: Seen) -> int:
    """The server shows this repository: note its name and whether it can be written to; its row. One that was lost, or
    archived, can be worked on again at once.
    """
    shown = Watch.select(Watch.repo).join(Repo).where((Watch.server == server) & (Watch.remote_id == repo.remote_id))
    same = (Repo.name == repo.name) & (Watch.archived == repo.archived) & Watch.lost_at.is_null()
    unchanged = shown.where(same).scalar(db)
    return int(unchanged) if unchanged is not None else _note_seen(db, server, repo)


def _note_seen(db: Database, server: str, repo: Seen) -> int:
    with db.atomic():
        found = ensure(db, server, repo.name, repo.remote_id)
        name = Repo.select(Repo.name).where(Repo.id == found).scalar(db)
        if name != repo.name:
            _give_up_name(db, server, repo.name)
            Repo.update(name=repo.name).where(Repo.id == found).execute(db)
        watch = Watch.select().where(Watch.repo == found).get(db)
        if name != repo.name or watch.lost_at is not None or (watch.archived and not repo.archived):
            Thread.update(desk_not_before=0.0).where(Thread.repo == found).execute(db)
        Watch.update(archived=repo.archived, lost_at=None, due_at=0.0).where(Watch.repo == found).execute(db)
    return found


def lost(db: Database, repo_id: int, *, now: float) -> float:
    """The server says that there is no such repository; since when."""
    Watch.update(lost_at=now).where((Watch.repo == repo_id) & Watch.lost_at.is_null()).execute(db)
    since = Watch.select(Watch.lost_at).where(Watch.repo == repo_id).scalar(db)
    return float(since if since is not None else now)


def watch_of(db: Database, repo_id: int) -> Watch | None:
    """What is known of where this repository is."""
    row: Watch | None = Watch.select().where(Watch.repo == repo_id).first(db)
    return row


_BY_NUMBER = Prepared(
    lambda: Watch.select(Watch.repo).where((Watch.server == slot("server")) & (Watch.remote_id == slot("remote_id")))
)
_BY_NAME = Prepared(
    lambda: (
        Repo.select(Repo.id, Watch.remote_id)
        .join(Watch, JOIN.LEFT_OUTER, on=(Watch.repo == Repo.id))
        .where((Repo.server == slot("server")) & (Repo.name == slot("name")))
    )
)
_REMOTE = Prepared(lambda: Watch.select(Watch.remote_id).where(Watch.repo == slot("repo")))
_ADD = Prepared(
    lambda: Repo.insert(**slots("server", "name", "folder")).on_conflict(
        action="NOTHING", conflict_target=[Repo.server, Repo.name]
    )
)
