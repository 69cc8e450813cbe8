"""A bare repository on disk, and the git commands the fake runs in it."""

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

ZERO = "0" * 40
Files = Mapping[str, str | bytes | None]

# Gitea refuses pushes in this hook, and what git then prints is what a bot gets to see.
PRE_RECEIVE = """#!/bin/sh
refuse() {
  printf '\\nerror:\\nerror: %s\\nerror:\\n' "$1" >&2
  exit 1
}
while read -r old new ref; do
  if [ -n "$FAKE_REFUSAL" ]; then
    refuse "$FAKE_REFUSAL"
  fi
  case " $FAKE_PROTECTED " in
    *" $ref "*) refuse "Not allowed to push to protected branch ${ref#refs/heads/}";;
  esac
done
"""


class GitError(Exception):
    """A git command of the fake ended with an error; `code` is its exit status."""

    def __init__(self, argv: Sequence[str], code: int, errors: bytes) -> None:
        super().__init__(f"{argv} ended with {code}: {errors.decode(errors='replace')}")
        self.code = code


@dataclass(frozen=True)
class Ident:
    """Who a commit is by."""

    name: str
    email: str


@dataclass(frozen=True)
class Commit:
    sha: str
    author: Ident
    committer: Ident
    date: datetime
    message: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One file of a diff; `status` is Gitea's word for it."""

    path: str
    previous: str
    status: str
    additions: int
    deletions: int


def git_environment(**more: str) -> dict[str, str]:
    """The whole environment of a git command: nothing of this machine's configuration."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        **more,
    }


class BareRepo:
    """One bare repository. Methods raise `GitError` when git does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()  # held by whoever moves refs; never wait for the state's lock under it

    @classmethod
    def create(cls, path: Path, default_branch: str) -> "BareRepo":
        repo = cls(path)
        path.mkdir(parents=True)
        repo.run("init", "--quiet", "--bare", "--template=", f"--initial-branch={default_branch}")
        hook = path / "hooks" / "pre-receive"
        hook.parent.mkdir()
        hook.write_text(PRE_RECEIVE)
        hook.chmod(0o755)
        return repo

    def run(self, *args: str, text: bytes = b"") -> bytes:
        """Runs git and gives its standard output."""
        argv = ["git", *args]
        env = git_environment(GIT_DIR=str(self.path))
        done = subprocess.run(argv, cwd=self.path, env=env, input=text, capture_output=True, timeout=60, check=False)
        if done.returncode:
            raise GitError(argv, done.returncode, done.stderr)
        return done.stdout

    def line(self, *args: str) -> str:
        return self.run(*args).decode().strip()

    def refs(self) -> dict[str, str]:
        """Every branch and tag with what it points to."""
        lines = self.run("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
        pairs = (line.split(" ", 1) for line in lines.decode().splitlines())
        return {name: sha for sha, name in pairs}

    def set_ref(self, ref: str, sha: str | None) -> None:
        """Points a ref to a commit, or deletes it."""
        self.run(*(["update-ref", ref, sha] if sha else ["update-ref", "-d", ref]))

    def commit(self, branch: str, files: Files, author: Ident, message: str, *, start: str | None) -> str:
        """Commits the files (None deletes one) onto `start`, moves the branch there, gives the new commit."""
        who = f"{author.name} <{author.email}> now"
        data = message.encode()
        stream = [f"commit refs/heads/{branch}\nauthor {who}\ncommitter {who}\ndata {len(data)}\n".encode(), data]
        if start:
            stream.append(f"\nfrom {start}".encode())
        stream += [_file_command(path, content) for path, content in files.items()]
        self.run("fast-import", "--quiet", "--force", "--date-format=now", text=b"".join([*stream, b"\n"]))
        return self.line("rev-parse", f"refs/heads/{branch}")

    def commits(self, *revisions: str, limit: int = 50) -> list[Commit]:
        """The commits that `git log` gives, newest first, with the paths each of them touched."""
        shape = "%x1e%H%x1f%an%x1f%ae%x1f%cn%x1f%ce%x1f%cI%x1f%B%x1f"
        how = ["--name-status", "--no-renames", "--diff-merges=first-parent"]
        wanted = [f"--format={shape}", *how, f"--max-count={limit}"]
        out = self.run("-c", "core.quotePath=false", "log", *wanted, *revisions, "--").decode(errors="replace")
        return [_commit(record) for record in out.split("\x1e")[1:]]

    def count(self, *revisions: str) -> int:
        return int(self.line("rev-list", "--count", *revisions))

    def is_ancestor(self, older: str, newer: str) -> bool:
        return self.merge_base(older, newer) == older

    def merge_base(self, one: str, other: str) -> str:
        """The best common ancestor, "" when the histories have none."""
        try:
            return self.line("merge-base", one, other)
        except GitError:
            return ""

    def file(self, revision: str, path: str) -> bytes | None:
        """A file's content at a commit, None when it is not there."""
        try:
            return self.run("cat-file", "blob", f"{revision}:{path}")
        except GitError:
            return None

    def tree(self, revision: str, path: str) -> list[tuple[str, str, str]]:
        """What lies in a folder: kind (`blob`, `tree`, `commit`), object, name."""
        rows = self.run("ls-tree", "-z", f"{revision}:{path}").decode().split("\0")
        cells = (row.split("\t", 1) for row in rows if row)
        return [(head.split()[1], head.split()[2], name) for head, name in cells]

    def changes(self, old: str, new: str) -> list[Change]:
        """The files that differ between two commits."""
        out = self.run("diff", "--raw", "--numstat", "-M", "-z", "--abbrev=40", old, new).decode(errors="replace")
        return parse_changes(out.split("\0"))

    def diff(self, old: str, new: str) -> str:
        return self.run("diff", "-M", old, new).decode(errors="replace")

    def merge(self, base: str, head: str, author: Ident, message: str, how: str) -> str | None:
        """Merges `head` into `base` the way Gitea's merge style says; the new commit, None on a conflict."""
        if how == "fast-forward-only":
            return head if self.is_ancestor(base, head) else None
        names = {"GIT_AUTHOR_NAME": author.name, "GIT_AUTHOR_EMAIL": author.email}
        names |= {"GIT_COMMITTER_NAME": author.name, "GIT_COMMITTER_EMAIL": author.email}
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / "tree"
            env = git_environment(**names)
            self.run("worktree", "add", "--quiet", "--detach", str(tree), head if "rebase" in how else base)
            try:
                for step in merge_steps(base, head, message, how):
                    if subprocess.run(["git", *step], cwd=tree, env=env, capture_output=True, check=False).returncode:
                        return None
                done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tree, env=env, capture_output=True, check=True)
                return done.stdout.decode().strip()
            finally:
                self.run("worktree", "remove", "--force", str(tree))


