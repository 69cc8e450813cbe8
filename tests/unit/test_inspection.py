"""What the gate is shown of a push."""

import pytest

from jobs.inspection import inspect
from jobs.mirror import Mirror
from jobs.redact import Redactor
from jobs.work import Work
from jobs.workspace import Made
from tests.fakes.git_remote import GitRemote
from tests.fakes.workspaces import BOT, REPO, Thread


@pytest.fixture
def thread(thread: Thread) -> Thread:
    """One whose place is open."""
    thread.open()
    return thread


def seen(thread: Thread, made: Made) -> Work:
    return inspect(Mirror(thread.mirror), thread.target, made.head_sha, BOT, Redactor([]))


def paths(work: Work) -> set[str]:
    return {change.path for change in work.changes}


def test_what_a_push_changes(thread: Thread) -> None:
    thread.write({"app.py": "print(2)\n", "new.txt": "x"})
    work = seen(thread, thread.collect())
    assert paths(work) == {"app.py", "new.txt"}
    assert sorted(work.sizes) == [("app.py", 9), ("new.txt", 1)]
    assert (work.rootless, work.disguised, work.findings, work.leaving, work.colliding) == ((), (), (), (), ())


def test_nothing_of_what_a_person_changed(thread: Thread, remote: GitRemote) -> None:
    thread.push(thread.collect())
    thread.deliver({"app.py": "print(2)\n"})
    remote.commit(REPO, thread.branch, {"theirs.yaml": "a", "both.yaml": "a"})
    thread.open()
    thread.write({"app.py": "print(3)\n", "both.yaml": "b"})
    made = thread.collect(2)
    work = seen(thread, made)
    assert paths(work) == {"app.py", "both.yaml"}
    assert {path for path, _ in work.sizes} == {"app.py", "both.yaml"}
    thread.push(made)
    thread.open()
    assert paths(seen(thread, made)) == set()


def test_what_a_later_commit_takes_away_is_seen_too(thread: Thread) -> None:
    thread.agent_commits("Bring", {"large.bin": "x" * 1000})
    (thread.place.tree / "large.bin").unlink()
    work = seen(thread, thread.collect())
    assert paths(work) == set()
    assert work.sizes == (("large.bin", 1000),)


def test_a_merge_of_the_default_branch_brings_nothing_of_its_own(thread: Thread, remote: GitRemote) -> None:
    thread.agent_commits("Mine", {"app.py": "print(2)\n"})
    remote.commit(REPO, "main", {"theirs.txt": "x" * 99})
    thread.open()
    thread.agent_git("merge", "--quiet", "-m", "Merge main", remote.tip(REPO, "main") or "")
    work = seen(thread, thread.collect())
    assert paths(work) == {"app.py"}
    assert work.sizes == (("app.py", 9),)
