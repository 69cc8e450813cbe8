"""What the compose file does at its first start leaves a real Gitea and a Kugetsu that find each other."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.settings import load
from tests.conftest import GITEA_BIN
from tests.deploy.test_units import answers, checks, started, wait_for
from tests.ports import free_port
from tests.real.server import GiteaServer

INIT = Path(__file__).parents[2] / "deploy/compose/gitea-init.sh"
BOSS, BOT = "boss", "kugetsu"


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[GiteaServer]:
    """One of its own: the script makes accounts that other tests have otherwise."""
    with GiteaServer(Path(GITEA_BIN), tmp_path / "gitea") as server:
        yield server


def initialise(gitea: GiteaServer, settings: Path, kugetsu: str) -> subprocess.CompletedProcess[str]:
    """Run the script as the compose file does, with Gitea's command as its image has it: it knows its settings."""
    command = settings.with_name("gitea")
    command.write_text(f'#!/bin/sh\nexec {GITEA_BIN} --config {gitea.root}/app.ini "$@"\n')
    command.chmod(0o755)
    environ = {
        "PATH": f"{settings.parent}:{os.environ['PATH']}",
        "HOME": str(gitea.root),
        "GITEA_WORK_DIR": str(gitea.root),
        "GITEA_ADMIN": BOSS,
        "GITEA_BOT": BOT,
        "GITEA_URL": gitea.url,
        "KUGETSU_URL": kugetsu,
        "SETTINGS": str(settings),
    }
    return subprocess.run(["/bin/sh", str(INIT)], env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_a_new_gitea_and_kugetsu_find_each_other(gitea: GiteaServer, tmp_path: Path) -> None:
    settings = tmp_path / "handover" / "kugetsu.toml"
    settings.parent.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    done = initialise(gitea, settings, url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert settings.stat().st_mode & 0o777 == 0o600
    read = load({"HOME": str(tmp_path), "KUGETSU_CONFIG": str(settings)})
    assert (read.gitea_url, read.public_url) == (gitea.url, url)

    again = initialise(gitea, settings, url)
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True)

    assert read.gitea_token is not None
    as_bot = {"Authorization": f"token {read.gitea_token.get_secret_value()}"}
    with httpx.Client(base_url=f"{gitea.url}/api/v1", trust_env=False) as client:
        me = client.get("/user", headers=as_bot).json()
        assert (me["login"], me["is_admin"]) == (BOT, False)
        password = done.stdout.split("changed then:\n")[1].split()[0]
        refused = client.get("/user", auth=(BOSS, password))
        assert (refused.status_code, "must change your password" in refused.text) == (403, True)
    assert sign_in_page(gitea, read.oauth_client_id, url).status_code == 303

    gitea.admin.api("POST", "/user/repos", {"name": "widgets", "auto_init": True})
    owner = gitea.admin.api("GET", "/user")["login"]
    gitea.admin.api("PUT", f"/repos/{owner}/widgets/collaborators/{BOT}", {"permission": "admin"})
    handed = {"KUGETSU_CONFIG": str(settings), "KUGETSU_PORT": str(port), "KUGETSU_RECONCILE_INTERVAL": "1s"}
    with (
        started("kugetsu-web.service", tmp_path, **handed) as (log, _),
        started("kugetsu-worker.service", tmp_path, **handed) as (log_of_work, _),
    ):
        wait_for(lambda: answers(f"{url}/healthz") == 200, "the HTTP side", log)
        wait_for(lambda: checks(url).get("gitea"), "Gitea to be seen", log_of_work)
        hooks = f"/repos/{owner}/widgets/hooks"
        wait_for(lambda: gitea.admin.api("GET", hooks), "the webhook", log_of_work)
        (hook,) = gitea.admin.api("GET", hooks)
        assert hook["config"]["url"] == f"{url}/webhook"


def sign_in_page(gitea: GiteaServer, client_id: str | None, url: str) -> httpx.Response:
    """What Gitea says to a browser that comes to sign in: to the login form, as it knows the application."""
    asked = {"client_id": client_id, "redirect_uri": f"{url}/admin/signin/callback", "response_type": "code"}
    return httpx.get(f"{gitea.url}/login/oauth/authorize", params={**asked, "state": "x"}, trust_env=False)
