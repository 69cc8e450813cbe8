"""Whether the service lives, and whether it can work: database, workers, Gitea, disk."""

import shutil
from collections.abc import Callable, Iterator, Mapping

from peewee import Database, PeeweeException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from models.settings import Server as ServerSettings
from models.settings import Settings
from models.tables import Intake, Server, Worker

SILENT = 30.0
"""Seconds without a heartbeat after which a worker counts as gone."""

LEAST_FREE = 512 * 1024 * 1024
"""Bytes free below which the next clone or database page may find the disk full."""

PARTS = ("database", "workers", "gitea", "disk")


class Health:
    """The two probes. `writer_alive` says whether deliveries are still being stored."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], float],
        writer_alive: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._writer_alive = writer_alive

    async def healthz(self, _request: Request) -> Response:
        """Answers as long as the process does: what is wrong elsewhere is no reason to restart it."""
        return JSONResponse({"alive": True})

    async def readyz(self, _request: Request) -> Response:
        """503 while something keeps the service from working, with a sentence for each such thing."""
        problems = await run_in_threadpool(self.problems)
        sentences = [sentence for part in PARTS for sentence in problems[part]]
        content = {"ready": not sentences, "reasons": sentences, "checks": {p: not problems[p] for p in PARTS}}
        return JSONResponse(content, 503 if sentences else 200)

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

    def _database_problems(self) -> Iterator[str]:
        if not self._writer_alive():
            yield "the thread that stores deliveries has ended"
        try:
            with self._database.connection_context():
                probe_write(self._database)
        except PeeweeException as error:
            yield f"the database cannot be written: {error}"

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
        try:
            free = shutil.disk_usage(self._settings.home).free
        except OSError as error:
            yield f"the free disk space cannot be read: {error.strerror}"
            return
        if free < LEAST_FREE:
            yield f"only {free // 1024 // 1024} MiB of disk are free"


def probe_write(database: Database) -> None:
    """Write a row and take it back: an open connection alone does not show a full or read-only database.

    Raises PeeweeException.
    """
    with database.atomic() as transaction:
        Intake.update(paused=Intake.paused).execute(database)
        transaction.rollback()


def what_is_missing(server: ServerSettings) -> list[str]:
    """The settings without which `server` cannot be worked with, in words."""
    parts = {"its url": server.url, "its token": server.token, "its webhook secret": server.webhook_secrets}
    return [name for name, value in parts.items() if not value]
