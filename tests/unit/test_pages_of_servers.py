"""The admin side where two servers have a repository of the same name: everything says which, and nobody sees more."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models import hooks, spending
from models.side_tables import Hook, Spending
from models.tables import Repo
from tests.fakes.gitea import FakeGitea
from tests.unit.deliveries import recorded
from tests.unit.test_jobs_pages import ask
from tests.unit.test_pages import page
from tests.unit.test_signin import browser_at, come_back, sent_to
from tests.unit.website import Website, running, settings_for
from webhook import viewing
from webhook.oauth import CALLBACK

PUBLIC = "http://kugetsu.example.com"
OTHER = """
[servers.codeberg]
url = "https://codeberg.example.com"
token = "another-token"
webhook_secret = "another-secret"
"""


@pytest.fixture(scope="module")
def gitea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGitea]:
    """The default server, on which ada may write to acme/widgets."""
    with FakeGitea(tmp_path_factory.mktemp("gitea")) as made:
        made.repo("acme/widgets", files={}, collaborators={"ada": "write"})
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, gitea: FakeGitea) -> Iterator[Website]:
    """A service with two servers: job 1 is of the default one, job 2 and the broken webhook are of the other."""
    home = tmp_path_factory.mktemp("home")
    (home / "kugetsu.toml").write_text(OTHER)
    app = gitea.oauth.register("Kugetsu", PUBLIC + CALLBACK)
    oauth = {"OAUTH_CLIENT_ID": app.id, "OAUTH_CLIENT_SECRET": app.secret, "ADMIN_TOKEN": "of-the-admin"}
    with running(settings_for(home, GITEA_URL=gitea.url, PUBLIC_URL=PUBLIC, **oauth)) as website:
        for server in ("gitea", "codeberg"):
            ask(website, 7, server=server)
            with website.database.connection_context():
                row = hooks.ensure(website.database, server, "acme/widgets")
                Hook.update(state="missing", problem="there is none").where(Hook.id == row.id).execute(website.database)
        website.client.headers["Authorization"] = "Bearer of-the-admin"
        yield website


@pytest.fixture
def ada(site: Website, gitea: FakeGitea) -> Iterator[httpx.Client]:
    """The browser of somebody who has signed in with the default server."""
    with browser_at(site) as client:
        _, asked = sent_to(client.get("/admin/signin/gitea"))
        sent_to(client.get(come_back(gitea, asked, "ada")))
        yield client


def words(site: Website, path: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", "", page(site, path)).split())


@pytest.mark.parametrize("path", ["/admin", "/admin/jobs", "/admin/deliveries"])
def test_each_row_names_its_server(site: Website, path: str) -> None:
    text = words(site, path)
    assert "gitea acme/widgets" in text
    assert "codeberg acme/widgets" in text


def test_a_single_server_is_not_named(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as site:
        ask(site, 7)
        text = words(site, "/admin/jobs")
    assert "gitea acme/widgets" not in text
    assert "Server" not in text


@pytest.mark.parametrize(("server", "number"), [("gitea", 1), ("codeberg", 2)])
def test_jobs_and_deliveries_are_narrowed_down_to_a_server(site: Website, server: str, number: int) -> None:
    jobs = site.client.get("/admin/jobs", params={"server": server, "repo": "acme/widgets"}).json()["jobs"]
    assert [(job["id"], job["server"]) for job in jobs] == [(number, server)]
    deliveries = site.client.get("/admin/deliveries", params={"server": server}).json()["deliveries"]
    assert [row["server"] for row in deliveries] == [server]
    assert f"<option selected>{server}</option>" in page(site, f"/admin/jobs?server={server}")


def test_what_repositories_cost_is_told_by_server(site: Website) -> None:
    with site.database.connection_context():
        for row in Repo.select().execute(site.database):
            day = spending.day_of(time.time())
            Spending.insert(repo=row.id, day=day, tokens=1, cost=1.0).execute(site.database)
    text = words(site, "/admin/charts")
    assert "gitea acme/widgets" in text
    assert "codeberg acme/widgets" in text


def test_what_is_wrong_names_the_server(site: Website) -> None:
    assert "Acme/widgets on codeberg: its webhook is not right" in words(site, "/admin")


def test_a_webhook_is_asked_for_on_one_of_them(site: Website) -> None:
    address = "/admin/repos/acme/widgets/webhook"
    unclear = site.client.post(address)
    assert (unclear.status_code, unclear.json()["error"]) == (
        409,
        'acme/widgets is on several servers; right would be {"server": NAME} with one of codeberg, gitea',
    )
    unknown = site.client.post(address, json={"server": "github"})
    assert (unknown.status_code, unknown.json()["error"]) == (
        404,
        "there is no server 'github'; there are codeberg, gitea",
    )
    told = site.client.post(address, json={"server": "codeberg"})
    assert (told.status_code, told.json()["server"]) == (202, "codeberg")
    with site.database.connection_context():
        wished = {row.server: row.wish for row in hooks.named(site.database, "acme/widgets")}
    assert wished == {"codeberg": "made", "gitea": ""}


def test_the_button_of_the_page_means_the_server_of_its_row(site: Website) -> None:
    forms = re.findall(
        r'<form[^>]*action="/admin/repos/acme/widgets/webhook">(.*?)</form>', page(site, "/admin/repos"), re.DOTALL
    )
    assert sorted(re.findall(r'name="server" value="([^"]*)"', " ".join(forms))) == ["codeberg", "gitea"]


def test_who_may_write_on_one_server_neither_sees_nor_steers_the_other(site: Website, ada: httpx.Client) -> None:
    assert [job["server"] for job in ada.get("/admin/jobs", headers={"Accept": "application/json"}).json()["jobs"]] == [
        "gitea"
    ]
    assert ada.get("/admin/jobs/1").status_code == 200
    text = ada.get("/admin").text
    csrf = re.search(r'name="csrf" value="([^"]+)"', ada.get("/admin/jobs/1").text)
    assert csrf is not None
    for path in ("", "/log", "/prompt", "/diff", "/steps", "/output?at=1"):
        assert ada.get(f"/admin/jobs/2{path}").status_code == 404, path
    for path in ("/admin/deliveries/2", "/admin/deliveries/2/body"):
        assert ada.get(path).status_code == 404
    for path in ("/admin/jobs/2/cancel", "/admin/jobs/2/retry", "/admin/deliveries/2/replay"):
        headers = {"Origin": str(ada.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        answer = ada.post(path, data={"csrf": csrf[1]}, headers=headers)
        assert answer.status_code == 404, path
    for address in ("/admin/jobs?server=codeberg", "/admin/deliveries?server=codeberg", "/admin/repos"):
        assert "codeberg acme" not in re.sub(r"<[^>]*>", "", ada.get(address).text)
    assert "codeberg acme" not in re.sub(r"<[^>]*>", "", text)
    repos = ada.get("/admin/repos", headers={"Accept": "application/json"}).json()["repos"]
    assert [row["server"] for row in repos] == ["gitea"]
    assert site.client.get("/admin/jobs/2").json()["state"] == "queued"


def test_without_the_look_at_the_server_the_other_job_would_be_seen(
    ada: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing, "DEFAULT_SERVER", AnyServer())
    assert ada.get("/admin/jobs/2").status_code == 200


class AnyServer:
    """Is the name of every server."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, _: object) -> bool:
        return True


def test_the_same_person_may_where_the_job_is_of_the_default_server(ada: httpx.Client) -> None:
    csrf = re.search(r'name="csrf" value="([^"]+)"', ada.get("/admin/jobs/1").text)
    assert csrf is not None
    headers = {"Origin": str(ada.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    answer = ada.post("/admin/jobs/1/priority", data={"csrf": csrf[1], "priority": "high"}, headers=headers)
    assert answer.status_code == 303, answer.text


def test_a_delivery_is_held_against_the_patterns_of_its_own_server(tmp_path: Path) -> None:
    (tmp_path / "kugetsu.toml").write_text(f'{OTHER}repos = ["me/*"]')
    comment = recorded()["issue_comment-created"]
    with running(settings_for(tmp_path)) as site:
        details = [
            site.deliver(comment.body, path=path, key=key).json()["detail"]
            for path, key in (("/webhook", None), ("/webhook/codeberg", "another-secret"))
        ]
        replayed = site.client.post("/admin/deliveries/2/replay").json()["detail"]
    assert "not among the repositories" not in details[0]
    assert "not among the repositories" in details[1]
    assert replayed == details[1]
