"""What several unit tests stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from peewee import SqliteDatabase

from tests.unit.storing import new_store


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SqliteDatabase]:
    """An empty database with its schema, on disk; three agents may run."""
    database = new_store(tmp_path)
    with database.connection_context():
        yield database
