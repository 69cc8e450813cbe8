"""Webhooks are made by themselves, kept right, never doubled, and taken away on request."""

from pathlib import Path

import pytest

from jobs.hook_care import LIST_SECONDS, LOOK_SECONDS, TEST_SECONDS
from models import hooks
from tests.unit.hook_stage import BOT, REPO, SECRET, Service, Stage, staged

LATER = LOOK_SECONDS + 1


def test_a_webhook_makes_itself_with_the_labels_and_a_test_delivery_comes_in(stage: Stage, service: Service) -> None:
    (hook,) = stage.hooks()
    assert (hook.url, hook.secret, hook.active, hook.content_type) == (stage.address, stage.secret(), True, "json")
    assert {"issue_label", "issue_comment", "pull_request_review_rejected", "push"} <= set(hook.events)
    assert "kugetsu/code" in stage.gitea.label_names(REPO)

    assert [delivery.event_type for delivery in service.site.stored()] == ["push"]
    seen = service.repos()[REPO]
    assert seen["webhook"]["state"] == "fine"
    assert seen["webhook"]["last_delivery"] == "2026-07-01T10:00:00Z"
    assert seen["labels"] == {"missing": []}
    service.look(TEST_SECONDS)
    assert (service.row().tested_at, service.state()) == (None, "fine")


def test_a_webhook_that_is_right_is_left_alone(stage: Stage, service: Service) -> None:
    asked = len([seen for seen in stage.gitea.requests if seen.method != "GET"])
    service.look(TEST_SECONDS)
    service.look(LATER)
    service.begin()
    assert len([seen for seen in stage.gitea.requests if seen.method != "GET"]) == asked
    assert len(stage.hooks()) == 1


@pytest.mark.parametrize("fault", ["address", "events", "inactive", "deleted"])
def test_it_is_kept_right(stage: Stage, service: Service, fault: str) -> None:
    service.look(TEST_SECONDS)
    (hook,) = stage.hooks()
    if fault == "address":
        hook.url = "http://127.0.0.1:9/webhook"
    elif fault == "events":
        hook.events = ("issues", "release")
    elif fault == "inactive":
        hook.active = False
    else:
        stage.hooks().clear()

    service.look(LATER)

    (mended,) = stage.hooks()
    assert (mended.url, mended.active, mended.secret) == (stage.address, True, stage.secret())
    assert "issue_comment" in mended.events
    assert ("release" in mended.events) == (fault == "events"), "what somebody else wants of it stays"
    assert service.state() == "fine"


def test_our_address_has_changed(stage: Stage, service: Service) -> None:
    old = stage.hooks()[0].id
    with stage.service(PUBLIC_URL="http://localhost:8420", PORT="0") as moved:
        moved.begin()
        (hook,) = stage.hooks()
        assert (hook.id, hook.url) == (old, "http://localhost:8420/webhook")


def test_the_secret_has_changed_so_another_one_is_made(stage: Stage, service: Service) -> None:
    old = stage.hooks()[0].id
    with stage.service(WEBHOOK_SECRET="a-new-one,a-secret-of-the-webhook", PORT="0") as rotating:
        rotating.begin()
        assert [hook.id for hook in stage.hooks()] == [old], "its secret is still good"
    with stage.service(WEBHOOK_SECRET="a-new-one", PORT="0") as changed:
        changed.begin()
        (hook,) = stage.hooks()
        assert (hook.secret, hook.id != old) == (stage.secret("a-new-one"), True)


def test_other_peoples_webhooks_stay_as_they_are(stage: Stage) -> None:
    theirs = stage.gitea.hook(REPO, "http://127.0.0.1:9/ci", "x", ["push"])
    theirs.active = False
    with stage.service() as service:
        service.begin()
        service.ask(remove=True)
        service.look()
    assert stage.hooks() == [theirs]
    assert (theirs.url, theirs.events, theirs.active) == ("http://127.0.0.1:9/ci", ("push",), False)


def test_one_made_by_hand_is_taken_on_and_not_doubled(stage: Stage) -> None:
    made = stage.gitea.hook(REPO, f"{stage.address}/", SECRET, ["issues"])
    with stage.service() as service:
        service.begin()
        assert stage.hooks() == [made]
        assert "pull_request_comment" in made.events
        assert made.secret == SECRET


def test_one_under_another_address_is_not_doubled(stage: Stage) -> None:
    """Somebody reaches us under a name that we do not know of."""
    with stage.service(WEBHOOKS="manual") as service:
        stage.gitea.hook(REPO, f"{stage.address}?by=proxy", SECRET)
        stage.gitea.push(REPO, "main", {"a": "b"}, "ada")
        stage.gitea.settle()
    with stage.service() as service:
        service.begin()
        assert len(stage.hooks()) == 1
        assert (service.state(), "another address" in service.problem()) == ("wrong address", True)
        service.look(LATER)
        assert len(stage.hooks()) == 1
        service.ask()
        service.look()
        assert len(stage.hooks()) == 2, "on request one is made all the same"


