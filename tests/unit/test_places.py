"""Places on disk: whose they are, how they are mended and removed, and how threads work side by side."""

import threading
from pathlib import Path

import pytest

from jobs.workspace import (
    Target,
    Workspace,
    WorkspaceRefused,
)
from tests.fakes.git_remote import GitRemote
from tests.fakes.workspaces import FILES, REPO, Thread, unboxed


def test_another_host_rebuilds_the_place_from_the_pushed_branch(
    thread: Thread, remote: GitRemote, tmp_path: Path
) -> None:
    made = thread.deliver({"app.py": "print(2)\n"})
    elsewhere = Thread(remote, tmp_path / "second-host")
    opened = elsewhere.open()
    assert (opened.head_sha, opened.base_sha, opened.new) == (made.head_sha, made.base_sha, True)


def test_no_two_threads_share_a_folder(thread: Thread) -> None:
    names = [("gitea", "a-b/c"), ("gitea", "a/b-c"), ("gitea-a", "b/c"), ("gitea", "a/b"), ("gitea", "a/b-7")]
    places = {
        thread.workspace.place(Target(server, repo, issue, "", None, "main", "x")).root
        for server, repo in names
        for issue in (7, 77)
    }
    assert len(places) == 2 * len(names)
    plain = thread.workspace.place(thread.target).root
    assert plain == thread.home / "worktrees" / "gitea-acme-widgets-7"


def test_the_temporary_folder_may_lie_elsewhere(thread: Thread, tmp_path: Path) -> None:
    workspace = Workspace(thread.home, unboxed, temp_dir=tmp_path / "scratch")
    place = workspace.open(thread.target).place
    assert place.tmp == tmp_path / "scratch" / "gitea-acme-widgets-7"
    assert place.tmp.is_dir()
    workspace.forget(place)
    assert not place.tmp.exists()


@pytest.mark.parametrize("harm", ["tree", "repo.git", "repo.git/refs", "repo.git/worktrees", "repo.git/objects"])
def test_a_place_the_agent_ruined_is_made_anew_with_its_home(thread: Thread, harm: str) -> None:
    opened = thread.open()
    (opened.place.home / "session").write_text("what was said")
    (opened.place.root / harm).rename(opened.place.root / "elsewhere")
    again = thread.open()
    assert again.new
    assert (again.place.home / "session").read_text() == "what was said"
    assert thread.status() == ""
    assert thread.leftovers() == [f"{opened.place.root.name}+damaged"]
    thread.workspace.forget(again.place)
    assert list(opened.place.root.parent.iterdir()) == []


def test_links_in_the_place_lead_nowhere(thread: Thread, tmp_path: Path) -> None:
    opened = thread.open()
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("home", "tmp", "tree"):
        (opened.place.root / name).rename(tmp_path / f"old-{name}")
        (opened.place.root / name).symlink_to(outside)
    with pytest.raises(WorkspaceRefused, match="A folder of the workspace is gone"):
        thread.collect()
    thread.open()
    assert not opened.place.home.is_symlink()
    assert not opened.place.tmp.is_symlink()
    assert not opened.place.tree.is_symlink()
    assert list(outside.iterdir()) == []


def test_forgetting_removes_whatever_is_inside(thread: Thread, tmp_path: Path) -> None:
    place = thread.open().place
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("stays")
    (place.tree / "link").symlink_to(precious)
    locked = place.tree / "locked"
    locked.mkdir()
    (locked / "file").touch()
    locked.chmod(0)
    deep = place.tree
    for _ in range(30):
        deep = deep / ("d" * 100)
        deep.mkdir()
    thread.workspace.forget(place)
    assert list(place.root.parent.iterdir()) == []
    assert (precious / "file").read_text() == "stays"
    thread.workspace.forget(place)


def test_threads_of_one_repository_work_side_by_side(remote: GitRemote, tmp_path: Path) -> None:
    threads = [Thread(remote, tmp_path / "home", issue=number) for number in range(1, 7)]
    made = {}

    def work(thread: Thread) -> None:
        made[thread.issue] = thread.deliver({f"file-{thread.issue}": "\n"}, job=thread.issue)

    workers = [threading.Thread(target=work, args=(thread,)) for thread in threads]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(100)
    assert {number: remote.tip(REPO, f"kugetsu/issue-{number}") for number in made} == {
        number: one.head_sha for number, one in made.items()
    }
    assert len(made) == len(threads)
    assert all(one.files == 1 and one.commits == 1 for one in made.values())


def test_a_held_fetch_of_one_thread_does_not_stop_anothers_collecting_elsewhere(
    thread: Thread, remote: GitRemote, tmp_path: Path
) -> None:
    remote.create("acme/other", FILES)
    other = Thread(remote, tmp_path / "home", repo="acme/other")
    other.open()
    other.write({"app.py": "print(2)\n"})
    with remote.held("widgets"):
        opening = threading.Thread(target=thread.open)
        opening.start()
        assert other.collect().changed
    opening.join(60)
    assert thread.place.tree.is_dir()
