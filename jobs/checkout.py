"""Making, mending and removing a thread's place on disk.

A place is built beside its name and renamed, so one that stands was finished. Its siblings carry a `+`, which no
name of a place has behind its number:

    <name>+making-<random>   under construction, or left by a kill
    <name>+damaged           what the agent left unusable; kept until the place is forgotten
    <name>+gone              being removed
"""

import contextlib
import os
import stat
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from jobs.git import Run, git
from jobs.place import Place

CHECKOUT_LIMIT: Final = 900.0
_MODE: Final = 0o700

# For the agent's own commits, which need some identity; sealing replaces it.
_AGENTS_SETTINGS: Final = ("user.name=Kugetsu", "user.email=kugetsu@localhost", "commit.gpgSign=false", "gc.auto=0")


def settle(place: Place) -> None:
    """Finishes what a kill cut short: removes half-made siblings, gives a new place its home back."""
    place.root.parent.mkdir(parents=True, exist_ok=True)
    for half_made in _siblings(place, "+making-"):
        # An orphaned git may still be writing there: what cannot be removed now is removed the next time.
        with contextlib.suppress(OSError):
            remove(half_made)
    damaged_home = _damaged(place).home
    if _is_folder(place.root) and _is_folder(damaged_home) and not os.path.lexists(place.home):
        damaged_home.rename(place.home)


def is_whole(place: Place) -> bool:
    """Whether the folders are there and are folders, so that going into them leads nowhere else."""
    inner = (place.root, place.repo, place.repo / "worktrees", place.repo / "worktrees" / "tree", place.tree)
    return all(map(_is_folder, inner))


def set_aside(place: Place) -> None:
    """Moves an unusable place out of the way, whole. Does nothing where there is none."""
    if os.path.lexists(place.root):
        remove(_damaged(place).root)
        place.root.rename(_damaged(place).root)


def make(place: Place, mirror: Path, branch: str, commit: str) -> None:
    """Makes the repository and the worktree, on `branch` at `commit`. The place must not exist.

    The agent has never been in here, so git may run. The worktree's two links are written for the place's final name
    (the files: gitrepository-layout, `worktrees/<id>/gitdir`, and the worktree's `.git`).
    """
    new = Place.at(place.root.with_name(f"{place.root.name}+making-{uuid.uuid4().hex[:8]}"))
    new.root.mkdir(parents=True, mode=_MODE)
    settings = [part for setting in _AGENTS_SETTINGS for part in ("-c", setting)]
    clone = ["clone", "--quiet", "--bare", "--shared", "--template=", *settings, str(mirror), str(new.repo)]
    git(clone, Run(cwd=new.root, env={"GIT_ALLOW_PROTOCOL": "file"}))
    add = ["worktree", "add", "--quiet", "--no-track", "-B", branch, str(new.tree), commit]
    git(add, Run(cwd=new.root, git_dir=new.repo, deadline=CHECKOUT_LIMIT))
    admin = Path("worktrees") / "tree"
    (new.tree / ".git").write_text(f"gitdir: {place.repo / admin}\n", encoding="utf-8")
    (new.repo / admin / "gitdir").write_text(f"{place.tree / '.git'}\n", encoding="utf-8")
    new.root.rename(place.root)


def furnish(place: Place) -> None:
    """Sees to it that the agent has its home and its temporary folder, and that they are folders."""
    for folder in (place.home, place.tmp):
        if os.path.lexists(folder) and not _is_folder(folder):
            folder.unlink()
        folder.mkdir(parents=True, exist_ok=True, mode=_MODE)


def forget(place: Place) -> None:
    """Removes the place and its siblings. Can be repeated; a place half removed no longer has its name."""
    gone = place.root.with_name(f"{place.root.name}+gone")
    remove(gone)
    if os.path.lexists(place.root):
        place.root.rename(gone)
    for path in (gone, _damaged(place).root, *_siblings(place, "+making-"), place.tmp):
        remove(path)


def remove(path: Path) -> None:
    """Removes a file or a whole folder, following no link out of it, whatever permissions and depth are inside.

    Folders are first moved up to one level, so neither the length of a path nor the depth of a tree matters.
    """
    if not _is_folder(path):
        path.unlink(missing_ok=True)
        return
    path.chmod(_MODE)
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        waiting.extend(_emptied(folder, path))
        if folder != path:
            folder.rmdir()
    path.rmdir()


def _emptied(folder: Path, top: Path) -> Iterable[Path]:
    """Unlinks the files of a folder and moves its folders to `top`; gives those."""
    with os.scandir(folder) as entries:
        inside = [Path(entry.path) for entry in entries]
    moved = []
    for path in inside:
        if not _is_folder(path):
            path.unlink()
            continue
        path.chmod(_MODE)
        moved.append(path.rename(top / f"+{uuid.uuid4().hex}"))
    return moved


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _damaged(place: Place) -> Place:
    return Place.at(place.root.with_name(f"{place.root.name}+damaged"))


def _siblings(place: Place, kind: str) -> Iterable[Path]:
    start = f"{place.root.name}{kind}"
    with os.scandir(place.root.parent) as entries:
        return [Path(entry.path) for entry in entries if entry.name.startswith(start)]
