"""Whether all is as it should be after whatever happened: on Gitea, on the disk, among the processes.

Each look gives sentences that name what is wrong, sorted by kind: what was asked and did not come (`lost`), what came
twice (`doubled`), what was left behind (`strays`).
"""

import fcntl
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from tests.crash.parts import BOT, Parts
from tests.fakes.gitea import FakeGitea

TRAILER: Final = re.compile(r"^Kugetsu-Job: (\d+)$", re.MULTILINE)
MARKER: Final = re.compile(r"<!-- kugetsu job=(\d+) part=([\w-]+) -->")
PASSING: Final = ("+making-", "+damaged", "+gone")
"""What names of folders say that are on their way to be or not to be."""


@dataclass
class Look:
    """What is wrong. Empty is good."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.lost or self.doubled or self.strays)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.lost + other.lost, self.doubled + other.doubled, self.strays + other.strays)

    def __str__(self) -> str:
        named = (("lost", self.lost), ("doubled", self.doubled), ("stray", self.strays))
        return "\n".join(f"{kind}: {text}" for kind, texts in named for text in texts) or "all is well"


def at_issue(
    gitea: FakeGitea, repo: str, issue: int, *, lines: Iterable[str] = (), jobs: int = 1, commits: int = 1
) -> Look:
    """Of an issue on which so many jobs have each added one of `lines` to app.py: one pull request, a comment that
    follows and one that closes for each job, the label `kugetsu/done`, a branch of at most so many commits on the
    first one.
    """
    look, where, branch = Look(), f"{repo}#{issue}", f"kugetsu/issue-{issue}"
    pulls = [pull for pull in gitea.pulls_of(repo) if pull.pull and pull.pull.head_branch == branch]
    _count(look, len(pulls), 1, f"{where}: pull requests")
    said = _markers(gitea, repo, issue)
    parts = Counter(MARKER.sub(r"\2", marker) for marker in said)
    for part in ("live", "result"):
        _count(look, parts[part], jobs, f"{where}: jobs with a comment of part {part}")
    look.doubled += [f"{where}: {times} comments {marker}" for marker, times in said.items() if times > 1]
    if (labels := gitea.labels_of(repo, issue)) != ["kugetsu/done"]:
        look.lost.append(f"{where}: its labels are {labels}")
    if branch in gitea.branches_of(repo):
        _look_at_branch(look, gitea, repo, branch, jobs=jobs, most=commits)
    written = Counter((gitea.file_at(repo, branch, "app.py") or "").splitlines())
    for line in lines:
        _count(look, written[line], 1, f"{where}: {line!r} in app.py")
    return look


def _look_at_branch(look: Look, gitea: FakeGitea, repo: str, branch: str, *, jobs: int, most: int) -> None:
    commits = gitea.log(repo, branch)
    ours = Counter(job for commit in commits for job in TRAILER.findall(commit.message))
    _count(look, len(ours), min(len(ours), jobs) or 1, f"{repo} {branch}: jobs with a commit")
    if ours.total() > most:
        look.doubled.append(f"{repo} {branch}: {ours.total()} commits, not {most}, of jobs {dict(ours)}")
    merges = gitea.forge.state.repo(repo).git.count("--merges", f"refs/heads/{branch}")
    if merges or len(commits) != ours.total() + 1:
        look.doubled.append(f"{repo} {branch} is no single chain: {[commit.message for commit in commits]}")


def told_at(gitea: FakeGitea, repo: str, issue: int) -> int:
    """How many jobs have a closing comment there."""
    return len([marker for marker in _markers(gitea, repo, issue) if "part=result" in marker])


def _markers(gitea: FakeGitea, repo: str, issue: int) -> Counter[str]:
    texts = (entry.body for entry in gitea.comments_of(repo, issue, BOT))
    return Counter(found.group(0) for found in map(MARKER.search, texts) if found)


def _count(look: Look, found: int, wanted: int, what: str) -> None:
    if found != wanted:
        (look.lost if found < wanted else look.doubled).append(f"{what}: {found}, not {wanted}")


def at_home(parts: Parts, places: Iterable[str], *, workers: int = 1) -> Look:
    """Of the disk and the processes, once all work is over: `places` are the names of the places that may be there,
    `workers` is how many live.
    """
    look, home, wanted = Look(), parts.home, set(places)
    look.strays += [f"process {pid}: {_command(pid)}" for pid in parts.others()]
    look.strays += [f"{path}" for path in _leavings(home)]
    look.strays += [f"{path} is locked" for path in home.glob("worktrees/*+lock") if _is_locked(path)]
    look.strays += [f"{path}" for path in parts.tmp.iterdir()]
    found = {path.parent.name for path in home.glob("worktrees/*/tree")}
    look.strays += [f"worktrees/{name}" for name in found - wanted]
    look.lost += [f"worktrees/{name} is not there" for name in wanted - found]
    if len(present := sorted(path.name for path in home.glob("workers/*.lock"))) > workers:
        look.strays.append(f"of {workers} workers: {present}")
    return look


def _leavings(home: Path) -> Iterator[Path]:
    """What a writer leaves that did not come to its end: locks of git's, drafts, packs without a name, half folders."""
    for folder, folders, files in os.walk(home):
        here = Path(folder)
        yield from (here / name for name in folders if any(mark in name for mark in PASSING))
        yield from (here / name for name in files if _is_leaving(here, name))


def _is_leaving(folder: Path, name: str) -> bool:
    if name.endswith(".draft") or name == "spec.json" or name.startswith("tmp_"):
        return True
    if (
        name.endswith(".git.lock") and folder.parent.name == "gitea"
    ):  # a mirror's own: it stays, and is empty unless held
        return (folder / name).stat().st_size > 0
    return name.endswith(".lock") and folder.name not in {"workers", "kugetsu"}


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[-400:]
    except OSError:
        return "gone meanwhile"
