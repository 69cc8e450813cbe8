"""What the server or the agent leaves that cannot be worked with, and what is said of it."""

from pathlib import Path

import pytest

from jobs import remote as asking
from jobs.git import Access
from jobs.mirror import Mirror
from jobs.workspace import (
    FetchFailed,
    PushFailed,
    PushRejected,
    Target,
    WorkspaceRefused,
)
from tests.fakes.answers import answering
from tests.fakes.git_remote import GitRemote
from tests.fakes.workspaces import REPO, Thread


def test_a_history_of_its_own_is_refused(thread: Thread) -> None:
    thread.open()
    thread.agent_git("checkout", "--quiet", "--orphan", "fresh")
    thread.agent_commits("From nothing", {"app.py": "print(2)\n"})
    with pytest.raises(WorkspaceRefused, match="no history in common"):
        thread.collect()
    assert thread.open().new


def test_an_empty_repository_is_refused_in_words(remote: GitRemote, tmp_path: Path) -> None:
    remote.create("acme/empty")
    with pytest.raises(WorkspaceRefused, match=r"^acme/empty is empty: there is no branch to start from\.$"):
        Thread(remote, tmp_path / "home", repo="acme/empty").open()


def test_a_missing_default_branch_is_refused_in_words(thread: Thread, remote: GitRemote) -> None:
    remote.git(REPO, "branch", "--quiet", "-m", "main", "trunk")
    with pytest.raises(WorkspaceRefused, match="has no branch main"):
        thread.open()


def test_a_missing_repository_is_refused_and_for_a_better_token_one_waits(remote: GitRemote, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceRefused, match="does not exist, or the bot may not see it"):
        Thread(remote, tmp_path / "home", repo="acme/none").open()
    thread = Thread(remote, tmp_path / "home")
    remote.token = "another"
    target = Target("gitea", REPO, 7, remote.url(REPO), "wrong", "main", "kugetsu/issue-7")
    with pytest.raises(FetchFailed, match="did not accept the bot's token"):
        thread.workspace.open(target)


def test_an_outage_is_told_apart_from_a_refusal(thread: Thread, remote: GitRemote) -> None:
    thread.open()
    thread.write({"app.py": "print(2)\n"})
    made = thread.collect()
    remote.answer_with = 503
    with pytest.raises(FetchFailed):
        thread.open()
    with pytest.raises(PushFailed):
        thread.push(made)
    remote.answer_with = 403
    with pytest.raises(PushRejected, match="did not allow it to the bot"):
        thread.push(made)
    remote.answer_with = None
    thread.push(made)
    assert remote.tip(REPO, thread.branch) == made.head_sha


@pytest.mark.parametrize("repo", ["../x/y", "acme/..", "acme/a/b", "acme", "/x", "acme/a b", "-/\n"])
def test_names_that_lead_elsewhere_are_refused(thread: Thread, repo: str) -> None:
    target = Target("gitea", repo, 1, thread.remote.url(REPO), None, "main", "kugetsu/issue-1")
    with pytest.raises(WorkspaceRefused, match="is no name of a repository"):
        thread.workspace.place(target)


def test_a_push_that_was_done_is_not_done_again(thread: Thread, remote: GitRemote) -> None:
    made = thread.deliver({"app.py": "print(2)\n"})
    remote.requests.clear()
    thread.push(made)
    assert not [request for request in remote.requests if "git-receive-pack" in request]
    theirs = remote.commit(REPO, thread.branch, {"theirs.py": "\n"})
    thread.push(made)
    assert not [request for request in remote.requests if "git-receive-pack" in request]
    assert remote.tip(REPO, thread.branch) == theirs


def test_a_push_never_overwrites_a_persons_commits(thread: Thread, remote: GitRemote) -> None:
    thread.deliver({"app.py": "print(2)\n"})
    thread.open()
    thread.write({"app.py": "print(3)\n"})
    made = thread.collect(2)
    theirs = remote.commit(REPO, thread.branch, {"theirs.py": "\n"})
    with pytest.raises(PushRejected, match="non-fast-forward"):
        thread.push(made)
    assert remote.tip(REPO, thread.branch) == theirs


def test_a_hook_of_the_server_that_says_no_is_quoted(thread: Thread, remote: GitRemote) -> None:
    thread.open()
    thread.write({"app.py": "print(2)\n"})
    hook = remote.path(REPO) / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    said = "error:\nerror: Not allowed to push to protected branch x\nerror:"
    hook.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PushRejected, match=r"pre-receive hook declined\); Not allowed to push to protected branch x$"):
        thread.push(thread.collect())


def test_what_cannot_be_committed_is_named(thread: Thread) -> None:
    thread.open()
    thread.agent_git("init", "--quiet", "demo")
    with pytest.raises(WorkspaceRefused, match="'demo/' does not have a commit checked out"):
        thread.collect()


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"<html><body>Please sign in</body></html>", "text/html"), (b"", "text/plain"), (b"OK", "text/plain")],
    ids=["page", "nothing", "word"],
)
def test_what_a_proxy_says_is_no_empty_repository(tmp_path: Path, body: bytes, kind: str) -> None:
    mirror = Mirror(tmp_path / "mirror.git")
    with answering() as server, mirror.held() as held:
        server.says(200, body, **{"Content-Type": kind})
        access = Access(f"{server.url}/acme/widgets.git", "a-token")
        with pytest.raises(FetchFailed, match="no git server"):
            asking.fetch(held, access)
        with pytest.raises(FetchFailed):
            asking.fetch_ref(held, access, "refs/pull/1/head", "refs/kugetsu/pulls/1")
        with pytest.raises(PushFailed):
            asking.push(mirror, access, "0123456789012345678901234567890123456789", "kugetsu/issue-1")
