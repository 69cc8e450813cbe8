"""A real Gitea as a process of the tests: its settings, its start and end, and what only its owner can do."""

import getpass
import os
import secrets
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.ports import free_port
from tests.real.seat import Seat

ADMIN = "site-admin"
START_SECONDS, STOP_SECONDS = 60.0, 30.0
TICK_SECONDS = 0.05
SHOWN_LOG = 3000

# Everything on loopback, nothing that calls out, passwords hashed cheaply: the people here log in all the time.
# What is of no interest here is done at once; what a bot notices to come late still does.
SETTINGS = """\
RUN_USER = {user}
RUN_MODE = prod
WORK_PATH = {root}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = {is_root}

[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
DOMAIN = 127.0.0.1
ROOT_URL = {url}/
LOCAL_ROOT_URL = {url}/
DISABLE_SSH = true
OFFLINE_MODE = true

[database]
DB_TYPE = sqlite3
PATH = {database}
SQLITE_JOURNAL_MODE = WAL

[repository]
ROOT = {repositories}

[security]
INSTALL_LOCK = true
SECRET_KEY = a-key-of-the-tests
INTERNAL_TOKEN = {internal_token}
PASSWORD_COMPLEXITY = off
MIN_PASSWORD_LENGTH = 6
PASSWORD_HASH_ALGO = pbkdf2$1000$50

[service]
DISABLE_REGISTRATION = true

[webhook]
ALLOWED_HOST_LIST = loopback

[session]
PROVIDER = memory

[queue]
TYPE = immediate

[queue.push_update]
TYPE = channel

[queue.webhook_sender]
TYPE = channel

[queue.pr_patch_checker]
TYPE = channel

[indexer]
ISSUE_INDEXER_TYPE = db

[actions]
ENABLED = false

[packages]
ENABLED = false

[cron]
ENABLED = false

[cron.update_checker]
ENABLED = false

[log]
MODE = console
LEVEL = Warn
logger.router.MODE =
ROOT_PATH = {root}/log
"""


class GiteaServer:
    """Runs the binary in a folder of its own; many tests may use one server, one after the other."""

    def __init__(self, binary: Path, root: Path) -> None:
        self._binary = binary
        self.root = root
        self.database = root / "gitea.db"
        self.repositories = root / "repositories"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._internal_token = secrets.token_hex(32)
        self._seats: dict[str, Seat] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True)
        self._config.write_text(self._settings())
        try:
            self.up()
            self._make_admin()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def pid(self) -> int | None:
        """Of its process, where it runs."""
        return self._process.pid if self._process else None

    def up(self) -> None:
        """Have it run (again), always on the same port."""
        if self._process is not None:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv("web"), env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait_until_up()
        for seat in self._seats.values():
            seat.lose_session()

    def down(self) -> None:
        """End it, until `up`."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def admin(self) -> Seat:
        """The administrator of the site, who sets the scene for the tests."""
        return self.seat(ADMIN)

    def seat(self, login: str) -> Seat:
        """The way of a person to the server, made once for each."""
        key = login.lower()
        if key not in self._seats:
            self._seats[key] = Seat(self.url, login)
        return self._seats[key]

    def flush(self, timeout: float) -> None:
        """Works off the server's queues, which hold pushes not yet looked at and webhooks not yet sent.

        Raises AssertionError when that takes longer than `timeout` seconds.
        """
        answer = httpx.post(
            f"{self.url}/api/internal/manager/flush-queues",
            json={"Timeout": int(timeout * 1e9)},
            headers={"X-Gitea-Internal-Auth": f"Bearer {self._internal_token}"},
            timeout=timeout + 5,
            trust_env=False,
        )
        assert answer.is_success, f"the queues were not worked off in {timeout:g} s: {answer.text}"

    def log(self) -> str:
        """What the server wrote: warnings and errors."""
        return self._log.read_text(errors="replace")

    @property
    def _config(self) -> Path:
        return self.root / "app.ini"

    @property
    def _log(self) -> Path:
        return self.root / "server.log"

    def _settings(self) -> str:
        return SETTINGS.format(
            user=getpass.getuser(),
            root=self.root,
            is_root=str(os.geteuid() == 0).lower(),
            port=self.url.rpartition(":")[2],
            url=self.url,
            database=self.database,
            repositories=self.repositories,
            internal_token=self._internal_token,
        )

    def _argv(self, *command: str) -> list[str]:
        return [str(self._binary), *command, "--config", str(self._config)]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "GITEA_WORK_DIR": str(self.root),
        }

    def _wait_until_up(self) -> None:
        until = time.monotonic() + START_SECONDS
        while not self._is_up():
            ended = self._process is not None and self._process.poll() is not None
            if ended or time.monotonic() > until:
                raise AssertionError(f"Gitea did not start; it wrote:\n{self.log()[-SHOWN_LOG:]}")
            time.sleep(TICK_SECONDS)

    def _is_up(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/healthz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _make_admin(self) -> None:
        """The first person comes from the command line: nobody is there yet who could let them in."""
        who = ["--username", ADMIN, "--password", self.admin.password, "--email", self.admin.email]
        argv = self._argv("admin", "user", "create", "--admin", "--must-change-password=false", *who)
        done = subprocess.run(argv, env=self._environment(), capture_output=True, timeout=START_SECONDS, check=False)
        assert done.returncode == 0, f"no administrator: {done.stdout!r} {done.stderr!r}"

    def _stop(self) -> None:
        for seat in self._seats.values():
            seat.close()
        self.down()
