"""What follows the first start: the service comes up, the doctor is called once, and nothing can be set up again."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models import checkups, hooks
from models.settings import load
from models.side_tables import CheckupRequest, Hook
from models.tables import Server, Worker
from tests.fakes.gitea import FakeGitea
from tests.unit.first_start import PAGE, first_start, send
from tests.unit.test_pages import BROWSER
from tests.unit.website import Website, running, settings_for
from webhook.supervisor import Supervisor

NOW = 1_782_900_000.0
BOT, REPO = "kugetsu", "acme/widgets"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Website]:
    with running(settings_for(tmp_path), clock=lambda: NOW) as website:
        yield website


def look(site: Website) -> httpx.Response:
    return site.client.get(f"{PAGE}/done", headers=BROWSER)


def asked(site: Website) -> int:
    with site.database.connection_context():
        return int(CheckupRequest.select().count(site.database))


def put_worker(site: Website) -> None:
    with site.database.connection_context():
        row = {"name": "w1", "host": "h", "pid": 1, "started_at": NOW, "seen_at": NOW, "sandbox": "bwrap"}
        Worker.insert(**row).execute(site.database)


def put_server(site: Website, *, ok: bool = True) -> None:
    with site.database.connection_context():
        Server.insert(name="gitea", url="https://g", ok=ok, problem="" if ok else "it is down").execute(site.database)
        hooks.start(site.database, ["gitea"])
        hooks.listed(site.database, "gitea", {REPO: {"remote_id": 1, "allowed": True, "rights": "admin"}}, now=NOW)


def see_to(site: Website) -> None:
    with site.database.connection_context():
        Hook.update(looked_at=NOW, state="fine").execute(site.database)


def test_the_doctor_is_called_once_and_not_before_the_webhooks_are_made(site: Website) -> None:
    text = look(site).text
    assert ("starting" in text, 'http-equiv="refresh"' in text) == (True, True)
    put_worker(site)
    put_server(site)
    assert f"The webhook of {REPO}" in look(site).text
    assert asked(site) == 0
    see_to(site)
    for _ in range(2):
        answer = look(site)
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin/doctor")
        assert asked(site) == 1


def test_where_gitea_is_down_the_doctor_says_so(site: Website) -> None:
    put_worker(site)
    put_server(site, ok=False)
    assert (look(site).status_code, asked(site)) == (303, 1)


def test_a_service_that_a_doctor_has_seen_calls_none(site: Website) -> None:
    with site.database.connection_context():
        checkups.ask(site.database, REPO, "ada", now=NOW)
    assert (look(site).headers["location"], asked(site)) == ("/admin/doctor", 1)


def test_nothing_can_be_set_up_again(site: Website) -> None:
    answer = site.client.get(PAGE, headers=BROWSER)
    assert (answer.status_code, "the first start is over" in answer.text.lower()) == (410, True)


def test_who_has_set_it_up_is_signed_in(tmp_path: Path) -> None:
    """Where the pages ask for a token from then on."""
    with FakeGitea(tmp_path / "gitea") as gitea, first_start(tmp_path, HOST="0.0.0.0") as start:
        gitea.user(BOT)
        with start.entered() as client:
            send(client, "gitea", url=gitea.url, token=gitea.token_for(BOT))
            assert send(client, "finish", which="all", public_url="http://kugetsu.example.com").status_code == 200
            cookies = dict(client.cookies)
    settings = load({**start.environ, "KUGETSU_HOST": "127.0.0.1", "KUGETSU_PORT": "0"})
    with running(settings) as site:
        assert look(site).headers["location"].startswith("/admin/signin")
        site.client.cookies.update(cookies)
        assert look(site).status_code == 200


def test_another_address_in_the_new_settings_is_listened_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(Supervisor, "_start", lambda _, name: started.append(name))
    environ = {"KUGETSU_HOME": str(tmp_path), "KUGETSU_PORT": "0", "KUGETSU_PUBLIC_URL": "http://localhost"}
    supervisor = Supervisor(load(environ), environ)
    supervisor._begin()
    before = supervisor._listening.getsockname()
    supervisor._begin()
    assert supervisor._listening.getsockname() == before, "nobody is turned away meanwhile"
    (tmp_path / "kugetsu.toml").write_text("host = '127.0.0.2'\n")
    supervisor._begin()
    host, port = supervisor._listening.getsockname()
    supervisor._listening.close()
    assert (host, port > 0, started) == ("127.0.0.2", True, ["worker", "web"] * 3)
