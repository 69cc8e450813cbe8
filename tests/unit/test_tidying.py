"""What a repository's commands leave in the tree never becomes part of the work."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import tidying
from jobs.inside import Inside
from tests.fakes.git_remote import GitRemote
from tests.fakes.workspaces import FILES, REPO, Thread

IGNORED = {**FILES, ".gitignore": "cache/\n"}


@pytest.fixture
def thread(tmp_path: Path) -> Iterator[Thread]:
    with GitRemote(tmp_path / "server") as server:
        server.create(REPO, IGNORED)
        thread = Thread(server, tmp_path / "home")
        thread.open()
        yield thread


def inside_of(thread: Thread) -> Inside:
    return thread.workspace.inside(thread.target)


def set_up(thread: Thread, files: dict[str, str]) -> None:
    """A setup that writes these files."""
    tidying.begin_setup(inside_of(thread))
    thread.write(files)
    tidying.end_setup(inside_of(thread), "npm ci")


def test_what_a_setup_installs_stays_and_is_no_work(thread: Thread) -> None:
    set_up(thread, {"node_modules/a/index.js": "1\n", "odd [name]*.txt": "1\n", "README.md": "changed\n"})
    assert (thread.place.tree / "node_modules/a/index.js").exists()
    assert (thread.place.tree / "README.md").read_text() == "hello\n"
    assert tidying.set_up(inside_of(thread)) == "npm ci"
    thread.write({"app.py": "print(2)\n", "odd n.txt": "new\n"})
    made = thread.collect()
    assert (made.commits, made.files) == (1, 2)


def test_a_setup_that_was_broken_off_is_no_work_either(thread: Thread) -> None:
    tidying.begin_setup(inside_of(thread))
    thread.write({"node_modules/half.js": "1\n"})
    set_up(thread, {"node_modules/whole.js": "1\n"})
    assert thread.status() == ""


def test_a_setup_beside_unfinished_work_leaves_that_alone(thread: Thread) -> None:
    set_up(thread, {})
    thread.write({"app.py": "print(2)\n", "new.py": "1\n"})
    set_up(thread, {"node_modules/a.js": "1\n"})
    assert (thread.place.tree / "app.py").read_text() == "print(2)\n"
    assert thread.collect().files == 3


def test_a_place_made_anew_is_not_set_up(thread: Thread) -> None:
    set_up(thread, {})
    thread.workspace.forget(thread.place)
    thread.open()
    assert tidying.set_up(inside_of(thread)) != "npm ci"


@pytest.mark.parametrize("planted", ["folder", "link", "pipe"])
def test_whatever_lies_where_the_note_should_be_setup_can_be_done(thread: Thread, planted: str, tmp_path: Path) -> None:
    note, elsewhere = thread.place.repo / "kugetsu.setup", tmp_path / "elsewhere"
    elsewhere.write_text("npm ci")
    if planted == "folder":
        note.mkdir()
    elif planted == "link":
        note.symlink_to(elsewhere)
    else:
        os.mkfifo(note)
    assert tidying.set_up(inside_of(thread)) == ""
    set_up(thread, {})
    assert tidying.set_up(inside_of(thread)) == "npm ci"
    assert elsewhere.read_text() == "npm ci"


def test_what_a_check_leaves_is_swept_away_but_for_what_git_ignores(thread: Thread) -> None:
    thread.write({"app.py": "print(2)\n"})
    thread.collect()
    thread.write({"coverage.xml": "1\n", "app.py": "reformatted\n", "cache/kept": "1\n", "reports/a/b.txt": "1\n"})
    tidying.sweep(inside_of(thread))
    assert thread.status() == ""
    assert (thread.place.tree / "app.py").read_text() == "print(2)\n"
    assert (thread.place.tree / "cache/kept").exists()
    assert not (thread.place.tree / "reports").exists()