def test_it_is_taken_away_on_request_and_stays_away(stage: Stage, service: Service) -> None:
    assert service.ask(remove=True) == 202
    assert service.repos()[REPO]["webhook"]["pending"]
    service.look()
    assert (stage.hooks(), service.state()) == ([], "removed")
    assert not service.repos()[REPO]["webhook"]["pending"]
    service.look(LATER)
    service.begin()
    assert stage.hooks() == []
    service.ask()
    service.look()
    assert (len(stage.hooks()), service.state()) == (1, "fine")


def test_a_new_repository_of_an_allowed_pattern_is_found(stage: Stage) -> None:
    with stage.service(REPOS="acme/*,!acme/secret") as service:
        service.begin()
        for name in ("acme/gadgets", "acme/secret", "other/thing"):
            stage.gitea.repo(name, files={"a": "b"}, collaborators={BOT: "admin"})
        service.look(LIST_SECONDS + 1)
        found = {name: len(stage.hooks(name)) for name in service.repos()}
        assert found == {REPO: 1, "acme/gadgets": 1, "acme/secret": 0, "other/thing": 0}
        assert [name for name, seen in service.repos().items() if seen["allowed"]] == ["acme/gadgets", REPO]
        assert service.ask("acme/secret") == 409
        stage.gitea.delete_repo("acme/gadgets")
        service.look(LIST_SECONDS + 1)
        assert "acme/gadgets" not in service.repos()


def test_what_is_no_longer_allowed_loses_its_webhook(stage: Stage, service: Service) -> None:
    with stage.service(REPOS="other/*", PORT="0") as changed:
        changed.begin()
        assert stage.hooks() == []


def test_without_the_right_it_says_so_and_goes_on(stage: Stage) -> None:
    stage.gitea.repo("acme/gadgets", files={"a": "b"}, collaborators={BOT: "write"})
    with stage.service() as service:
        service.begin()
        refused = service.repos()["acme/gadgets"]["webhook"]
        assert refused["state"] == "refused"
        assert "the bot has write access" in refused["problem"]
        assert refused["cure"] == f"{stage.gitea.url}/acme/gadgets/settings/collaboration"
        assert service.state() == "fine"


def test_where_it_is_left_to_people_it_only_looks(stage: Stage) -> None:
    with stage.service(WEBHOOKS="manual") as service:
        service.begin()
        assert (stage.hooks(), service.state()) == ([], "missing")
        assert [seen.method for seen in stage.gitea.requests if seen.method != "GET"] == []
        service.ask()
        service.look()
        (hook,) = stage.hooks()
        hook.active = False
        service.look(LATER)
        assert (service.state(), hook.active) == ("inactive", False)
    with stage.service(WEBHOOKS="off") as service:
        asked = len(stage.gitea.requests)
        service.begin()
        assert len(stage.gitea.requests) == asked
        assert service.ask() == 409


def test_an_address_that_cannot_be_right_is_put_into_no_webhook(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "why_unreachable", lambda *_: "nobody finds us there")
    with stage.service() as service:
        service.begin()
        service.ask()
        service.look()
        assert (stage.hooks(), service.state(), service.problem()) == ([], "missing", "nobody finds us there")


def test_without_a_secret_none_is_made(stage: Stage) -> None:
    with stage.service(WEBHOOK_SECRET="") as service:
        service.begin()
        assert (stage.hooks(), service.state()) == ([], "missing")
        assert "KUGETSU_WEBHOOK_SECRET" in service.problem()


def test_the_labels_and_the_file_are_looked_at(stage: Stage) -> None:
    stage.gitea.push(REPO, "main", {".kugetsu.toml": "timeout = 'soon'\n"}, "ada")
    with stage.service(WEBHOOKS="manual") as service:
        service.begin()
        seen = service.repos()[REPO]
        assert "kugetsu/code" in seen["labels"]["missing"]
        assert (seen["file"]["valid"], "timeout" in seen["file"]["problem"]) == (False, True)


def test_a_repository_nobody_knows_is_looked_for(stage: Stage, service: Service) -> None:
    stage.gitea.repo("acme/brand-new", files={"a": "b"}, collaborators={BOT: "admin"})
    assert service.ask("acme/brand-new") == 404
    service.look()
    assert service.ask("acme/brand-new") == 202
    assert service.site.client.post(f"/admin/repos/{REPO}/webhook", json={"rm": 1}).status_code == 400


@pytest.mark.parametrize("version", ["1.22.6", "1.27.0"])
def test_other_versions_too(tmp_path: Path, version: str) -> None:
    with staged(tmp_path, version=version, scopes=("all",)) as stage, stage.service() as service:
        service.begin()
        service.look(LATER)
        service.look(LATER)
        assert (len(stage.hooks()), service.state()) == (1, "fine")


def test_forgejo_too(tmp_path: Path) -> None:
    with staged(tmp_path, flavour="forgejo") as stage, stage.service() as service:
        service.begin()
        service.look(LATER)
        assert (len(stage.hooks()), service.state()) == (1, "fine")
