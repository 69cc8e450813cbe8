"""How long one waits for a server that is not well, and that its return ends all waiting. Times are plain numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from peewee import SqliteDatabase

from jobs import servers, settling
from jobs.gitea import GiteaDown
from jobs.launching import Launching
from jobs.queue import Bells
from jobs.redact import Redactor
from jobs.servers import Forge, Forges
from jobs.settling import Settling
from jobs.wiring import Wiring
from jobs.workspace import FetchFailed, WorkspaceRefused
from models import ledger, repos, threads, watching
from models.repos import Seen
from models.side_tables import Census, Watch
from models.tables import Job
from tests.fakes.gitea import FakeGitea
from tests.unit.storing import SERVER, new_store, queue, start
from tests.unit.website import settings_for

BOT = "kugetsu"
NOW = 1000.0


@dataclass
class Stage:
    """A Gitea, and what a worker knows of it."""

    gitea: FakeGitea
    db: SqliteDatabase
    wiring: Wiring

    @property
    def forge(self) -> Forge:
        return self.wiring.forges[SERVER]

    def check(self, now: float) -> float:
        """Look at the server if it is time to; when the next look is due."""
        self.wiring.forges.check_due(SERVER, now)
        return self.forge.check_at

    def end(self, run: int, error: Exception) -> Job:
        """The how many-th run of a job ends in this error; the job as it is then."""
        queue(self.db)
        claimed = start(self.db)
        Job.update(run=run).where(Job.id == claimed.job_id).execute(self.db)
        Settling(self.wiring, cast("Launching", SimpleNamespace(agent_name="agent"))).after(claimed, error)
        return ledger.job_of(self.db, claimed.job_id)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    db = new_store(tmp_path, durable=False)
    with FakeGitea(tmp_path / "gitea") as gitea, db.connection_context():
        gitea.user(BOT)
        settings = settings_for(tmp_path, GITEA_URL=gitea.url, GITEA_TOKEN=gitea.token_for(BOT))
        forges, bells = Forges(settings.servers, db), Bells(tmp_path / "queue.db")
        parts = {"settings": settings, "db": db, "bells": bells, "forges": forges, "redactor": Redactor([])}
        yield Stage(gitea, db, Wiring(**parts, worker="one", clock=lambda: NOW))  # type: ignore[arg-type]
        forges.close()
        bells.close()


def test_a_server_that_is_away_is_looked_at_again_soon_and_then_more_seldom(stage: Stage) -> None:
    stage.gitea.down()
    now, pauses = NOW, []
    for _ in range(7):
        due = stage.check(now)
        pauses.append(due - now)
        assert stage.check(due - 0.1) == due, "it was not due"
        now = due
    assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    stage.gitea.up()
    assert stage.check(now) == now + servers.CHECK_SECONDS
    stage.gitea.down()
    stage.forge.doubt()
    assert stage.forge.check_at == now + servers.DOUBT_SECONDS


def test_its_return_ends_all_waiting_for_it(stage: Stage) -> None:
    queue(stage.db)
    repo = repos.seen(stage.db, SERVER, Seen(1, "acme/app"))
    watching.register(stage.db, [SERVER])
    assert stage.check(NOW) > NOW
    watch, census = Watch.select().where(Watch.repo == repo).get(stage.db), Census.select().get(stage.db)
    thread = threads.take_thread(stage.db, "one", now=NOW, lease=60.0)
    assert thread is not None
    threads.thread_failed(stage.db, thread, problem="away", not_before=NOW + 300)
    watching.put_off(stage.db, watch, problem="away", due_at=NOW + 300)
    watching.not_counted(stage.db, census.server, problem="away", due_at=NOW + 300)
    stage.gitea.down()
    stage.forge.check_at = 0.0
    due = stage.check(NOW)
    assert not threads.any_due(stage.db, now=NOW)
    stage.gitea.up()
    stage.check(due)
    assert threads.any_due(stage.db, now=due)
    assert watching.take_census(stage.db, [SERVER], now=due, lease=1.0) is not None
    assert watching.take(stage.db, [SERVER], now=due, lease=1.0) is not None


@pytest.mark.parametrize("run", [1, 3, 10, 1000])
@pytest.mark.parametrize("error", [GiteaDown("away"), FetchFailed("away")])
def test_a_job_whose_server_is_away_is_put_off_for_a_minute_at_most(stage: Stage, run: int, error: Exception) -> None:
    pause = min(settling.FIRST_PAUSE_SECONDS * 2 ** min(run - 1, 9), 60.0)
    job = stage.end(run, error)
    assert (job.state, job.attempt, job.crashes) == ("queued", 0, 0)
    assert 0.8 * pause <= job.not_before - NOW <= 1.2 * pause


REFUSAL = WorkspaceRefused("acme/app could not be read: the server did not allow it to the bot.")


def test_a_repository_that_is_refused_to_a_good_token_ends_the_job(stage: Stage) -> None:
    job = stage.end(1, REFUSAL)
    assert (job.state, job.outcome, job.error) == ("reporting", "failed", str(REFUSAL))


def test_one_that_is_refused_to_a_bad_token_waits_for_a_better_one(stage: Stage) -> None:
    (token,) = stage.gitea.forge.state.tokens.values()
    token.scopes = ("read:repository", "write:issue", "read:user")
    job = stage.end(1, REFUSAL)
    assert (job.state, job.outcome, job.attempt) == ("queued", None, 0)
    assert "write:repository" in job.error


def test_one_that_is_refused_while_nobody_can_say_whether_the_token_is_good_waits(stage: Stage) -> None:
    stage.gitea.down()
    assert stage.end(1, REFUSAL).state == "queued"
