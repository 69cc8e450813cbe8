"""Names of refs in a mirror."""

from dataclasses import replace

from jobs import compacting
from tests.fakes.git_remote import GitRemote, person_git
from tests.fakes.workspaces import REPO, Thread


def test_nothing_is_kept_of_a_conversation_that_is_over(thread: Thread, remote: GitRemote) -> None:
    thread.deliver({"app.py": "print(2)\n"})
    thread.open()
    thread.write({"app.py": "print('mine')\n"})
    remote.commit(REPO, thread.branch, {"app.py": "print('theirs')\n"})
    thread.open()
    assert len(thread.kept()) == 1
    thread.workspace.forget(thread.place)
    compacting.drop_refs(thread.mirror, thread.target, [1, 2])
    assert person_git("for-each-ref", "--format=%(refname)", "refs/kugetsu", cwd=thread.mirror).split() == []


def test_a_branch_may_be_called_like_the_folder_of_an_older_one(thread: Thread, remote: GitRemote) -> None:
    remote.commit(REPO, "topic", {"app.py": "print(2)\n"})
    thread.workspace.open(replace(thread.target, issue=8, branch="topic"))
    remote.git(REPO, "update-ref", "-d", "refs/heads/topic")
    head = remote.commit(REPO, "topic/more", {"app.py": "print(3)\n"})
    opened = thread.workspace.open(replace(thread.target, issue=9, branch="topic/more"))
    assert opened.head_sha == head
