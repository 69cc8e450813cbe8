"""One webhook of an organisation or of the server instead of one for each repository."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.hook_care import LIST_SECONDS, LOOK_SECONDS
from models.hook_keys import organization_scope, secret_for
from tests.fakes.gitea.places import BOT_SCOPES
from tests.unit.hook_stage import BOT, REPO, SECRET, Service, Stage, staged

LATER = LOOK_SECONDS + 1
ORG_SCOPES = (*BOT_SCOPES, "write:organization")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def test_one_webhook_of_the_organisation_does_for_all_its_repositories(tmp_path: Path) -> None:
    with staged(tmp_path, scopes=ORG_SCOPES) as stage:
        with stage.service() as service:
            service.begin()
            assert len(stage.hooks()) == 1, "the bot owns no organisation yet"
        stage.gitea.org("acme", owners=[BOT])
        stage.gitea.repo("acme/gadgets", files={"a": "b"})
        stage.gitea.repo("bert/own", files={"a": "b"}, collaborators={BOT: "admin"})
        with stage.service() as service:
            service.begin()
            (hook,) = stage.gitea.forge.state.org_hooks["acme"]
            assert (hook.url, hook.secret, hook.active) == (
                stage.address,
                secret_for(SECRET, organization_scope("acme")),
                True,
            )
            assert [len(stage.hooks(name)) for name in (REPO, "acme/gadgets", "bert/own")] == [0, 0, 1]
            assert service.repos()[REPO]["webhook"]["of"] == "organization"
            stage.gitea.push("acme/gadgets", "main", {"a": "c"}, BOT)
            stage.gitea.settle()
            assert [row.repo for row in service.site.stored() if row.event_type == "push"][-1] == "acme/gadgets"
            assert service.ask(remove=True) == 409
        with stage.service(REPOS="*,!acme/secret") as service:
            service.begin()
            assert stage.gitea.forge.state.org_hooks["acme"] == [], "it would tell of what may not be told of"
            assert [len(stage.hooks(name)) for name in (REPO, "acme/gadgets", "bert/own")] == [1, 1, 1]


def test_an_organisation_whose_webhooks_cannot_be_seen_for_a_while_keeps_no_other_waiting(tmp_path: Path) -> None:
    with staged(tmp_path, scopes=ORG_SCOPES) as stage:
        stage.gitea.org("acme", owners=[BOT])
        stage.gitea.repo("bert/own", files={"a": "b"}, collaborators={BOT: "admin"})
        broken = stage.gitea.fail("GET /api/v1/orgs/acme/hooks", 500, times=None)
        with stage.service() as service:
            service.begin()
            assert len(stage.hooks("bert/own")) == 1
            assert (len(stage.hooks()), service.state()) == (1, "fine"), "one of its own, as long as that is not known"
            broken.cancel()
            service.look(LIST_SECONDS + 1)
            assert len(stage.gitea.forge.state.org_hooks["acme"]) == 1
            assert (stage.hooks(), service.state()) == ([], "fine")
            broken = stage.gitea.fail("GET /api/v1/orgs/acme/hooks", 500, times=None)
            service.look(LIST_SECONDS + 1)
            service.look(LATER)
            assert (stage.hooks(), service.state()) == ([], "fine"), "what was known of it holds meanwhile"
            broken.cancel()


def test_one_webhook_of_the_server_does_for_everything(tmp_path: Path) -> None:
    with staged(tmp_path, scopes=("all",)) as stage:
        stage.gitea.user(BOT).is_admin = True
        theirs = stage.gitea.hook("acme", "http://127.0.0.1:9/ci", "x", ["push"])
        with stage.service() as service:
            service.begin()
            (hook,) = stage.gitea.forge.state.admin_hooks
            assert (hook.target, hook.url) == ("system", stage.address)
            assert (stage.hooks(), stage.gitea.forge.state.org_hooks["acme"]) == ([], [theirs])
            service.look(LATER)
            assert len(stage.gitea.forge.state.admin_hooks) == 1


def test_a_wider_webhook_that_the_bot_may_not_see_is_known_by_its_deliveries(stage: Stage) -> None:
    stage.gitea.hook("acme", stage.address, SECRET)
    with stage.service(WEBHOOKS="manual") as service:
        stage.gitea.push(REPO, "main", {"a": "b"}, "ada")
        stage.gitea.settle()
    with stage.service() as service:
        service.begin()
        assert (stage.hooks(), service.state()) == ([], "fine")
        assert service.repos()[REPO]["webhook"]["of"] == "organization"
        service.look(LATER)
        service.miss()
        service.look(LATER)
        assert (len(stage.hooks()), service.state()) == (1, "fine"), "the wider one seems to be gone"


def test_a_webhook_for_many_is_taken_away_and_made_on_request(tmp_path: Path) -> None:
    with staged(tmp_path, scopes=ORG_SCOPES) as stage:
        stage.gitea.org("acme", owners=[BOT])
        stage.gitea.repo("acme/gadgets", files={"a": "b"})
        theirs = stage.gitea.hook("acme", "http://127.0.0.1:9/ci", "x", ["push"])
        org_hooks = stage.gitea.forge.state.org_hooks["acme"]
        with stage.service() as service:
            service.begin()
            assert len(org_hooks) == 2
            assert asked(service, "organizations/acme", remove=True) == (202, "to be removed")
            service.look()
            assert org_hooks == [theirs]
            assert [len(stage.hooks(name)) for name in (REPO, "acme/gadgets")] == [1, 1], "each has its own instead"
            service.look(LATER)
            service.begin()
            assert org_hooks == [theirs], "it stays away"
            (told,) = [one for one in wide(service) if one["organization"] == "acme"]
            assert (told["state"], told["pending"]) == ("removed", False)
            assert asked(service, "organizations/ACME") == (202, "to be made right")
            service.look()
            assert len(org_hooks) == 2
            assert [len(stage.hooks(name)) for name in (REPO, "acme/gadgets")] == [0, 0]


def test_one_for_the_server_is_made_on_request_only_where_that_is_left_to_people(tmp_path: Path) -> None:
    with staged(tmp_path, scopes=("all",)) as stage:
        stage.gitea.user(BOT).is_admin = True
        system = stage.gitea.forge.state.admin_hooks
        with stage.service(WEBHOOKS="manual") as service:
            service.begin()
            assert system == []
            assert asked(service, "servers/gitea") == (202, "to be made right")
            service.look()
            assert [hook.url for hook in system] == [stage.address]
            assert service.repos()[REPO]["webhook"]["of"] == "server"
            assert asked(service, "servers/gitea", remove=True) == (202, "to be removed")
            service.look()
            assert (system, stage.hooks()) == ([], [])


def test_what_cannot_be_done_for_many_is_said(stage: Stage) -> None:
    with stage.service(REPOS="*,!acme/secret", WEBHOOKS="manual") as service:
        service.begin()
        assert asked(service, "organizations/nobody")[0] == 404
        assert asked(service, "servers/nowhere") == (404, "there is no server 'nowhere'; there are gitea")
        assert asked(service, "organizations/acme")[0] == 409, "it would tell of what may not be told of"
    with stage.service(WEBHOOKS="manual") as service:
        service.begin()
        assert asked(service, "organizations/acme")[0] == 202
        service.look()
        (told,) = wide(service)
        assert (told["state"], told["pending"]) == ("refused", False)
        assert "write:organization" in told["problem"]


def asked(service: Service, place: str, *, remove: bool = False) -> tuple[int, str]:
    """The answer to a request for the webhook of many repositories: its status, and what it says."""
    answer = service.site.client.post(f"/admin/{place}/webhook", json={"remove": remove})
    told = answer.json()
    return answer.status_code, told.get("webhook") or told["error"]


def wide(service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.site.client.get("/admin/repos").json()["wide"]
    return found
