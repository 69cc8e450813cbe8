"""What the log says: one line for each move and each delivery, as text or as JSON, without a secret."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from peewee import SqliteDatabase

from models import ledger
from models.moves import Outcome
from tests.unit.deliveries import secret
from tests.unit.test_tally import asked
from tests.unit.website import settings_for
from webhook.logs import set_up_logging


@pytest.fixture
def quiet_afterwards() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def lines_of(db: SqliteDatabase, home: Path, kind: str, reason: str = "done") -> list[str]:
    """What is logged while a job is asked for, claimed and settled."""
    set_up_logging(settings_for(home, LOG_FORMAT=kind), {})
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(said := io.StringIO())
    asked(db)
    claimed = ledger.claim_next(db, "w", now=103.0, lease=60)
    assert claimed is not None
    ledger.settle(db, claimed, Outcome.COMPLETED, now=160.0, reason=reason)
    return said.getvalue().splitlines()


@pytest.mark.usefixtures("quiet_afterwards")
def test_as_text(db: SqliteDatabase, tmp_path: Path) -> None:
    lines = [line.split(maxsplit=2)[2] for line in lines_of(db, tmp_path, "text")]
    assert lines == [
        "kugetsu.moves job 1 gitea acme/widgets#7: new -> asked: ada asked",
        "kugetsu.deliveries delivery 1 (webhook, gitea): accepted: code on acme/widgets#7",
        "kugetsu.moves job 1 gitea acme/widgets#7: asked -> queued: ada may ask",
        "kugetsu.moves job 1 gitea acme/widgets#7: queued -> running: claimed",
        "kugetsu.moves job 1 gitea acme/widgets#7: running -> reporting (completed): done",
    ]


@pytest.mark.usefixtures("quiet_afterwards")
def test_as_json(db: SqliteDatabase, tmp_path: Path) -> None:
    last = json.loads(lines_of(db, tmp_path, "json")[-1])
    assert last.pop("time")
    assert last == {
        "level": "info",
        "logger": "kugetsu.moves",
        "message": "job 1 gitea acme/widgets#7: running -> reporting (completed): done",
        "job": 1,
        "server": "gitea",
        "repo": "acme/widgets",
        "issue": 7,
        "delivery": 1,
        "recipe": "code",
        "source": "running",
        "target": "reporting",
        "outcome": "completed",
        "worker": "w",
        "reason": "done",
    }


@pytest.mark.usefixtures("quiet_afterwards")
@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_secret_in_a_reason_is_not_logged(db: SqliteDatabase, tmp_path: Path, kind: str) -> None:
    said = "\n".join(lines_of(db, tmp_path, kind, reason=f"refused for {secret()}"))
    assert "refused for" in said
    assert secret() not in said
