"""The whole of Kugetsu in one harness: a Gitea that webhooks us, both halves of the service, an agent.

    with World(folder, gitea) as world:
        issue = world.issue("Crash on empty input", "stub: write app.py fixed")
        world.label(issue, "kugetsu/code")
        pull = world.next_pull(issue)

The verbs are what a person does or sees. On leaving, `check_nothing_else` looks for whatever happened beside: requests
that no Gitea knows, jobs still open, processes and threads left over.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from peewee import SqliteDatabase

from jobs import processes
from jobs.gitea import Gitea
from models import opening
from models.moves import State
from models.settings import Settings, load
from models.tables import Delivery, Job, Thread
from tests import alive
from tests.fakes import stub
from tests.fakes.gitea import Entry, Issue, Remark, Review
from tests.fakes.gitea.gitrepo import Files
from tests.forge_protocol import AnyGitea
from tests.halves import PATIENCE, Halves

Found = TypeVar("Found")

SECRET = "a-secret-of-the-webhook"
BOT, WRITER, READER = "kugetsu", "ada", "bob"
REPO = "acme/widgets"
FILES = {"app.py": "def first(items):\n    return items[0]\n", "README.md": "# Widgets\n"}


class World:
    """One Gitea with one repository, a person who may write, one who may not, the bot, and Kugetsu."""

    bot = BOT
    server = "gitea"
    first_name = ""
    """Of a repository that was renamed."""

    def __init__(self, root: Path, gitea: AnyGitea, **settings: str) -> None:
        self.root = root
        self.gitea = gitea
        self.repo = REPO
        gitea.user(BOT)
        gitea.repo(REPO, files=FILES, collaborators={WRITER: "write", READER: "read", BOT: "admin"})
        self.token = gitea.token_for(BOT)
        self.home = root / "kugetsu"
        self.worker_is_apart = False
        given = {
            "HOME": str(self.home),
            "GITEA_URL": gitea.url,
            "GITEA_TOKEN": self.token,
            "WEBHOOK_SECRET": SECRET,
            "AGENT_COMMAND": stub.COMMAND,
            "WEBHOOKS": "off",  # the port is not known yet, so the world makes its own
            **settings,
        }
        environ = {f"KUGETSU_{name}": value for name, value in given.items()}
        self.halves = Halves(load(environ), {"PATH": os.environ["PATH"], **environ})

    @property
    def settings(self) -> Settings:
        return self.halves.settings

    def __enter__(self) -> Self:
        self._threads = set(threading.enumerate())
        self._children = set(processes.descendants(os.getpid()))
        self.halves.start_web()
        (self.halves.start_worker_process if self.worker_is_apart else self.halves.start_worker)()
        self.gitea.hook(self.repo, f"{self.halves.url}/webhook", SECRET)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.check_nothing_else()
        finally:
            self.halves.stop_worker()
            self.halves.stop_web()
            self.gitea.stop()
        if kind is None:
            self.check_nothing_runs(self._threads, self._children)
        shutil.rmtree(self.root, ignore_errors=True)

    def rename(self, name: str) -> None:
        """Somebody gives the repository another name."""
        self.first_name = self.first_name or self.repo
        self.repo = self.gitea.rename(self.repo, name)

    def issue(self, title: str, body: str = "", by: str = WRITER) -> int:
        """Somebody opens an issue."""
        return self.gitea.open_issue(self.repo, by, title, body).number

    def label(self, issue: int, name: str, by: str = WRITER) -> None:
        """Somebody puts a label on, making it first where the repository has none of that name."""
        if name not in self.gitea.label_names(self.repo):
            self.gitea.create_label(self.repo, name, exclusive=name.startswith("kugetsu/"))
        self.gitea.label(self.repo, issue, name, by)

    def repository_says(self, text: str, by: str = WRITER) -> None:
        """Somebody puts `.kugetsu.toml` on the default branch."""
        self.gitea.push(self.repo, "main", {".kugetsu.toml": text}, by)

    def comment(self, issue: int, text: str, by: str = WRITER) -> Entry:
        """Somebody comments."""
        return self.gitea.comment(self.repo, issue, text, by)

    def pull(self, files: Files, branch: str = "topic", title: str = "A change", body: str = "") -> int:
        """Somebody pushes a branch and opens a pull request."""
        self.gitea.push(self.repo, branch, files, WRITER)
        return self.gitea.open_pull(self.repo, WRITER, branch, title=title, body=body).number

    def reviews(self, pull: int) -> list[Review]:
        """The bot's reviews of a pull request."""
        return [review for review in self.gitea.reviews_of(self.repo, pull) if review.user.login == self.bot]

    def files_on(self, issue: int) -> list[str]:
        """The names of the files attached to the bot's comments."""
        with Gitea(self.gitea.url, self.token) as client:
            comments = self.gitea.comments_of(self.repo, issue, self.bot)
            return [file.name for comment in comments for file in client.attachments(self.repo, comment.id)]

    def edit(self, comment: Entry, text: str, by: str = WRITER) -> None:
        """Somebody changes a comment."""
        self.gitea.edit_comment(self.repo, comment, text, by)

    def close(self, issue: int, by: str = WRITER) -> None:
        """Somebody closes an issue or a pull request."""
        self.gitea.close(self.repo, issue, by)

    def reopen(self, issue: int, by: str = WRITER) -> None:
        self.gitea.reopen(self.repo, issue, by)

    def merge(self, pull: int, by: str = WRITER, *, how: str = "merge", delete_branch: bool = False) -> None:
        """Somebody merges a pull request."""
        self.gitea.merge(self.repo, pull, by, how=how, delete_branch=delete_branch)

    def review(self, pull: int, body: str = "", *remarks: Remark, by: str = WRITER, state: str = "COMMENT") -> Review:
        """Somebody reviews a pull request, with remarks on its lines."""
        return self.gitea.review(self.repo, pull, by, body, remarks=remarks, state=state)

    def places(self) -> list[Path]:
        """The folders that hold an agent's work."""
        return sorted(path.parent for path in (self.home / "worktrees").glob(f"{self.server}-*/tree"))

    def said(self, issue: int, part: str = "") -> list[str]:
        """The bot's comments on the issue, all or those of one part (`live`, `result`, `answer`, `refused`)."""
        texts = [entry.body for entry in self.gitea.comments_of(self.repo, issue, self.bot)]
        return [text for text in texts if f"part={part}" in text] if part else texts

    def labels(self, issue: int) -> list[str]:
        return self.gitea.labels_of(self.repo, issue)

    def wait_until(self, seen: Callable[[], Found], what: str, timeout: float = PATIENCE) -> Found:
        """Wait for something to be seen on Gitea."""
        return self.gitea.wait_until(seen, what, timeout)

    def wait_for_reaction(self, comment: Entry, content: str) -> None:
        """The bot's reaction on a comment."""
        seen = partial(self.gitea.reactions_of, self.repo, comment)
        self.wait_until(lambda: (self.bot, content) in seen(), f"{content} on comment {comment.id}")

    def wait_for_label(self, issue: int, name: str, timeout: float = PATIENCE) -> None:
        self.wait_until(lambda: name in self.labels(issue), f"label {name} on #{issue}", timeout)

    def wait_for_result(self, issue: int, number: int = 1, timeout: float = PATIENCE) -> str:
        """The closing comment of the issue's job of that number, once all has been told."""
        self.wait_until(lambda: len(self.said(issue, "result")) >= number, f"closing comment {number}", timeout)
        self.wait_quiet(timeout)
        return self.said(issue, "result")[number - 1]

    def next_pull(self, issue: int, timeout: float = PATIENCE) -> Issue:
        """The pull request from the issue's branch."""

        def found() -> Issue | None:
            mine = [pull for pull in self.gitea.pulls_of(self.repo) if pull.pull and pull.pull.head_branch == branch]
            return mine[0] if mine else None

        branch = f"kugetsu/issue-{issue}"
        pull = self.wait_until(found, f"a pull request from {branch}", timeout)
        assert pull is not None
        return pull

    def agent_runs(self) -> list[stub.StubRun]:
        """What the stub agents wrote of themselves, oldest first."""
        return stub.runs_in(sorted((self.home / "worktrees").glob(f"{self.server}-*/home")))

    def wait_for_agents(self, count: int) -> None:
        """Until so many agents have begun, over or not."""
        self.wait_for(lambda: len(self.agent_runs()) >= count, f"{count} agents to begin")

    def agent_processes(self) -> list[int]:
        """Processes of agents, keepers included, that run now."""
        return alive.of_home(self.home)

    def agent_processes_beside_worker(self) -> list[int]:
        """As `agent_processes`, without the worker process and what it asks of git."""
        worker = self.halves.worker_pid
        return alive.beside(self.home, [worker] if worker else [])

    def session_known(self, issue: int) -> bool:
        """Whether the table holds the agent's session of this issue."""
        with self.database() as database:
            sql = "SELECT coalesce(session, pull_session) FROM thread WHERE issue = ?"
            row = database.execute_sql(sql, (issue,)).fetchone()  # type: ignore[no-untyped-call]
        return bool(row and row[0])

    def wait_for_adoption(self) -> None:
        """Until no job is held by a worker other than the one that runs now."""
        mine = f"-{self.halves.worker_pid}-"
        self.wait_for(lambda: all(mine in (job.worker or mine) for job in self.jobs()), "the job to be adopted")

    def let_go(self, issue: int, name: str) -> None:
        """Let an agent go on that waits for a file of this name in its temporary folder."""
        first_name = (self.first_name or self.repo).rpartition("/")[2]
        ends = (f"{issue}", f"{issue}-reading")
        names = [f"{self.server}-*-{first_name}-{end}" for end in ends]
        places = [place for name in names for place in (self.home / "worktrees").glob(name)]
        assert places, f"no place of #{issue}"
        for place in places:
            (place / "tmp" / name).touch()

    @contextmanager
    def database(self) -> Iterator[SqliteDatabase]:
        """The service's database, to look at."""
        database = opening.open_database(self.home / "kugetsu.db")
        with database.connection_context():
            yield database

    def jobs(self) -> list[Job]:
        """Every job, oldest first."""
        with self.database() as database:
            mine = Job.select().join(Thread).where(Thread.server == self.server)
            return list(mine.order_by(Job.id).execute(database))

    def deliveries(self) -> list[Delivery]:
        """Every stored delivery, oldest first."""
        with self.database() as database:
            mine = Delivery.select().where(Delivery.server == self.server)
            return list(mine.order_by(Delivery.id).execute(database))

    def wait_quiet(self, timeout: float = PATIENCE) -> None:
        """Until every job is done and told, every delivery sent, and no agent runs."""
        self.wait_for(lambda: all(job.state == State.DONE for job in self.jobs()), "all jobs done", timeout)
        self.gitea.settle(timeout)
        self.wait_for(self._desk_is_idle, "the desk to be idle", timeout)
        self.gitea.settle(timeout)

    def _desk_is_idle(self) -> bool:
        with self.database() as database:
            waits = (Thread.desk_wanted > Thread.desk_seen) & (Thread.server == self.server)
            return not Thread.select().where(waits).exists(database)

    def wait_for(self, seen: Callable[[], bool], what: str, timeout: float = PATIENCE) -> None:
        """Wait for something that is not on Gitea."""
        until = time.monotonic() + timeout
        while not seen():
            if time.monotonic() > until:
                states = [(job.id, job.state, job.outcome, job.error) for job in self.jobs()]
                raise AssertionError(f"waited {timeout:g} s for {what}; jobs: {states}\n{self.gitea.story()}")
            time.sleep(0.02)

    def check_nothing_else(self) -> None:
        """Every job is done, and Gitea was asked for nothing that it does not know."""
        self.wait_quiet()
        assert self.gitea.unexpected == []

    def check_nothing_runs(self, threads: set[threading.Thread], children: set[int]) -> None:
        """No thread and no process is left over beside these, which were there before."""

        def strays() -> list[str]:
            left = set(processes.descendants(os.getpid())) - children - {self.gitea.pid}
            names = [thread.name for thread in threading.enumerate() if thread not in threads]
            return [*(f"process {pid}" for pid in left), *(f"thread {name}" for name in names)]

        until = time.monotonic() + PATIENCE
        while (left := strays()) and time.monotonic() < until:
            time.sleep(0.02)
        assert not left, f"left over: {left}"
