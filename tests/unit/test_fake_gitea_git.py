"""The fake Gitea's git side: real git over HTTP, and what a push or a merge brings about."""

import base64
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.gitea import Ear, FakeGitea
from tests.fakes.gitea.gitrepo import git_environment
from tests.fakes.gitea.pulls import Conflict

REPO = "acme/widgets"


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[FakeGitea]:
    with FakeGitea(tmp_path / "gitea") as fake, Ear() as ear:
        fake.user("rita")
        people: dict[str, Any] = {"ada": "write", "bot": "admin"}
        fake.repo(REPO, files={"app.py": "print(1)\n"}, collaborators=people)
        fake.repo("acme/secret", files={"a": "b"}, collaborators=people, private=True)
        fake.hook(REPO, ear.url, "s", ["issues", "pull_request", "push", "create", "delete"])
        yield fake
        assert fake.unexpected == []


class Checkout:
    """A person's clone."""

    def __init__(self, gitea: FakeGitea, folder: Path, token: str, repo: str = REPO) -> None:
        basic = base64.b64encode(f"somebody:{token}".encode()).decode()
        config = [("http.extraHeader", f"Authorization: Basic {basic}")] if token else []
        # The smallest buffer git copes with: what is larger is sent in chunks.
        config += [("user.name", "Ada"), ("user.email", "ada@example.com"), ("http.postBuffer", "65536")]
        pairs = {f"GIT_CONFIG_KEY_{n}": key for n, (key, _) in enumerate(config)}
        pairs |= {f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in enumerate(config)}
        self.env = git_environment(GIT_CONFIG_COUNT=str(len(config)), GIT_ASKPASS="true", **pairs)
        self.folder = folder
        self.cloned = self._run(["clone", "--quiet", f"{gitea.url}/{repo}.git", str(folder)], folder.parent)

    def __call__(self, *args: str) -> "subprocess.CompletedProcess[str]":
        return self._run(args, self.folder)

    def _run(self, args: Sequence[str], where: Path) -> "subprocess.CompletedProcess[str]":
        argv = ["git", *args]
        return subprocess.run(argv, cwd=where, env=self.env, capture_output=True, text=True, check=False)

    def commit(self, path: str, text: str, message: str) -> None:
        (self.folder / path).write_text(text)
        self("add", path)
        assert self("commit", "--quiet", "-m", message).returncode == 0

    def push(self, *what: str) -> str:
        """Pushes; what git said, "" when it went well."""
        done = self("push", "--quiet", "origin", *(what or ("HEAD",)))
        return done.stderr if done.returncode else ""


def told(gitea: FakeGitea) -> list[str]:
    gitea.settle()
    return [f"{item.event_type} {item.payload.get('action', '')}".strip() for item in gitea.deliveries]


def test_a_push_creates_a_branch_and_moves_a_pull_request(gitea: FakeGitea, tmp_path: Path) -> None:
    issue = gitea.open_issue(REPO, "ada", "Crash")
    mine = Checkout(gitea, tmp_path / "mine", gitea.token_for("bot"))
    mine("checkout", "--quiet", "-b", "kugetsu/issue-1")
    mine.commit("big.txt", base64.b64encode(os.urandom(300_000)).decode(), "Fix\n\nSee #1")
    assert mine.push() == ""
    pull = gitea.open_pull(REPO, "bot", "kugetsu/issue-1", title="Fix", body="Closes #1")
    mine.commit("app.py", "print(2)\n", "More")
    assert mine.push() == ""
    assert told(gitea) == [
        "issues opened",
        "create",
        "push",
        "pull_request opened",
        "push",
        "pull_request_sync synchronized",
    ]
    push, sync = gitea.deliveries[-2].payload, gitea.deliveries[-1].payload
    assert (push["total_commits"], push["commits"][0]["modified"], push["pusher"]["login"]) == (1, ["app.py"], "bot")
    assert (sync["before"], sync["after"]) == (push["before"], push["after"])
    assert sync["pull_request"]["changed_files"] == 2
    assert [entry.type for entry in pull.entries] == ["pull_push", "pull_push"]
    assert [entry.type for entry in issue.entries] == ["commit_ref", "pull_ref"]
    assert gitea.file_at(REPO, "kugetsu/issue-1", "app.py") == "print(2)\n"


def test_who_may_clone_and_push(gitea: FakeGitea, tmp_path: Path) -> None:
    assert Checkout(gitea, tmp_path / "anybody", "").cloned.returncode == 0
    wrong = Checkout(gitea, tmp_path / "wrong", "0" * 40).cloned.stderr
    assert "Authentication failed" in wrong
    rita = gitea.token_for("rita")
    assert "not found" in Checkout(gitea, tmp_path / "none", rita, "acme/secret").cloned.stderr
    reader = Checkout(gitea, tmp_path / "reader", rita)
    reader.commit("app.py", "print(3)\n", "Mine")
    assert "User permission denied for writing" in reader.push()
    poor = gitea.token_for("ada", ("read:repository",))
    weak = Checkout(gitea, tmp_path / "weak", poor)
    weak.commit("app.py", "print(3)\n", "Mine")
    assert "403" in weak.push()
    for login, path, status in (("rita", "acme/secret", 404), ("bot", "acme/nothing", 404), ("", "acme/secret", 401)):
        auth = ("x", gitea.token_for(login)) if login else None
        url = f"{gitea.url}/{path}.git/info/refs?service=git-upload-pack"
        assert httpx.get(url, auth=auth, trust_env=False).status_code == status


