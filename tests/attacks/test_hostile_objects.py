"""The agent hands over objects that are not what they should be. Each is refused, and none reaches a branch."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from jobs.mirror import Mirror
from jobs.place import Place
from jobs.workspace import CompletedText, Workspace, WorkspaceRefused
from tests.fakes.git_remote import person_git
from tests.fakes.workspaces import BOT, Thread


def literal(thread: Thread, kind: str, content: bytes) -> str:
    """Writes an object that git itself would not."""
    raw = thread.place.home / "raw"
    raw.write_bytes(content)
    return thread.agent_git("hash-object", "-t", kind, "-w", "--literally", str(raw))


@pytest.mark.parametrize("name", [b".git", b".GIT", b"..", b"git~1", b"a/b"])
def test_trees_that_would_write_elsewhere_are_refused(thread: Thread, name: bytes) -> None:
    blob = bytes.fromhex(literal(thread, "blob", b"[core]\n"))
    inner = bytes.fromhex(literal(thread, "tree", b"100644 config\0" + blob))
    tree = literal(thread, "tree", b"40000 " + name + b"\0" + inner)
    commit = thread.agent_git("commit-tree", tree, "-p", "HEAD", "-m", "Harmless")
    (thread.place.repo / "refs" / "heads" / thread.branch).write_text(f"{commit}\n")
    with pytest.raises(WorkspaceRefused, match=r"could not be taken: .*(fullPathname|hasDot|contains '\.)"):
        thread.collect()
    assert person_git("for-each-ref", "refs/kugetsu/jobs", "refs/kugetsu/sealed", cwd=thread.mirror) == ""
    # Asked again, what the mirror got to see of it the first time does not let it through.
    with pytest.raises(WorkspaceRefused, match="could not be taken"):
        thread.collect()


def answering(thread: Thread, change: Callable[[Place, CompletedText], None]) -> Workspace:
    """A workspace whose sandbox has something done to its answer, by a process the agent left in there."""

    def run(place: Place, mirror: Path, argv: Sequence[str], seconds: float) -> CompletedText:
        done = thread.run_inside(place, mirror, argv, seconds)
        change(place, done)
        return done

    return Workspace(thread.home, run)


def pack(place: Place) -> Path:
    return place.repo / "kugetsu.pack"


def as_link(place: Place, _: CompletedText) -> None:
    target = place.root / "real.pack"
    if pack(place).exists():
        pack(place).rename(target)
        pack(place).symlink_to(target)


def as_pipe(place: Place, _: CompletedText) -> None:
    pack(place).unlink(missing_ok=True)
    os.mkfifo(pack(place))


def as_huge(place: Place, _: CompletedText) -> None:
    pack(place).unlink(missing_ok=True)
    pack(place).touch()
    os.truncate(pack(place), 1 << 40)


def as_nonsense(place: Place, _: CompletedText) -> None:
    pack(place).unlink(missing_ok=True)
    pack(place).write_bytes(b"PACK\0\0\0\2\xff\xff\xff\xff" + b"x" * 1000)


def as_nothing(place: Place, _: CompletedText) -> None:
    pack(place).unlink(missing_ok=True)


def as_folder(place: Place, _: CompletedText) -> None:
    pack(place).unlink(missing_ok=True)
    pack(place).mkdir()


def lying_head(_: Place, done: CompletedText) -> None:
    done.stdout = f"inside\n{'1' * 40} clean\n"


def option_head(_: Place, done: CompletedText) -> None:
    done.stdout = "inside\n--upload-pack=touch /tmp/x clean\n"


@pytest.mark.parametrize(
    "change", [as_link, as_pipe, as_huge, as_nonsense, as_nothing, as_folder, lying_head, option_head]
)
def test_whatever_lies_where_the_commits_should_is_refused(
    thread: Thread, change: Callable[[Place, CompletedText], None]
) -> None:
    thread.agent_commits("Mine", {"app.py": "print(2)\n"})
    with pytest.raises(WorkspaceRefused, match="What the agent left behind could not be taken"):
        answering(thread, change).collect(thread.target, thread.place, 1, BOT, "x")
    assert person_git("for-each-ref", "refs/kugetsu/jobs", "refs/kugetsu/sealed", cwd=thread.mirror) == ""


def test_a_commit_whose_files_are_missing_is_refused(thread: Thread) -> None:
    nowhere = bytes.fromhex("12" * 20)
    tree = literal(thread, "tree", b"100644 app.py\0" + nowhere)
    head = thread.agent_git("rev-parse", "HEAD")
    who = b"A <a@example.test> 1700000000 +0000"
    commit = literal(
        thread,
        "commit",
        b"tree %b\nparent %b\nauthor %b\ncommitter %b\n\nx\n" % (tree.encode(), head.encode(), who, who),
    )
    (thread.place.repo / "refs" / "heads" / thread.branch).write_text(f"{commit}\n")
    with pytest.raises(WorkspaceRefused, match="could not be taken"):
        thread.collect()
    assert not Mirror(thread.mirror).has(commit)
