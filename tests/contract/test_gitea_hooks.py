"""The client on the fake Gitea and a real one: webhooks of repositories, organisations and the server."""

from collections.abc import Iterator

import pytest

from jobs.gitea import Gitea, GiteaMissing, GiteaRefused
from jobs.gitea_hooks import HookSpec
from tests.contract.conftest import BOT, REPO
from tests.fakes.gitea import Ear
from tests.fakes.gitea.places import BOT_SCOPES
from tests.forge_protocol import AnyGitea


@pytest.fixture
def ear() -> Iterator[Ear]:
    with Ear() as made:
        yield made


def spec(ear: Ear, *events: str) -> HookSpec:
    return HookSpec(ear.url, "a-secret", events or ("issues", "pull_request", "push"))


def test_a_webhook_is_made_found_changed_and_taken_away(forge: AnyGitea, client: Gitea, ear: Ear) -> None:
    made = client.create_hook(REPO, spec(ear))
    assert (made.config.url, made.config.content_type, made.active, made.type) == (ear.url, "json", True, "gitea")
    assert {"issue_label", "issue_comment", "pull_request_comment", "push"} <= set(made.events or ())

    client.edit_hook(REPO, made.id, spec(ear, "issues_only"))
    (found,) = client.hooks(REPO)
    assert (found.id, set(found.events or ()), found.active) == (made.id, {"issues"}, True)

    client.delete_hook(REPO, made.id)
    assert client.hooks(REPO) == []
    with pytest.raises(GiteaMissing):
        client.delete_hook(REPO, made.id)


def test_a_test_delivery_is_sent_to_whom_wants_pushes(forge: AnyGitea, client: Gitea, ear: Ear) -> None:
    made = client.create_hook(REPO, spec(ear))
    client.try_hook(REPO, made.id)
    forge.settle()
    assert [delivery.event_type for delivery in forge.deliveries] == ["push"]


def test_without_commits_none_can_be_sent(forge: AnyGitea, client: Gitea, ear: Ear) -> None:
    forge.repo("acme/empty", collaborators={BOT: "admin"})
    made = client.create_hook("acme/empty", spec(ear))
    with pytest.raises(GiteaMissing):
        client.try_hook("acme/empty", made.id)


def test_adding_no_label_is_told_of_and_changes_nothing(forge: AnyGitea, client: Gitea, ear: Ear) -> None:
    n = forge.open_issue(REPO, "ada", "Hello").number
    forge.settle()
    before = client.issue(REPO, n)
    client.create_hook(REPO, spec(ear, "issue_label"))
    client.touch_labels(REPO, n)
    forge.settle()
    assert [delivery.event_type for delivery in forge.deliveries] == ["issue_label"]
    assert (client.issue(REPO, n), client.timeline(REPO, n)) == (before, [])


def test_an_organisations_webhooks_need_its_owner_and_a_scope(forge: AnyGitea, client: Gitea, ear: Ear) -> None:
    with pytest.raises(GiteaRefused) as refused:
        client.hooks("acme")
    assert refused.value.missing_scope == "read:organization"
    forge.org("acme", owners=[BOT])
    with Gitea(forge.url, forge.token_for(BOT, (*BOT_SCOPES, "write:organization"))) as owner:
        made = owner.create_hook("acme", spec(ear))
        assert [hook.id for hook in owner.hooks("acme")] == [made.id]
        with pytest.raises(GiteaMissing):
            owner.hooks("ada")
        owner.delete_hook("acme", made.id)


def test_the_servers_webhooks_need_its_administrator(forge: AnyGitea, client: Gitea, ear: Ear) -> None:
    with pytest.raises(GiteaRefused) as refused:
        client.hooks("")
    assert refused.value.missing_scope == "read:admin"
    forge.user("boss", is_admin=True)
    with Gitea(forge.url, forge.token_for("boss", ("all",))) as boss:
        made = boss.create_hook("", spec(ear))
        assert [(hook.id, hook.config.url) for hook in boss.hooks("")] == [(made.id, ear.url)]
        boss.edit_hook("", made.id, spec(ear))
        forge.open_issue(REPO, "ada", "Hello")
        forge.settle()
        assert [delivery.event_type for delivery in forge.deliveries] == ["issues"]
        boss.delete_hook("", made.id)
        assert boss.hooks("") == []
