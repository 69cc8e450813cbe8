"""What the commands have in common that do something to an installation and count what came of it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.crash.forkserver import ForkServer
from tests.crash.looks import Look
from tests.crash.parts import Parts
from tests.fakes.gitea import FakeGitea

WRONG: Final = ("lost", "doubled", "strays")
"""What must not be, of whatever is counted."""


@contextmanager
def installation(folder: Path, **settings: str) -> Iterator[Parts]:
    """Kugetsu with these settings and its Gitea, below `folder`; nothing of it runs afterwards."""
    with FakeGitea(folder / "gitea") as gitea, ForkServer() as forks:
        parts = Parts(folder / "kugetsu", gitea, forks, **settings)
        try:
            yield parts
        finally:
            parts.stop()


def counted(look: Look) -> dict[str, float]:
    """How much is wrong; what it is is printed."""
    print(look)
    return {"lost": len(look.lost), "doubled": len(look.doubled), "strays": len(look.strays)}


def show(name: str, act: Callable[[Path], Mapping[str, float]]) -> int:
    """Do `act` in a new folder, and print what it counted as the last line, an object in JSON. The exit code is 1 where
    something is wrong; then the folder with all databases and logs is kept.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"kugetsu-{name}-"))
    counts = act(folder)
    wrong = any(counts[kind] for kind in WRONG)
    if wrong:
        print(f"all of it is kept in {folder}")
    else:
        shutil.rmtree(folder)
    print(json.dumps(counts))
    return int(wrong)
