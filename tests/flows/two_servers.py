"""One Kugetsu between a Gitea and a Forgejo that have a repository, issues and people of the same names."""

import os
import threading
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx

from jobs import processes
from jobs.doctor.examine import Examination
from models.checkup import Checkup
from models.settings import load
from tests.fakes import stub
from tests.fakes.gitea import FakeGitea, Hook
from tests.halves import Halves
from tests.ports import free_port
from tests.world import FILES, READER, REPO, WRITER, World


class Side(World):
    """What people do and see on one of the servers. Ada may write here, and bob may not, unless `people` says so."""

    gitea: FakeGitea

    def __init__(self, name: str, gitea: FakeGitea, root: Path, bot: str, people: dict[str, Any]) -> None:
        self.server, self.gitea, self.root, self.bot = name, gitea, root, bot
        self.repo, self.home = REPO, root / "kugetsu"
        self.secret = f"the-secret-of-the-webhooks-of-{name}"
        gitea.user(bot)
        gitea.repo(REPO, files=FILES, collaborators={**people, bot: "admin"})

    @property
    def address(self) -> str:
        """Where its webhooks should go."""
        return f"{self.halves.settings.public_url}/webhook" + ("" if self.server == "gitea" else f"/{self.server}")

    def hooks(self) -> list[Hook]:
        return self.gitea.forge.state.repo(self.repo).hooks

    def everything_said(self) -> str:
        """All that the bot has written here: comments, titles, pull requests, the log of the branches."""
        issues = self.gitea.issues_of(self.repo) + self.gitea.pulls_of(self.repo)
        comments = [text for issue in issues for text in self.said(issue.number)]
        commits = [
            each.message for name in self.gitea.branches_of(self.repo) for each in self.gitea.log(self.repo, name)
        ]
        mine = [text for issue in issues if issue.user.login == self.bot for text in (issue.title, issue.body)]
        return "\n".join([*comments, *commits, *mine])


class TwoServers:
    """Kugetsu, whose webhooks make themselves, and its two servers. `one` is the default server."""

    def __init__(self, root: Path, gitea: FakeGitea, forgejo: FakeGitea, toml: str = "", **settings: str) -> None:
        self.one = Side("gitea", gitea, root, "kugetsu", {WRITER: "write", READER: "read"})
        self.other = Side("forgejo", forgejo, root, "helper", {WRITER: "read", READER: "write"})
        self.sides = (self.one, self.other)
        self.one.token = gitea.token_for(self.one.bot)
        while (token := forgejo.token_for(self.other.bot)) in gitea.forge.state.tokens:
            pass  # the numbers of all else are the same on both
        self.other.token = token
        self.port = free_port()
        self._write(toml)
        given = {
            "HOME": str(root / "kugetsu"),
            "PORT": str(self.port),
            "GITEA_URL": gitea.url,
            "GITEA_TOKEN": self.one.token,
            "WEBHOOK_SECRET": self.one.secret,
            "AGENT_COMMAND": stub.COMMAND,
            **settings,
        }
        self.environ = {"PATH": os.environ["PATH"], **{f"KUGETSU_{name}": text for name, text in given.items()}}
        self.halves = Halves(load(self.environ), self.environ)
        self.halves.listen_on(self.port)
        self.one.halves = self.other.halves = self.halves

    def _write(self, toml: str) -> None:
        other = self.other
        table = {"url": other.gitea.url, "token": other.token, "webhook_secret": other.secret}
        lines = [f'{key} = "{value}"' for key, value in table.items()]
        other.home.mkdir()
        (other.home / "kugetsu.toml").write_text("\n".join(["[servers.forgejo]", *lines, toml]))

    def __enter__(self) -> Self:
        self._threads, self._children = set(threading.enumerate()), set(processes.descendants(os.getpid()))
        self.halves.start_web()
        self.halves.start_worker()
        for side in self.sides:
            side.wait_until(partial(getattr, side.gitea, "deliveries"), f"the test delivery of {side.server}")
        self.one.wait_for(self.are_well, "both servers to be known")
        return self

    def are_well(self) -> bool:
        """Whether a worker has seen both."""
        return all(row["ok"] for row in self.get("/admin/status").json()["gitea"].values())

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                for side in self.sides:
                    side.check_nothing_else()
        finally:
            self.halves.stop_worker()
            self.halves.stop_web()
            for side in self.sides:
                side.gitea.stop()
        if kind is None:
            self.one.check_nothing_runs(self._threads, self._children)

    def get(self, path: str, *, page: bool = False) -> httpx.Response:
        """What somebody on this machine is shown."""
        return httpx.get(f"{self.halves.url}{path}", headers={"Accept": "text/html"} if page else {}, trust_env=False)

    def examine(self, repo: str = "") -> Checkup:
        """What the doctor says."""
        return Examination(load(self.environ), self.environ, repo).run()
