"""A thread with its server and its workspace, for tests that play the agent themselves."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.place import Place
from jobs.sandbox import Sandbox, give
from jobs.workspace import Identity, Made, Opened, RunInside, Target, Workspace
from tests.fakes.git_remote import GitRemote, person_git

BOT = Identity("Kugetsu Bot", "bot@example.test")
REPO = "acme/widgets"
INSIDE = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "KUGETSU_INSIDE": "yes"}
FILES = {"README.md": "hello\n", "app.py": "print(1)\n"}


def unboxed(place: Place, mirror: Path, argv: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Runs a command at the place without a sandbox; what runs there can tell by its environment."""
    env = INSIDE | {"HOME": str(place.home)}
    return subprocess.run(argv, cwd=place.tree, env=env, capture_output=True, text=True, check=False, timeout=seconds)


def boxed(sandbox: Sandbox) -> RunInside:
    """Runs commands in the sandbox. A test that plays the agent writes as itself: first that becomes the agent's."""

    def run(place: Place, mirror: Path, argv: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
        if sandbox.own_user:
            give(place.root)
        return sandbox.run_inside(place, mirror, argv, seconds)

    return run


@dataclass
class Thread:
    """One issue of one repository."""

    remote: GitRemote
    home: Path
    issue: int = 7
    repo: str = REPO
    run_inside: RunInside = unboxed
    spent: str | None = None

    def __post_init__(self) -> None:
        """Every thread has a workspace object of its own, as every worker has."""
        self.workspace = Workspace(self.home, self.run_inside)

    @property
    def branch(self) -> str:
        """The thread's branch."""
        return f"kugetsu/issue-{self.issue}"

    @property
    def target(self) -> Target:
        """The thread as the service names it."""
        url = self.remote.url(self.repo)
        return Target("gitea", self.repo, self.issue, url, self.remote.token, "main", self.branch, self.spent)

    @property
    def place(self) -> Place:
        """Where its work lies."""
        return self.workspace.place(self.target)

    @property
    def mirror(self) -> Path:
        """The mirror it shares with other threads."""
        return self.workspace.mirror(self.target)

    def open(self) -> Opened:
        """The service opens the place."""
        return self.workspace.open(self.target)

    def collect(self, job: int = 1) -> Made:
        """The service takes what is there."""
        return self.workspace.collect(self.target, self.place, job, BOT, "What the agent left")

    def push(self, made: Made) -> None:
        """The service pushes it."""
        self.workspace.push(self.target, made.head_sha)

    def deliver(self, files: Mapping[str, str], job: int = 1) -> Made:
        """A whole job: opened, the agent writes files, collected, pushed."""
        self.open()
        self.write(files)
        made = self.collect(job)
        self.push(made)
        return made

    def write(self, files: Mapping[str, str]) -> None:
        """The agent writes files."""
        for name, text in files.items():
            path = self.place.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def agent_git(self, *args: str) -> str:
        """The agent runs git in its tree."""
        return person_git(*args, cwd=self.place.tree)

    def agent_commits(self, message: str, files: Mapping[str, str]) -> str:
        """The agent writes files and commits them."""
        self.write(files)
        self.agent_git("add", "-A")
        self.agent_git("commit", "--quiet", "-m", message)
        return self.agent_git("rev-parse", "HEAD")

    def status(self) -> str:
        """What git says about the tree; empty when nothing is uncommitted."""
        return self.agent_git("status", "--porcelain")

    def log(self, rev: str, form: str = "%an <%ae>|%cn <%ce>|%s") -> list[str]:
        """The commits of a revision in the mirror that are not on main, newest first."""
        return person_git("log", f"--format={form}", rev, "^refs/heads/main", cwd=self.mirror).splitlines()

    def kept(self) -> list[str]:
        """What had to give way to the server's branch."""
        return person_git("for-each-ref", "--format=%(objectname)", "refs/kugetsu/kept", cwd=self.mirror).split()

    def leftovers(self) -> list[str]:
        """Folders beside the place that should be none."""
        return sorted(path.name for path in self.place.root.parent.iterdir() if path != self.place.root)


# Ends the process with SIGKILL just before the n-th thing it does to the world: a process started, a folder renamed.
# Git commands that only read are passed over, for a kill before one is the same as a kill before the next.
_DIES = """
    import json, os, signal, sys
    from pathlib import Path
    left = int(sys.argv[1])
    READS = {"cat-file", "diff-tree", "for-each-ref", "ls-remote", "merge-base", "rev-list", "rev-parse"}
    def count(event, args):
        global left
        if event == "os.rename" or (event == "subprocess.Popen" and args[1][1] not in READS):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    from jobs.workspace import Target, Workspace
    from tests.fakes.workspaces import BOT, unboxed
    told = json.loads(sys.argv[2])
    target = Target(**told["target"])
    workspace = Workspace(Path(told["home"]), unboxed)
    place = workspace.place(target)
    sys.addaudithook(count)
    %s
    print("came to its end", flush=True)
"""


def dies_at(thread: Thread, step: int, code: str) -> bool:
    """Runs `code` (on `workspace`, `target`, `place`) in a process that is killed just before its `step`-th effect.

    Gives False when it came to its end before that.
    """
    worker = started(thread, code, step)
    _, errors = worker.communicate(timeout=60)
    assert worker.returncode in {0, -9}, f"killed at {step} it ended with {worker.returncode}: {errors}"
    return worker.returncode == -9


def started(thread: Thread, code: str, dies: int = -1) -> subprocess.Popen[str]:
    """A worker process of its own that runs `code`."""
    told = json.dumps({"target": asdict(thread.target), "home": str(thread.home)})
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_DIES) % code, str(dies), told],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
