"""Sealing: whatever the agent says its commits are, they become the bot's, and always the same ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import seal
from jobs.seal import read_commit, with_trailer
from jobs.workspace import WorkspaceRefused
from tests.fakes.git_remote import GitRemote, person_git
from tests.fakes.workspaces import REPO, Thread

WHO = "Kugetsu Bot <bot@example.test>|Kugetsu Bot <bot@example.test>|"


@pytest.fixture
def thread(thread: Thread) -> Thread:
    """One whose place is open."""
    thread.open()
    return thread


def message(thread: Thread, commit: str) -> str:
    return person_git("log", "-1", "--format=%B", commit, cwd=thread.mirror)


def test_every_commit_becomes_the_bots_in_order_and_keeps_its_time(thread: Thread) -> None:
    one = thread.agent_commits("One", {"a": "1\n"})
    two = thread.agent_commits("Two\n\nWith a reason.", {"b": "2\n"})
    made = thread.collect(12)
    assert thread.log(made.head_sha) == [f"{WHO}Two", f"{WHO}One"]
    times = person_git("log", "-2", "--format=%ad %cd", "--date=raw", two, cwd=thread.place.tree)
    assert person_git("log", "-2", "--format=%ad %cd", "--date=raw", made.head_sha, cwd=thread.mirror) == times
    assert message(thread, made.head_sha) == "Two\n\nWith a reason.\n\nKugetsu-Job: 12"
    assert person_git("rev-parse", f"{one}^{{tree}}", cwd=thread.place.tree) == person_git(
        "rev-parse", f"{made.head_sha}^^{{tree}}", cwd=thread.mirror
    )


def test_sealing_again_gives_the_same_commits(thread: Thread) -> None:
    raw = thread.agent_commits("One", {"a": "1\n"})
    first = thread.collect(12)
    assert thread.collect(12) == first
    thread.agent_git("update-ref", f"refs/heads/{thread.branch}", raw)
    assert thread.collect(12) == first


def test_a_forged_seal_is_replaced(thread: Thread) -> None:
    thread.write({"a": "1\n"})
    thread.agent_git("add", "-A")
    bot = ["-c", "user.name=Kugetsu Bot", "-c", "user.email=bot@example.test"]
    text = "One\n\nkugetsu-job: 999\nReviewed-by: The Boss"
    thread.agent_git(*bot, "commit", "--quiet", "-m", text)
    assert message(thread, thread.collect(12).head_sha) == "One\n\nKugetsu-Job: 12"


def test_a_persons_commits_stay_theirs(thread: Thread, remote: GitRemote) -> None:
    thread.deliver({"a": "1\n"}, job=1)
    theirs = remote.commit(REPO, thread.branch, {"theirs": "\n"})
    made = thread.deliver({"b": "2\n"}, job=2)
    assert person_git("rev-parse", f"{made.head_sha}^", cwd=thread.mirror) == theirs
    assert thread.log(made.head_sha, "%an") == ["Kugetsu Bot", "A Person", "Kugetsu Bot"]


def test_merging_the_default_branch_takes_none_of_it(thread: Thread, remote: GitRemote) -> None:
    thread.agent_commits("Mine", {"mine": "\n"})
    later = remote.commit(REPO, "main", {"later": "\n"})
    thread.open()
    thread.agent_git("merge", "--quiet", "--no-edit", later)
    made = thread.collect()
    assert (made.commits, made.files, made.base_sha) == (2, 1, later)
    assert later in person_git("rev-parse", f"{made.head_sha}^@", cwd=thread.mirror).split()


def test_signatures_and_foreign_encodings_are_taken_off(thread: Thread) -> None:
    thread.write({"a": "1\n"})
    thread.agent_git("add", "-A")
    tree = thread.agent_git("write-tree")
    head = thread.agent_git("rev-parse", "HEAD")
    raw = (
        f"tree {tree}\nparent {head}\nauthor J\xf6rg <j@example.test> 1700000000 +0230\n"
        "committer Somebody <s@example.test> 99 -0800\nencoding ISO-8859-1\n"
        "gpgsig -----BEGIN PGP SIGNATURE-----\n \n tree of lies\n -----END PGP SIGNATURE-----\n\nGr\xfc\xdfe\n"
    )
    (thread.place.home / "raw").write_bytes(raw.encode("latin-1"))
    made = thread.agent_git("hash-object", "-t", "commit", "-w", str(thread.place.home / "raw"))
    thread.agent_git("reset", "--quiet", "--soft", made)
    sealed = thread.collect(3).head_sha
    parsed = read_commit(person_git("cat-file", "commit", sealed, cwd=thread.mirror).encode())
    assert (parsed.tree, parsed.parents) == (tree, (head,))
    assert (parsed.authored, parsed.committed) == ("1700000000 +0230", "99 -0800")
    assert message(thread, sealed) == "Grüße\n\nKugetsu-Job: 3"
    assert "gpgsig" not in person_git("cat-file", "commit", sealed, cwd=thread.mirror)


def test_more_commits_than_one_job_makes_are_refused(thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "MAX_COMMITS", 2)
    for number in range(3):
        thread.agent_commits(f"Step {number}", {"a": f"{number}\n"})
    with pytest.raises(WorkspaceRefused, match="3 commits, at most 2 are taken from one job"):
        thread.collect()


@pytest.mark.parametrize(
    ("given_message", "expected"),
    [
        ("Fix it", "Fix it\n\nKugetsu-Job: 7\n"),
        ("", "Changes\n\nKugetsu-Job: 7\n"),
        ("Fix: it", "Fix: it\n\nKugetsu-Job: 7\n"),
        ("Fix\n\nBecause.\n\n\n", "Fix\n\nBecause.\n\nKugetsu-Job: 7\n"),
        ("Fix\n\nCloses: #1", "Fix\n\nCloses: #1\nKugetsu-Job: 7\n"),
        ("Fix\n\nCo-Authored-By: CEO <c@e.o>\nSIGNED-OFF-BY: X", "Fix\n\nKugetsu-Job: 7\n"),
        ("Fix\n\nKugetsu-Job: 6", "Fix\n\nKugetsu-Job: 7\n"),
        ("Kugetsu-Job: 6", "Changes\n\nKugetsu-Job: 7\n"),
        ("A\0B", "AB\n\nKugetsu-Job: 7\n"),
    ],
)
def test_the_trailer_stands_once_at_the_end(given_message: str, expected: str) -> None:
    assert with_trailer(given_message, "7") == expected


@given(st.text())
def test_a_trailer_on_any_text_is_one_and_stays_the_same(text: str) -> None:
    once = with_trailer(text, "7")
    assert once.endswith("\nKugetsu-Job: 7\n")
    assert once.lower().count("\nkugetsu-job:") == 1
    assert with_trailer(once, "7") == once
    assert "\0" not in once
