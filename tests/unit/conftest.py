"""What several unit tests stand on."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from peewee import SqliteDatabase

from jobs.doctor import agent
from models.tables import Worker
from tests.unit.clinic import Clinic
from tests.unit.hook_stage import Service, Stage, staged
from tests.unit.storing import new_store


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SqliteDatabase]:
    """An empty database with its schema, on disk; three agents may run."""
    database = new_store(tmp_path)
    with database.connection_context():
        yield database


@pytest.fixture(scope="module")
def doctors_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Service]]:
    """One for all tests of a file: each leaves it as it was."""
    with staged(tmp_path_factory.mktemp("clinic")) as stage:
        stage.now = None
        with stage.service() as service:
            service.begin()
            yield stage, service


@pytest.fixture
def clinic(doctors_ground: tuple[Stage, Service], monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """The agent is looked at where a test asks for it; it costs more than all the rest."""
    stage, service = doctors_ground
    monkeypatch.setattr(agent, "look", lambda *_: iter(()))
    made = Clinic(stage, service, monkeypatch)
    db = service.site.database
    with db.connection_context():
        Worker.delete().execute(db)
        row = {"host": "here", "pid": 1, "started_at": time.time(), "seen_at": time.time(), "sandbox": "none"}
        Worker.insert(name="w1", **row).execute(db)
    return made


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A Gitea that may call us."""
    with staged(tmp_path) as made:
        yield made


@pytest.fixture
def service(stage: Stage) -> Iterator[Service]:
    """A service that has begun to look after its webhooks."""
    with stage.service() as made:
        made.begin()
        yield made
