"""The agent turns its own repository against the service. Each attack is carried out, and shown to be armed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.place import Place
from jobs.sandbox import Sandbox
from jobs.workspace import Workspace, WorkspaceRefused
from tests.fakes.git_remote import GitRemote, person_git
from tests.fakes.workspaces import BOT, REPO, Thread, unboxed


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that only something outside the sandbox can write to."""
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


HOOKS = (
    *("applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-checkout", "post-commit", "post-index-change"),
    *("post-merge", "post-rewrite", "post-update", "pre-auto-gc", "pre-commit", "pre-merge-commit", "pre-push"),
    *("pre-receive", "prepare-commit-msg", "proc-receive", "push-to-checkout", "reference-transaction", "update"),
)


def trap(thread: Thread, outside: Path, name: str) -> Path:
    """A program that leaves one mark where it can, and another where only the service could."""
    program = thread.place.home / f"trap-{name}"
    marks = f"touch {thread.place.home}/fired-{name}; touch {outside}/{name} 2>/dev/null"
    program.write_text(f"#!/bin/sh\n{{ {marks}; }} || true\ncat\n")
    program.chmod(0o755)
    return program


def plant(thread: Thread, outside: Path) -> None:
    """Everything git's configuration can be made to run, in the repository and in the worktree."""
    hooks = thread.place.home / "hooks"
    for folder in (hooks, thread.place.repo / "hooks", thread.place.repo / "worktrees" / "tree" / "hooks"):
        folder.mkdir(exist_ok=True)
        for hook in HOOKS:
            (folder / hook).unlink(missing_ok=True)
            (folder / hook).symlink_to(trap(thread, outside, "hook"))
    runs = {
        "core.hooksPath": str(hooks),
        "core.fsmonitor": str(trap(thread, outside, "fsmonitor")),
        "core.sshCommand": str(trap(thread, outside, "ssh")),
        "core.pager": str(trap(thread, outside, "pager")),
        "core.editor": str(trap(thread, outside, "editor")),
        "core.askPass": str(trap(thread, outside, "askpass")),
        "core.gitProxy": str(trap(thread, outside, "proxy")),
        "core.alternateRefsCommand": str(trap(thread, outside, "alternates")),
        "credential.helper": f"!{trap(thread, outside, 'credential')}",
        "diff.external": str(trap(thread, outside, "diff")),
        "diff.trap.textconv": str(trap(thread, outside, "textconv")),
        "filter.trap.clean": str(trap(thread, outside, "clean")),
        "filter.trap.smudge": str(trap(thread, outside, "smudge")),
        "filter.trap.required": "true",
        "gpg.program": str(trap(thread, outside, "gpg")),
        "commit.gpgSign": "true",
        "uploadpack.packObjectsHook": str(trap(thread, outside, "upload-pack")),
        "remote.origin.uploadpack": str(trap(thread, outside, "remote-upload-pack")),
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
        "remote.origin.url": f"ext::{trap(thread, outside, 'promisor')}",
        "protocol.ext.allow": "always",
        f"url.ext::{trap(thread, outside, 'instead-of')} .insteadOf": "http://",
        "url./nonexistent/.pushInsteadOf": "http://",
        "gc.auto": "1",
        "core.worktree": "/",
    }
    for key, value in runs.items():
        person_git("config", "--file", thread.place.repo / "config", key, value, cwd=thread.place.home)
    (thread.place.repo / "info").mkdir(exist_ok=True)
    (thread.place.repo / "info" / "attributes").write_text("* filter=trap diff=trap\n")
    (thread.place.home / ".gitconfig").write_text((thread.place.repo / "config").read_text())


def test_nothing_planted_in_the_repository_runs_outside_the_sandbox(
    thread: Thread, remote: GitRemote, outside: Path, sandbox: Sandbox
) -> None:
    plant(thread, outside)
    thread.write({"app.py": "print(2)\n"})
    made = thread.collect()
    thread.push(made)
    remote.commit(REPO, thread.branch, {"theirs.py": "\n"})
    thread.write({"app.py": "print(3)\n"})
    thread.open()
    thread.collect(2)
    assert list(outside.iterdir()) == []
    assert remote.git(REPO, "show", f"{made.head_sha}:app.py") == "print(2)"
    assert (made.commits, made.files) == (1, 1)

    # The traps were armed: the agent's own git springs them in the sandbox, and git by hand would outside.
    fired = thread.place.home / "fired-fsmonitor"
    fired.unlink(missing_ok=True)
    sandbox.run_inside(thread.place, thread.mirror, ["git", f"--git-dir={thread.place.repo}/worktrees/tree",
                       f"--work-tree={thread.place.tree}", "status"], 30)  # fmt: skip
    assert fired.exists()
    assert list(outside.iterdir()) == []
    unboxed(thread.place, thread.mirror, ["git", "-c", "safe.directory=*", "--work-tree=.", "status"], 30)
    assert (outside / "fsmonitor").exists()


