"""Whatever dies while a workspace is worked on, and wherever: the next one finishes it, and nothing is lost."""

import fcntl
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobs.mirror import Mirror
from jobs.place import Place
from jobs.workspace import (
    CompletedText,
    InsideStopped,
    Workspace,
)
from tests.fakes.git_remote import GitRemote
from tests.fakes.workspaces import REPO, Thread, dies_at, started, unboxed


def test_opening_killed_anywhere_is_done_over(remote: GitRemote, tmp_path: Path) -> None:
    """Each step of making a place, and of taking up a moved branch, is where a worker dies once."""
    made, died = Thread(remote, tmp_path / "home"), 0
    while dies_at(made, died + 1, "workspace.open(target)"):
        died += 1
        opened = made.open()
        assert opened.head_sha == remote.tip(REPO, "main"), f"killed at {died}"
        assert made.status() == "", f"killed at {died}"
        assert made.leftovers() == [], f"killed at {died}"
        made.workspace.forget(made.place)
    assert died > 5


def test_taking_up_a_diverged_branch_killed_anywhere_is_done_over(thread: Thread, remote: GitRemote) -> None:
    thread.deliver({"app.py": "print(0)\n"})
    thread.open()
    died = 0
    while True:
        mine = thread.agent_commits(f"Mine {died}", {"app.py": f"print('mine {died}')\n"})
        thread.write({"app.py": f"print('uncommitted {died}')\n"})
        theirs = remote.commit(REPO, thread.branch, {"theirs.py": f"{died}\n"})
        if not dies_at(thread, died + 1, "workspace.open(target)"):
            break
        died += 1
        assert thread.open().head_sha == theirs, f"killed at {died}"
        assert thread.status() == "", f"killed at {died}"
        held = [kept for kept in thread.kept() if Mirror(thread.mirror).is_ancestor(mine, kept)]
        assert held, f"killed at {died}: {mine} is lost"
    assert died > 5


def test_beginning_again_killed_anywhere_is_done_over(thread: Thread, remote: GitRemote) -> None:
    died = 0
    while True:
        thread.deliver({"app.py": f"print('round {died}')\n"}, job=died)
        remote.git(REPO, "update-ref", "-d", f"refs/heads/{thread.branch}")
        if not dies_at(thread, died + 1, "workspace.open(target)"):
            break
        died += 1
        assert thread.open().head_sha == remote.tip(REPO, "main"), f"killed at {died}"
        assert thread.status() == "", f"killed at {died}"
    assert died > 5


def test_collecting_and_pushing_killed_anywhere_is_done_over(thread: Thread, remote: GitRemote) -> None:
    code = (
        "made = workspace.collect(target, place, int(sys.argv[1]), BOT, 'What the agent left'); "
        "workspace.push(target, made.head_sha)"
    )
    died = 0
    while True:
        before = thread.open().head_sha
        thread.agent_commits("A step", {"app.py": f"print('step {died}')\n"})
        thread.write({"rest.py": f"{died}\n"})
        if not dies_at(thread, died + 1, code):
            break
        died += 1
        made = thread.collect(died)
        thread.push(made)
        assert remote.tip(REPO, thread.branch) == made.head_sha, f"killed at {died}"
        assert thread.status() == "", f"killed at {died}"
        new = remote.git(REPO, "log", "--format=%an|%s", f"{before}..{made.head_sha}").splitlines()
        assert new == ["Kugetsu Bot|What the agent left", "Kugetsu Bot|A step"], f"killed at {died}"
    assert died > 7


@pytest.mark.parametrize("before", ["git add", "git commit", "head=", "git read-tree --reset", "git update-ref"])
def test_a_sandbox_that_dies_halfway_leaves_a_place_that_mends(thread: Thread, remote: GitRemote, before: str) -> None:
    def dies(place: Place, mirror: Path, argv: Sequence[str], seconds: float) -> CompletedText:
        cut = [part.replace(before, f"kill -KILL $$\n{before}") for part in argv]
        return unboxed(place, mirror, cut, seconds)

    thread.deliver({"app.py": "print(2)\n"})
    thread.open()
    mine = thread.agent_commits("Mine", {"app.py": "print('mine')\n"})
    thread.write({"untracked.txt": "work\n"})
    theirs = remote.commit(REPO, thread.branch, {"theirs.py": "\n"})
    with pytest.raises(InsideStopped):
        Workspace(thread.home, dies).open(thread.target)
    assert thread.open().head_sha == theirs
    assert thread.status() == ""
    assert any(Mirror(thread.mirror).is_ancestor(mine, kept) for kept in thread.kept())


def test_a_sandbox_that_does_not_start_says_nothing_about_the_place(thread: Thread) -> None:
    def no_box(place: Place, mirror: Path, argv: Sequence[str], seconds: float) -> CompletedText:
        return unboxed(place, mirror, ["sh", "-c", "echo bwrap: no such thing >&2; exit 1"], seconds)

    thread.open()
    thread.write({"app.py": "print(2)\n"})
    with pytest.raises(InsideStopped, match="bwrap: no such thing"):
        Workspace(thread.home, no_box).open(thread.target)
    assert thread.status() == "M app.py"


def test_a_git_that_outlives_its_worker_keeps_the_mirror_until_it_ends(thread: Thread, remote: GitRemote) -> None:
    thread.open()
    theirs = remote.commit(REPO, "main", {"later.py": "\n"})
    with remote.held("git-upload-pack") as reached:
        with started(thread, "workspace.open(target)") as worker:
            assert reached.wait(30), "the worker's fetch did not reach the server"
            worker.kill()
        with thread.mirror.with_name(f"{thread.mirror.name}.lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert thread.open().base_sha != theirs
    assert Mirror(thread.mirror).refs("refs/heads/main") == {"refs/heads/main": theirs}


def test_locks_left_by_a_killed_git_do_not_stop_the_mirror(thread: Thread) -> None:
    thread.open()
    for name in ("packed-refs.lock", "refs/heads/main.lock", "config.lock"):
        (thread.mirror / name).touch()
    thread.mirror.with_name(f"{thread.mirror.name}.lock").write_text("writing\n")
    assert not thread.open().new
    assert list(thread.mirror.glob("**/*.lock")) == []
