"""Which lines a diff shows and changes, read from what git really prints."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from jobs.difflines import DiffLines, read
from jobs.mirror import Mirror
from tests.fakes.gitea.gitrepo import BareRepo, Ident

ODD = 'odd "name"\twith\nall.txt'
TWENTY = "".join(f"{number}\n" for number in range(1, 21))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return BareRepo.create(tmp_path / "r.git", "main").path


def commit(repository: Path, files: Mapping[str, str | bytes]) -> str:
    """A commit of exactly these files."""
    who = Ident("A person", "person@example.org")
    return BareRepo(repository).commit("main", files, who, "Files\n", start=None)


def diff(repository: Path, old: Mapping[str, str | bytes], new: Mapping[str, str | bytes]) -> DiffLines:
    return Mirror(repository).diff(commit(repository, old), commit(repository, new))


def test_changed_lines_and_those_beside_them(repository: Path) -> None:
    new = TWENTY.replace("5\n", "five\n", 1).replace("10\n", "", 1)
    found = diff(repository, {"a.txt": TWENTY}, {"a.txt": new}).files["a.txt"]
    assert found.changed == {("old", 5), ("new", 5), ("old", 10)}
    assert {("new", 2), ("new", 8), ("old", 13), ("new", 12)} <= found.shown
    assert ("new", 1) not in found.shown
    assert ("new", 13) not in found.shown


def test_new_and_deleted_files(repository: Path) -> None:
    found = diff(repository, {"gone.txt": "other\n", "a": "a"}, {"new.txt": "a\nb", "a": "a"})
    assert found.files["new.txt"].changed == {("new", 1), ("new", 2)}
    assert found.files["gone.txt"].changed == {("old", 1)}


def test_a_renamed_file_shows_only_its_changes_under_its_new_name(repository: Path) -> None:
    found = diff(repository, {"old.txt": TWENTY}, {"new.txt": TWENTY + "21\n"})
    assert set(found.files) == {"new.txt"}
    assert found.files["new.txt"].changed == {("new", 21)}


def test_no_name_and_no_line_misleads(repository: Path) -> None:
    tricky = "diff --git a/x b/x\n@@ -1,5 +1,5 @@\n--- a/x\n+++ b/x\n\r\x0c\n"
    found = diff(repository, {ODD: "a\n", "z": "1\n"}, {ODD: tricky, "z": "2\n"})
    assert set(found.files) == {ODD, "z"}
    assert found.files[ODD].changed == {("old", 1), *(("new", line) for line in range(1, 6))}
    assert found.files["z"].changed == {("old", 1), ("new", 1)}


def test_binary_files_have_no_lines(repository: Path) -> None:
    found = diff(repository, {"b": b"\0a", "t": "1\n"}, {"b": b"\0b", "t": "2\n"})
    assert found.files["b"].shown == frozenset()
    assert found.shows("t", ("new", 1))
    assert not found.shows("b", ("new", 1))
    assert not found.shows("missing", ("new", 1))


def test_no_difference_has_no_files(repository: Path) -> None:
    assert diff(repository, {"a": "1"}, {"a": "1"}).files == {}
    assert read("").files == {}
