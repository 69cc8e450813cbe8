"""One webhook of an organisation or of the server instead of one for each repository."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.hook_care import LOOK_SECONDS
from tests.fakes.gitea.places import BOT_SCOPES
from tests.unit.hook_stage import BOT, REPO, SECRET, Stage, staged

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
            assert (hook.url, hook.secret, hook.active) == (stage.address, SECRET, True)
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