def test_forgetting_a_trapped_place_springs_nothing(thread: Thread, outside: Path) -> None:
    plant(thread, outside)
    thread.workspace.forget(thread.place)
    assert list(outside.iterdir()) == []
    assert not thread.place.root.exists()


def test_a_git_file_that_points_elsewhere_is_not_followed(thread: Thread, remote: GitRemote, outside: Path) -> None:
    person_git("init", "--quiet", "elsewhere", cwd=thread.place.home)
    (thread.place.tree / ".git").write_text(f"gitdir: {thread.place.home}/elsewhere/.git\n")
    thread.write({"app.py": "print(2)\n"})
    made = thread.collect()
    thread.push(made)
    assert remote.git(REPO, "show", f"{thread.branch}:app.py") == "print(2)"


def stolen(thread: Thread, remote: GitRemote, way: Callable[[Place, Path], None]) -> Thread:
    """A private repository of the same service, whose tree the agent commits as its own."""
    remote.create("acme/private", {"secret.txt": "the plan\n"})
    private = Thread(remote, thread.home, repo="acme/private", run_inside=thread.run_inside)
    private.open()
    tree = remote.git("acme/private", "rev-parse", "main^{tree}")
    head = thread.agent_git("rev-parse", "HEAD")
    who = "Agent <agent@example.test> 1700000000 +0000"
    raw = thread.place.home / "raw"
    raw.write_text(f"tree {tree}\nparent {head}\nauthor {who}\ncommitter {who}\n\nMine now\n")
    commit = thread.agent_git("hash-object", "-t", "commit", "-w", "--literally", str(raw))
    way(thread.place, private.mirror)
    for ref in (f"refs/heads/{thread.branch}", "worktrees/tree/HEAD"):
        (thread.place.repo / ref).write_text(f"{commit}\n")
    return private


def by_alternates(place: Place, private: Path) -> None:
    with (place.repo / "objects" / "info" / "alternates").open("a") as file:
        file.write(f"{private}/objects\n")


def by_links(place: Place, private: Path) -> None:
    for folder in (private / "objects").iterdir():
        target = place.repo / "objects" / folder.name
        if target.is_dir():
            for file in folder.iterdir():
                (target / file.name).symlink_to(file)
        else:
            target.symlink_to(folder)


@pytest.mark.parametrize("way", [by_alternates, by_links])
def test_objects_of_another_repository_cannot_be_borrowed(
    thread: Thread, remote: GitRemote, way: Callable[[Place, Path], None]
) -> None:
    stolen(thread, remote, way)
    blob = remote.git("acme/private", "rev-parse", "main:secret.txt")
    with pytest.raises(WorkspaceRefused):
        thread.collect()
    objects = person_git("cat-file", "--batch-all-objects", "--batch-check", cwd=thread.mirror)
    assert blob not in objects


@pytest.mark.parametrize("way", [by_alternates, by_links])
def test_the_theft_would_work_without_a_sandbox(
    thread: Thread, remote: GitRemote, way: Callable[[Place, Path], None]
) -> None:
    """The control: what keeps the other repository out is the sandbox, and the attack is a real one."""
    stolen(thread, remote, way)
    made = Workspace(thread.home, unboxed).collect(thread.target, thread.place, 1, BOT, "x")
    assert person_git("show", f"{made.head_sha}^:secret.txt", cwd=thread.mirror) == "the plan"


def test_replaced_and_grafted_history_deceives_nobody(thread: Thread, remote: GitRemote) -> None:
    commit = thread.agent_commits("Mine", {"app.py": "print(2)\n"})
    fake = thread.agent_git("commit-tree", f"{commit}^{{tree}}", "-m", "No parents")
    thread.agent_git("replace", commit, fake)
    made = thread.collect()
    thread.push(made)
    assert (made.commits, made.base_sha) == (1, remote.tip(REPO, "main"))
    assert remote.git(REPO, "for-each-ref", "--format=%(refname)", "refs/replace") == ""