def test_protected_and_archived_take_no_push(gitea: FakeGitea, tmp_path: Path) -> None:
    mine = Checkout(gitea, tmp_path / "mine", gitea.token_for("ada"))
    mine.commit("app.py", "print(3)\n", "Mine")
    gitea.protect(REPO, "main")
    assert "Not allowed to push to protected branch main" in mine.push()
    gitea.archive(REPO)
    assert "403" in mine.push()
    assert told(gitea) == []


def test_tags_and_deleted_branches(gitea: FakeGitea, tmp_path: Path) -> None:
    gitea.push(REPO, "fix", {"app.py": "print(2)\n"}, by="ada")
    pull = gitea.open_pull(REPO, "ada", "fix", title="Fix")
    mine = Checkout(gitea, tmp_path / "mine", gitea.token_for("ada"))
    mine("tag", "v1")
    assert mine.push("v1") == ""
    assert mine.push("--delete", "fix") == ""
    assert told(gitea)[3:] == ["push", "create", "delete", "pull_request closed"]
    assert gitea.deliveries[3].payload["ref"] == "refs/tags/v1"
    assert (pull.state, pull.pull and pull.pull.merged) == ("closed", False)
    assert list(gitea.branches_of(REPO)) == ["main"]


@pytest.mark.parametrize("how", ["merge", "squash", "rebase", "rebase-merge", "fast-forward-only"])
def test_merging_closes_what_it_names(gitea: FakeGitea, how: str) -> None:
    gitea.open_issue(REPO, "ada", "Crash")
    gitea.push(REPO, "fix", {"new.py": "print(2)\n"}, by="ada", message="Fix\n")
    if how != "fast-forward-only":
        gitea.push(REPO, "main", {"other.py": "print(3)\n"}, by="ada")
    pull = gitea.open_pull(REPO, "ada", "fix", title="Fix", body="Fixes #1")
    sha = gitea.merge(REPO, pull, "ada", how=how, delete_branch=True)
    assert gitea.file_at(REPO, "main", "new.py") == "print(2)\n"
    assert gitea.branches_of(REPO) == {"main": sha}
    assert gitea.issue_of(REPO, 1).state == "closed"
    assert told(gitea)[-4:] == ["pull_request closed", "issues closed", "push", "delete"]
    assert [item.payload for item in gitea.deliveries if item.event_type == "issues"][-1]["commit_id"] == sha


def test_what_does_not_merge_is_a_conflict(gitea: FakeGitea) -> None:
    gitea.push(REPO, "fix", {"app.py": "print(2)\n"}, by="ada")
    pull = gitea.open_pull(REPO, "ada", "fix", title="Fix")
    gitea.push(REPO, "main", {"app.py": "print(3)\n"}, by="ada")
    assert pull.pull
    assert not pull.pull.mergeable
    with pytest.raises(Conflict):
        gitea.merge(REPO, pull, "ada")
    assert pull.state == "open"


def test_a_commit_on_the_default_branch_closes_an_issue(gitea: FakeGitea) -> None:
    for title in ("One", "Two"):
        gitea.open_issue(REPO, "ada", title)
    sha = gitea.push(REPO, "main", {"app.py": "print(2)\n"}, by="ada", message="Fix it\n\nCloses #1, see #2\n")
    assert [issue.state for issue in gitea.issues_of(REPO)] == ["closed", "open"]
    assert told(gitea)[-2:] == ["issues closed", "push"]
    assert gitea.deliveries[-2].payload["commit_id"] == sha


def test_a_pull_request_can_come_from_a_fork(gitea: FakeGitea, tmp_path: Path) -> None:
    gitea.fork(REPO, by="rita")
    mine = Checkout(gitea, tmp_path / "mine", gitea.token_for("rita"), "rita/widgets")
    mine.commit("app.py", "print(2)\n", "Mine")
    assert mine.push("HEAD:refs/heads/fix") == ""
    pull = gitea.open_pull(REPO, "rita", "rita:fix", title="Fix")
    assert told(gitea) == ["pull_request opened"]
    head = gitea.deliveries[0].payload["pull_request"]["head"]
    assert (head["repo"]["full_name"], head["repo"]["fork"], head["ref"]) == ("rita/widgets", True, "fix")
    theirs = Checkout(gitea, tmp_path / "theirs", gitea.token_for("bot"))
    assert theirs("fetch", "--quiet", "origin", f"refs/pull/{pull.number}/head").returncode == 0
    gitea.merge(REPO, pull, "ada")
    assert gitea.file_at(REPO, "main", "app.py") == "print(2)\n"
