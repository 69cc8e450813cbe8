"""Where one thread's work lies on disk.

The folder is the unit of everything about a thread that the agent may touch: its own repository, the
worktree, opencode's state, and temporary files. It is kept between runs, so a conversation goes on where it
stopped.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one thread; all absolute. Nothing says that they exist yet."""

    root: Path
    repo: Path
    """The agent's own bare repository. Git never runs in it outside the sandbox: its config is the agent's."""
    tree: Path
    """The linked worktree the agent works in."""
    home: Path
    """HOME and XDG_* of the agent."""
    tmp: Path
    """TMPDIR and KUGETSU_TEMP_DIR of the agent."""

    @classmethod
    def at(cls, root: Path, *, tmp: Path | None = None) -> Self:
        """The place under `root`; `tmp` only where the temporary folder lies elsewhere."""
        return cls(
            root=root,
            repo=root / "repo.git",
            tree=root / "tree",
            home=root / "home",
            tmp=root / "tmp" if tmp is None else tmp,
        )
