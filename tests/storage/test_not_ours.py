"""A home that belongs to somebody else."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.storage.conftest import start_refused
from webhook import cli

NOBODY = 65534


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Root may write anywhere, so as root this is somebody else for a while."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def home() -> Iterator[Path]:
    """Where everybody can look, but only root can write: into the folders of the other tests nobody else gets."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o555)
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("command", ["web", "worker"])
def test_who_may_not_write_to_the_home_is_told_in_one_line_whose_it_should_be(
    command: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with as_somebody_else():
        start_refused(home, command, monkeypatch)
        who = os.geteuid()
    assert capsys.readouterr().err == (
        f"kugetsu: {home}/migrate.lock: Permission denied for the user of number {who}, who runs this; right would be "
        "to run it as the owner of that folder, or to give the folder to this user\n"
    )


def test_what_is_refused_without_a_name_is_told_as_it_is() -> None:
    assert cli._in_a_line(PermissionError(1, "Operation not permitted")) == "[Errno 1] Operation not permitted"