def merge_steps(base: str, head: str, message: str, how: str) -> Sequence[Sequence[str]]:
    """The git commands of one merge style, run in a worktree that stands on the base (or, to rebase, the head)."""
    match how:
        case "squash":
            return (("merge", "--squash", head), ("commit", "--allow-empty", "-m", message))
        case "rebase":
            return (("rebase", base),)
        case "rebase-merge":
            return (
                ("rebase", base),
                ("branch", "-f", "fake-rebased"),
                ("checkout", "--detach", base),
                ("merge", "--no-ff", "-m", message, "fake-rebased"),
                ("branch", "-D", "fake-rebased"),
            )
        case _:
            return (("merge", "--no-ff", "-m", message, head),)


def _file_command(path: str, content: str | bytes | None) -> bytes:
    quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if content is None:
        return f"\nD {quoted}".encode()
    data = content.encode() if isinstance(content, str) else content
    return f"\nM 100644 inline {quoted}\ndata {len(data)}\n".encode() + data


def _commit(record: str) -> Commit:
    sha, author, mail, committer, committer_mail, date, message, paths = record.split("\x1f")
    touched: dict[str, list[str]] = {"A": [], "D": [], "M": [], "T": []}
    for line in paths.strip().splitlines():
        kind, _, path = line.partition("\t")
        touched[kind[0]].append(path)
    return Commit(
        sha,
        Ident(author, mail),
        Ident(committer, committer_mail),
        datetime.fromisoformat(date),
        message,
        tuple(touched["A"]),
        tuple(touched["D"]),
        tuple(touched["M"] + touched["T"]),
    )


STATUS = {"A": "added", "D": "deleted", "M": "changed", "T": "changed", "R": "renamed", "C": "copied"}


def parse_changes(cells: Sequence[str]) -> list[Change]:
    """Reads `git diff --raw --numstat -z`: first the raw rows, then a row of counts for each of them."""
    kinds: dict[str, str] = {}
    changes: list[Change] = []
    rest = iter(cells)
    for cell in rest:
        if cell.startswith(":"):
            kind = cell.split(" ")[4][0]
            kinds[[next(rest) for _ in range(2 if kind in "RC" else 1)][-1]] = kind
        elif found := re.fullmatch(r"(\d+|-)\t(\d+|-)\t(.*)", cell, re.DOTALL):
            plus, minus, path = found.groups()
            previous = "" if path else next(rest)
            path = path or next(rest)
            counts = (0 if plus == "-" else int(plus), 0 if minus == "-" else int(minus))
            changes.append(Change(path, previous, STATUS[kinds[path]], *counts))
    return changes
