"""The workspace after the thread's pull request was merged, while its branch stands on the server still."""

import pytest

from tests.fakes.git_remote import GitRemote, person_git
from tests.fakes.workspaces import REPO, Thread


def _merge_of(remote: GitRemote, tip: str) -> str:
    """A commit that merges `tip`, which is ahead of main, into it."""
    parents = ["-p", str(remote.tip(REPO, "main")), "-p", tip]
    return remote.git(REPO, "commit-tree", f"{tip}^{{tree}}", *parents, "-m", "Merge").strip()


def merged(thread: Thread, remote: GitRemote, *, how: str) -> str:
    """The thread's branch is merged on the server, as a merge commit or squashed, and stands there still."""
    thread.spent = tip = str(remote.tip(REPO, thread.branch))
    if how == "squash":
        remote.commit(REPO, "main", {"app.py": "print(2)\n"})
    else:
        remote.git(REPO, "update-ref", "refs/heads/main", _merge_of(remote, tip))
    thread.workspace.forget(thread.place)
    return tip


@pytest.mark.parametrize("how", ["merge", "squash"])
def test_after_a_merge_new_work_starts_from_the_default_branch(thread: Thread, remote: GitRemote, how: str) -> None:
    thread.deliver({"app.py": "print(2)\n"})
    old = merged(thread, remote, how=how)
    remote.commit(REPO, "main", {"later.py": "\n"})
    opened = thread.open()
    assert opened.new
    assert opened.head_sha == remote.tip(REPO, "main")
    thread.write({"more.py": "more\n"})
    assert not thread.open().new
    made = thread.collect(2)
    assert (made.changed, made.files) == (True, 1)
    thread.push(made)
    assert remote.tip(REPO, thread.branch) == made.head_sha
    assert old in person_git("log", "--format=%H", made.head_sha, cwd=thread.mirror).split()


@pytest.mark.parametrize("how", ["merge", "squash"])
def test_after_a_merge_nothing_new_is_nothing_to_push(thread: Thread, remote: GitRemote, how: str) -> None:
    thread.deliver({"app.py": "print(2)\n"})
    merged(thread, remote, how=how)
    thread.open()
    assert not thread.collect(2).changed
    thread.agent_git("commit", "--quiet", "--allow-empty", "-m", "Nothing")
    assert not thread.collect(3).changed
