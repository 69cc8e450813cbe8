"""Files handed over by an agent, who may have put anything in their place."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from jobs import handed


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    (tmp_path / handed.FINDINGS).write_bytes(b"F\xc3\xbc\xdf\0e\xff")
    assert handed.read(tmp_path, handed.FINDINGS) == "Fü\ufffde\ufffd"


def test_a_long_one_is_cut(tmp_path: Path) -> None:
    (tmp_path / handed.FINDINGS).write_bytes(b"x" * (handed.MOST_BYTES + 5))
    assert len(handed.read(tmp_path, handed.FINDINGS) or "") == handed.MOST_BYTES


def test_nothing_else_is_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    place = tmp_path / "tmp"
    place.mkdir()
    path = place / handed.FINDINGS
    makes: list[Callable[[], None]] = [partial(path.symlink_to, secret), partial(os.mkfifo, path), path.mkdir]
    for make in makes:
        make()
        assert handed.read(place, handed.FINDINGS) is None
        handed.clear(place)
        assert not os.path.lexists(path)
    assert secret.read_text() == "secret"
    assert handed.read(place, handed.REVIEW) is None


def test_a_folder_that_leads_elsewhere_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / handed.FINDINGS).write_text("theirs")
    (tmp_path / "tmp").symlink_to("real")
    assert handed.read(tmp_path / "tmp", handed.FINDINGS) is None
    handed.clear(tmp_path / "missing")
    handed.clear(tmp_path / "tmp")
    assert (tmp_path / "real" / handed.FINDINGS).exists()


def test_what_an_earlier_job_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    for name in (handed.FINDINGS, handed.REVIEW, "notes"):
        (tmp_path / name).write_text(name)
    handed.clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]
