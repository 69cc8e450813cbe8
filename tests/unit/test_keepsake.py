"""What a job has made, kept as a patch."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jobs import keepsake
from jobs.mirror import Mirror


def mirror(patch: str | Exception) -> Mirror:
    def made(_older: str, _newer: str) -> str:
        if isinstance(patch, Exception):
            raise patch
        return patch

    return cast("Mirror", SimpleNamespace(patch=made))


def test_a_patch_is_kept_beside_the_log(tmp_path: Path) -> None:
    keepsake.keep_patch(mirror("+é\n"), "a", "b", tmp_path)
    assert (tmp_path / keepsake.PATCH).read_text() == "+é\n"
    assert [path.name for path in tmp_path.iterdir()] == [keepsake.PATCH]


def test_of_a_long_one_the_beginning_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepsake, "MOST_BYTES", 10)
    keepsake.keep_patch(mirror("+" * 100), "a", "b", tmp_path)
    assert (tmp_path / keepsake.PATCH).read_text() == "+" * 10 + keepsake.CUT


def test_where_it_cannot_be_kept_the_job_goes_on(tmp_path: Path, caplog: Any) -> None:
    keepsake.keep_patch(mirror("+x"), "a", "b", tmp_path / "gone")
    assert "could not be kept" in caplog.text
    assert not (tmp_path / "gone").exists()
