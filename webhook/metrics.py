"""GET /metrics for Prometheus: gauges from the tables as they are now, counters and histograms from their tallies."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from itertools import accumulate
from typing import Protocol

from peewee import Database, PeeweeException, fn
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from models import tally
from models.moves import State
from models.settings import Settings
from models.tables import Intake, Job, Repo, Server, Worker
from models.tally import COUNTS, SPREADS, Count, Labels, Spread
from webhook.admin import refusal
from webhook.health import SILENT

_NOT_DONE = (State.ASKED, State.QUEUED, State.RUNNING, State.REPORTING)


class Backlog(Protocol):
    """The writer, as far as it can be measured."""

    @property
    def waiting(self) -> int:
        """Deliveries that wait to be stored."""


class Metrics:
    """The page that Prometheus reads. `refused` counts the deliveries turned away since the start, by server ("" for an
    address of none) and HTTP status.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Callable[[], float],
        refused: Callable[[], Mapping[tuple[str, int], int]],
        backlog: Backlog,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._refused = refused
        self._backlog = backlog
        self._registry = CollectorRegistry()
        self._registry.register(self)

    async def page(self, request: Request) -> Response:
        """GET /metrics, in the text format of Prometheus or OpenMetrics, whichever is asked for."""
        if (answer := refusal(request, self._settings.admin_token)) is not None:
            return answer
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        try:
            return Response(await run_in_threadpool(self._encoded, encode), headers={"Content-Type": kind})
        except PeeweeException as error:
            return JSONResponse({"error": f"the database cannot be read: {error}"}, 503)

    def _encoded(self, encode: Callable[[CollectorRegistry], bytes]) -> bytes:
        with self._database.connection_context():
            return encode(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: what there is can be read only where there is a database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All there is to measure now."""
        yield _gauge("kugetsu_build_info", "The version that runs.", {(("version", version("kugetsu")),): 1})
        yield from self._work()
        yield from self._parts()
        refused = CounterMetricFamily(
            "kugetsu_deliveries_refused", "Deliveries turned away.", labels=["server", "status"]
        )
        for (server, status), number in sorted(self._refused().items()):
            refused.add_metric([server, str(status)], number)
        yield refused
        figures = tally.read(self._database)
        yield from (_counter(count, figures) for count in COUNTS)
        yield from (_histogram(spread, figures) for spread in SPREADS)

    def _work(self) -> Iterator[Metric]:
        of = (Repo.server, Job.state)
        states = Job.select(*of, fn.COUNT(Job.id), fn.MIN(Job.queued_at)).join(Repo).group_by(*of)
        rows = states.where(Job.state.in_(_NOT_DONE)).tuples().execute(self._database)
        found = {(str(server), state): (number, since) for server, state, number, since in rows}
        servers = sorted({*self._settings.servers, *(server for server, _ in found)})
        counts: dict[Labels, float] = {
            (("server", server), ("state", str(state))): found.get((server, state), (0, None))[0]
            for server in servers
            for state in _NOT_DONE
        }
        yield _gauge("kugetsu_jobs", "Jobs by state, of those that are not done.", counts)
        oldest = {server: found.get((server, State.QUEUED), (0, None))[1] for server in servers}
        ages: dict[Labels, float] = {
            (("server", server),): 0.0 if since is None else max(0.0, self._clock() - since)
            for server, since in oldest.items()
        }
        yield _gauge("kugetsu_queue_oldest_age_seconds", "How long the oldest queued job has waited.", ages)
        intake = Intake.select().where(Intake.id == 1).get(self._database)
        yield _gauge("kugetsu_capacity_agents", "How many agents may run at once.", {(): intake.capacity})
        yield _gauge("kugetsu_paused", "1 while no agent starts.", {(): int(intake.paused)})

    def _parts(self) -> Iterator[Metric]:
        alive = Worker.select().where(Worker.seen_at > self._clock() - SILENT).count(self._database)
        yield _gauge("kugetsu_workers", "Workers that were heard of lately.", {(): alive})
        servers = list(Server.select().execute(self._database))
        up: dict[Labels, float] = {
            (("server", row.name),): int(row.ok) for row in servers if row.name in self._settings.servers
        }
        yield _gauge("kugetsu_server_up", "1 where the Gitea or Forgejo can be worked with.", up)
        yield _gauge(
            "kugetsu_writer_queue_deliveries", "Deliveries that wait to be stored.", {(): self._backlog.waiting}
        )
        with suppress(OSError):
            free = shutil.disk_usage(self._settings.home).free
            yield _gauge("kugetsu_disk_free_bytes", "Free bytes where Kugetsu keeps its files.", {(): free})


def _gauge(name: str, says: str, values: Mapping[Labels, float]) -> Metric:
    names = [name for name, _ in next(iter(values), ())]
    family = GaugeMetricFamily(name, says, labels=names)
    for labels, value in values.items():
        family.add_metric([text for _, text in labels], value)
    return family


def _counter(count: Count, figures: Mapping[str, Mapping[Labels, float]]) -> Metric:
    family = CounterMetricFamily(count.name, count.says, labels=count.labels)
    for labels, value in figures.get(count.name, {}).items():
        of = dict(labels)
        family.add_metric([of[name] for name in count.labels], value)
    return family


def _histogram(spread: Spread, figures: Mapping[str, Mapping[Labels, float]]) -> Metric:
    family = HistogramMetricFamily(spread.name, spread.says, labels=spread.labels)
    bounds = [*(f"{bound:g}" for bound in spread.bounds), "+Inf"]
    buckets = figures.get(f"{spread.name}_bucket", {})
    for labels, total in figures.get(f"{spread.name}_sum", {}).items():
        counts = (buckets.get(tuple(sorted((*labels, ("le", bound)))), 0.0) for bound in bounds)
        of = dict(labels)
        values = list(zip(bounds, accumulate(counts), strict=True))
        family.add_metric([of.get(name, "") for name in spread.labels], values, total)
    return family
