"""The place in which a pull request is read, and what of a push the gate is shown."""

from pathlib import Path

import pytest

from jobs.pull_place import open_pull
from jobs.standing import Target
from jobs.workspace import Opened, WorkspaceRefused
from tests.fakes.git_remote import GitRemote, person_git
from tests.fakes.workspaces import REPO, Thread

PULL = 9


@pytest.fixture
def thread(remote: GitRemote, tmp_path: Path) -> Thread:
    return Thread(remote, tmp_path / "home", issue=PULL)


def offer(remote: GitRemote, files: dict[str, str]) -> str:
    """Somebody, who may have no branch here, offers these changes; the server keeps them as a pull request."""
    commit = remote.commit(REPO, "theirs", files, start=remote.tip(REPO, "main"))
    remote.git(REPO, "update-ref", f"refs/pull/{PULL}/head", commit)
    remote.git(REPO, "update-ref", "-d", "refs/heads/theirs")
    return commit


def target(thread: Thread, base: str = "main") -> Target:
    url = thread.remote.url(REPO)
    return Target("gitea", REPO, PULL, url, thread.remote.token, base, f"kugetsu/reading-{PULL}", purpose="reading")


def read(thread: Thread, base: str = "main") -> Opened:
    return open_pull(thread.workspace, target(thread, base))


def test_the_head_is_checked_out_beside_the_thread_s_own_place(thread: Thread, remote: GitRemote) -> None:
    head = offer(remote, {"app.py": "print(9)\n"})
    thread.open()
    opened = read(thread)
    assert (opened.new, opened.head_sha, opened.base_sha) == (True, head, remote.tip(REPO, "main"))
    assert (opened.place.tree / "app.py").read_text() == "print(9)\n"
    assert opened.place.root != thread.place.root
    assert (thread.place.tree / "app.py").read_text() == "print(1)\n"
    shown = person_git("diff", "--name-only", opened.base_sha, opened.head_sha, cwd=opened.place.tree)
    assert shown.strip() == "app.py"


def test_it_follows_the_head_and_drops_what_an_agent_left(thread: Thread, remote: GitRemote) -> None:
    offer(remote, {"app.py": "print(9)\n"})
    first = read(thread)
    (first.place.tree / "app.py").write_text("scribbled\n")
    person_git("commit", "-aqm", "Mine", cwd=first.place.tree)
    head = offer(remote, {"app.py": "print(10)\n"})
    second = read(thread)
    assert (second.new, second.head_sha) == (False, head)
    assert (second.place.tree / "app.py").read_text() == "print(10)\n"
    assert person_git("rev-parse", "HEAD", cwd=second.place.tree).strip() == head


def test_a_job_stays_with_the_commit_it_began_with(thread: Thread, remote: GitRemote) -> None:
    head = offer(remote, {"app.py": "print(9)\n"})
    read(thread)
    offer(remote, {"app.py": "print(10)\n"})
    again = open_pull(thread.workspace, target(thread), head)
    assert again.head_sha == head
    assert (again.place.tree / "app.py").read_text() == "print(9)\n"


def test_a_place_that_is_of_no_use_is_made_anew(thread: Thread, remote: GitRemote) -> None:
    head = offer(remote, {"app.py": "print(9)\n"})
    first = read(thread)
    (first.place.home / "session").write_text("kept")
    (first.place.repo / "HEAD").write_text("nonsense")
    (first.place.repo / "worktrees" / "tree" / "HEAD").write_text("nonsense")
    second = read(thread)
    assert (second.new, second.head_sha) == (True, head)
    assert (second.place.home / "session").read_text() == "kept"


def test_what_is_not_there_is_refused(thread: Thread, remote: GitRemote) -> None:
    with pytest.raises(WorkspaceRefused, match="not there any more"):
        read(thread)
    offer(remote, {"app.py": "print(9)\n"})
    with pytest.raises(WorkspaceRefused, match="no branch gone any more"):
        read(thread, "gone")
