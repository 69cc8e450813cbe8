"""Commits that no worktree could hold, written straight into a bare repository by `git fast-import`."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.git_remote import person_git
from tests.fakes.workspaces import BOT

FILE, PROGRAM, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
COMMIT_ELSEWHERE = b"12" * 20
BY_BOT = f"{BOT.name} <{BOT.email}>"


@dataclass(frozen=True)
class Put:
    """What stands at a path: a file's contents, a link's aim, or a submodule's commit."""

    content: bytes
    mode: str = FILE


Tree = Mapping[bytes, Put | None]
"""Changes of one commit by path; None takes it away."""


class Repository:
    """A mirror as the service has it, with the default branch `main` of a server that takes every push."""

    def __init__(self, root: Path, base: Tree) -> None:
        self.path, self.server = root / "mirror.git", root / "server.git"
        for path in (self.path, self.server):
            subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(path)], check=True)
        self.base = self.commit([base], start=None)
        person_git("update-ref", "refs/heads/main", self.base, cwd=self.path)

    def commit(self, trees: Sequence[Tree], *, start: str | None = "", by: str = BY_BOT) -> str:
        """One commit for each of `trees`; the id of the last. `start` is the first one's parent (None: it has none)."""
        lines = [b"feature done\nreset refs/import\n"]
        for number, tree in enumerate(trees, start=1):
            lines.append(
                b"commit refs/import\nmark :%d\ncommitter %s 1700000000 +0000\ndata 1\nx\n" % (number, by.encode())
            )
            if number == 1 and start is not None:
                lines.append(b"from %s\n" % (start or self.base).encode())
            for path, put in tree.items():
                lines.append(_line(path, put))
        lines.append(b"done\n")
        subprocess.run(
            ["git", "fast-import", "--quiet", "--force"], cwd=self.path, input=b"".join(lines), check=True, timeout=60
        )
        return person_git("rev-parse", "refs/import", cwd=self.path)

    def takes(self, commit: str) -> bool:
        """Whether the server takes a push of the commit."""
        refspec = f"{commit}:refs/heads/taken-{commit}"
        push = ["git", "push", "--quiet", str(self.server), refspec]
        return subprocess.run(push, cwd=self.path, capture_output=True, check=False, timeout=60).returncode == 0


def _line(path: bytes, put: Put | None) -> bytes:
    name = b'"%s"' % path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    if put is None:
        return b"D %s\n" % name
    if put.mode == SUBMODULE:
        return b"M %s %s %s\n" % (put.mode.encode(), put.content, name)
    return b"M %s inline %s\ndata %d\n%s\n" % (put.mode.encode(), name, len(put.content), put.content)
