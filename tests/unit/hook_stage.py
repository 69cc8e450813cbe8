"""Webhooks on a stage: a fake Gitea, the HTTP side that it calls, and the desk's care, which looks when told to."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.hook_care import HookCare
from jobs.known_secrets import secrets_of
from jobs.queue import Bells
from jobs.redact import Redactor
from jobs.servers import Forges
from jobs.wiring import Wiring
from models import hooks
from models.hook_keys import repository_scope, secret_for
from models.settings import Settings
from models.side_tables import Hook as Row
from models.tables import Delivery
from tests.fakes.gitea import FakeGitea, Hook
from tests.fakes.gitea.places import BOT_SCOPES
from tests.ports import free_port
from tests.unit.website import Website, running, settings_for

BOT, REPO = "kugetsu", "acme/widgets"
SECRET = "a-secret-of-the-webhook"
START = 1_782_900_000.0


@dataclass
class Stage:
    """The fake Gitea has one repository, whose administrator the bot is."""

    folder: Path
    gitea: FakeGitea
    scopes: tuple[str, ...] = BOT_SCOPES
    now: float | None = START
    token: str = ""
    port: int = 0
    given: dict[str, str] = field(default_factory=dict)

    def clock(self) -> float:
        """Seconds since the epoch: as the test has set them, or (None) the real ones."""
        return time.time() if self.now is None else self.now

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/webhook"

    def settings(self, **changed: str) -> Settings:
        """The settings of the service, with these changed."""
        mine = {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "GITEA_URL": self.gitea.url,
            "GITEA_TOKEN": self.token,
            "WEBHOOK_SECRET": SECRET,
        }
        return settings_for(self.folder / "home", **{**mine, **self.given, **changed})

    @contextmanager
    def service(self, **changed: str) -> Iterator["Service"]:
        """The service, from its start to its end."""
        settings = self.settings(**changed)
        with ExitStack() as stack:
            site = stack.enter_context(running(settings, clock=self.clock))
            bells = Bells(settings.home / "queue.db")
            stack.callback(bells.close)
            forges = Forges(settings.servers, site.database)
            stack.callback(forges.close)
            redactor = Redactor(secrets_of(settings))
            parts = {"settings": settings, "db": site.database, "bells": bells, "forges": forges}
            wiring = Wiring(**parts, redactor=redactor, worker="w", clock=self.clock)  # type: ignore[arg-type]
            yield Service(self, site, HookCare(wiring))

    def secret(self, set_here: str = SECRET, repo: str = REPO) -> str:
        """With which the webhook of a repository is made."""
        return secret_for(set_here, repository_scope(self.gitea.forge.state.repo(repo).id))

    def hooks(self, repo: str = REPO) -> list[Hook]:
        return self.gitea.forge.state.repo(repo).hooks


@dataclass
class Service:
    """A running service on the stage, and what its administrator sees and does."""

    stage: Stage
    site: Website
    care: HookCare

    def begin(self) -> None:
        """A worker starts and sees to all that is due."""
        with self.site.database.connection_context():
            self.care.start()
        self.look()

    def look(self, later: float = 0.0) -> None:
        """So many seconds later the desk sees to what is due; then what Gitea has to send has been sent."""
        self.stage.now = self.stage.clock() + later if later else self.stage.now
        with self.site.database.connection_context():
            while self.care.look():
                pass
        self.stage.gitea.settle()

    def repos(self) -> dict[str, dict[str, Any]]:
        """GET /admin/repos, by name."""
        answer = self.site.client.get("/admin/repos")
        assert answer.status_code == 200, answer.text
        return {row["repo"]: row for row in answer.json()["repos"]}

    def state(self, repo: str = REPO) -> str:
        return str(self.repos()[repo]["webhook"]["state"])

    def problem(self, repo: str = REPO) -> str:
        return str(self.repos()[repo]["webhook"]["problem"])

    def ask(self, repo: str = REPO, **body: object) -> int:
        """POST /admin/repos/OWNER/REPO/webhook; the HTTP status."""
        return self.site.client.post(f"/admin/repos/{repo}/webhook", json=body).status_code

    def miss(self, repo: str = REPO) -> None:
        """Something is asked there, no webhook tells of it, and it is found by looking."""
        row = {"server": "gitea", "repo": repo, "source": "reconcile", "verdict": "accepted", "detail": "code"}
        empty = {"uuid": "", "event_type": "label", "headers": "{}", "body": "{}"}
        with self.site.database.connection_context():
            Delivery.insert(**row, **empty, received_at=self.stage.clock()).execute(self.site.database)

    def row(self, place: str = REPO) -> Row:
        with self.site.database.connection_context():
            found = hooks.row_of(self.site.database, "gitea", place)
        assert found is not None
        return found


MakeStage = Callable[..., Stage]


@contextmanager
def staged(folder: Path, *, scopes: tuple[str, ...] = BOT_SCOPES, **fake: Any) -> Iterator[Stage]:
    """A stage of its own; `fake` says what the fake Gitea is like."""
    (folder / "home").mkdir()
    with FakeGitea(folder / "gitea", **fake) as gitea:
        gitea.user(BOT)
        gitea.repo(REPO, files={"app.py": "print()\n"}, collaborators={BOT: "admin", "ada": "write"})
        stage = Stage(folder, gitea, scopes, port=free_port())
        stage.token = gitea.token_for(BOT, scopes)
        yield stage
        assert gitea.unexpected == []
