"""Whether the service lives, and whether it can work: database, workers, Gitea, disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from peewee import Database, PeeweeException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from models import trouble
from models.disk import Room, folders_of, unwritable
from models.settings import Server as ServerSettings
from models.settings import Settings
from models.tables import Intake, Server, Worker

SILENT = 30.0
"""Seconds without a heartbeat after which a worker counts as gone."""

PARTS = ("database", "workers", "gitea", "disk")


class Health:
    """The two probes. `writer_problem` says why deliveries cannot be stored, "" where they can."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], float],
        writer_problem: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._writer_problem = writer_problem

    async def healthz(self, _request: Request) -> Response:
        """Answers as long as the process does: what is wrong elsewhere is no reason to restart it."""
        return JSONResponse({"alive": True})

    async def readyz(self, _request: Request) -> Response:
        """503 while something keeps the service from working, with a sentence for each thing that is wrong."""
        problems = await run_in_threadpool(self.problems)
        sentences = [sentence for part in PARTS for sentence in problems[part]]
        ready = not any(self._stops(part, problems[part]) for part in PARTS)
        content = {"ready": ready, "reasons": sentences, "checks": {p: not problems[p] for p in PARTS}}
        return JSONResponse(content, 200 if ready else 503)

    def _stops(self, part: str, sentences: Sequence[str]) -> bool:
        """Whether nothing can be done because of this: of several servers one is enough to work for."""
        return bool(sentences) and not (part == "gitea" and len(sentences) < len(self._settings.servers))

    def problems(self) -> Mapping[str, tuple[str, ...]]:
        """For each of `PARTS` what is wrong with it. Blocks on the database."""
        database = tuple(self._database_problems())
        unknown = ("not known while the database cannot be used",) if database else ()
        return {
            "database": database,
            "workers": unknown or tuple(self._worker_problems()),
            "gitea": unknown or tuple(self._gitea_problems()),
            "disk": tuple(self._disk_problems()),
        }

    def storage(self) -> dict[str, str | int | float | bool | None]:
        """For the status page: bytes of the database and of the disk, and what is wrong with either. Blocks."""
        home = self._settings.home
        try:
            room = Room.of(home)
        except OSError:
            room = None
        size = sum(path.stat().st_size for path in home.glob("kugetsu.db*"))
        return {
            "problem": "; ".join([*self._database_problems(), *self._disk_problems()]),
            "database_bytes": size,
            "free_bytes": room.free if room else None,
            "floor_bytes": room.floor if room else None,
        }

    def _database_problems(self) -> Iterator[str]:
        said = self._writer_problem()
        if said:
            yield f"deliveries cannot be stored: {said}"
        try:
            with self._database.connection_context():
                probe_write(self._database)
        except PeeweeException as error:
            if (words := trouble.in_words(error)) != said:
                yield f"the database cannot be used: {words}"

    def _worker_problems(self) -> Iterator[str]:
        with self._database.connection_context():
            alive = Worker.select().where(Worker.seen_at > self._clock() - SILENT).exists(self._database)
        if not alive:
            yield f"no worker has been heard of for {SILENT:g} seconds"

    def _gitea_problems(self) -> Iterator[str]:
        if not self._settings.servers:
            yield "no Gitea is set: KUGETSU_GITEA_URL, KUGETSU_GITEA_TOKEN and KUGETSU_WEBHOOK_SECRET are missing"
        with self._database.connection_context():
            seen = {row.name: row for row in Server.select().execute(self._database)}
        for name, server in self._settings.servers.items():
            missing = what_is_missing(server)
            if missing:
                yield f"{name}: {' and '.join(missing)} not set"
            elif name not in seen:
                yield f"{name}: no worker has looked at it yet"
            elif not seen[name].ok:
                yield f"{name}: {seen[name].problem or 'it cannot be used'}"

    def _disk_problems(self) -> Iterator[str]:
        home = self._settings.home
        try:
            rooms = {folder: Room.of(folder) for folder in (folders_of(self._settings) or [home])}
        except OSError as error:
            yield f"the free disk space cannot be read: {error.strerror}"
            return
        for folder, room in rooms.items():
            if room.scarce:
                where = "" if folder == home else f"{folder}: "
                yield f"{where}{room.words()}: no new agent starts"
        if (shut := unwritable(self._settings)) is not None:
            yield f"{shut} is read-only: no new agent starts"


def probe_write(database: Database) -> None:
    """Write a row and take it back: an open connection alone does not show a locked or read-only database.

    Raises PeeweeException.
    """
    with database.atomic() as transaction:
        Intake.update(paused=Intake.paused).execute(database)
        transaction.rollback()


def what_is_missing(server: ServerSettings) -> list[str]:
    """The settings without which `server` cannot be worked with, in words."""
    parts = {"its url": server.url, "its token": server.token, "its webhook secret": server.webhook_secrets}
    return [name for name, value in parts.items() if not value]
