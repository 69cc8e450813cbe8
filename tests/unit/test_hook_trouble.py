"""Webhooks that do not arrive: Gitea is down, may not call us, or has another secret; and how that is seen."""

from pathlib import Path

from jobs.hook_care import LOOK_SECONDS, TEST_SECONDS
from models.tables import Server
from tests.unit.hook_stage import BOT, REPO, Service, Stage, staged

LATER = LOOK_SECONDS + 1


def test_gitea_is_down_for_a_while(stage: Stage, service: Service) -> None:
    stage.hooks().clear()
    stage.gitea.down()
    service.look(LATER)
    stage.gitea.up()
    service.look(LATER)
    assert (len(stage.hooks()), service.state()) == (1, "fine")


def test_a_test_delivery_that_gitea_will_not_send_is_seen(tmp_path: Path) -> None:
    with staged(tmp_path, allowed_hosts="external") as stage, stage.service() as service:
        service.begin()
        service.look(TEST_SECONDS)
        assert service.state() == "failing"
        assert "ALLOWED_HOST_LIST = external, loopback" in service.problem()
        assert service.repos()[REPO]["webhook"]["cure"].endswith(f"/settings/hooks/{stage.hooks()[0].id}")
        stage.gitea.forge.webhooks.allowed_hosts = "*"
        stage.gitea.push(REPO, "main", {"a": "b"}, "ada")
        stage.gitea.settle()
        service.look(LATER)
        assert service.state() == "fine"


def test_a_webhook_that_misses_what_is_asked_fails_until_something_comes_in(stage: Stage, service: Service) -> None:
    service.look(TEST_SECONDS)
    service.miss()
    service.look(LATER)
    assert (service.state(), "1 of what was asked" in service.problem()) == ("failing", True)
    stage.gitea.push(REPO, "main", {"a": "b"}, "ada")
    stage.gitea.settle()
    service.look(LATER)
    assert (service.state(), service.problem()) == ("fine", "")


def test_one_of_an_unknown_secret_that_misses_what_is_asked_is_made_anew(stage: Stage) -> None:
    old = stage.gitea.hook(REPO, stage.address, "typed wrong")
    with stage.service() as service:
        service.begin()
        assert stage.hooks() == [old]
        service.miss()
        service.look(LATER)
        service.look(TEST_SECONDS)
        assert [(hook.secret, hook.id != old.id) for hook in stage.hooks()] == [(stage.secret(), True)]
        assert service.state() == "fine"


def test_a_wrong_secret_is_seen_and_mended_on_request(stage: Stage) -> None:
    stage.gitea.hook(REPO, stage.address, "typed wrong")
    with stage.service(WEBHOOKS="manual") as service:
        service.begin()
        assert service.state() == "fine", "Gitea tells nobody the secret"
        service.ask()
        service.look()
        service.look(TEST_SECONDS)
        assert [hook.secret for hook in stage.hooks()] == [stage.secret()]
        stage.hooks()[0].secret = "changed by hand"
        service.ask()
        service.look()
        service.look(TEST_SECONDS)
        assert service.state() == "failing"
        assert "does not match" in service.problem()


def test_a_repository_without_commits_cannot_be_tested_and_is_fine(stage: Stage) -> None:
    stage.gitea.repo("acme/empty", collaborators={BOT: "admin"})
    with stage.service() as service:
        service.begin()
        service.look(TEST_SECONDS)
        assert (len(stage.hooks("acme/empty")), service.state("acme/empty")) == (1, "fine")
        assert service.row("acme/empty").tested_at is None
        stage.gitea.open_issue("acme/empty", "ada", "Hello")
        service.ask("acme/empty")
        service.look()
        assert "issue_label" in [row.event_type for row in service.site.stored() if row.repo == "acme/empty"]


def test_a_server_that_is_known_to_be_down_is_left_alone(stage: Stage, service: Service) -> None:
    with service.site.database.connection_context():
        Server.insert(name="gitea", url="x", ok=False).execute(service.site.database)
    asked = len(stage.gitea.requests)
    service.look(LATER)
    assert len(stage.gitea.requests) == asked
