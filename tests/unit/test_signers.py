"""What a webhook's own secret may sign: whoever administers a repository can read it, and speaks for no other."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.hook_keys import organization_scope, repository_scope, secret_for
from tests.fakes.gitea import FakeGitea
from tests.unit.hook_stage import BOT, REPO, SECRET, Service, Stage, staged

THEIRS = "mallory/own"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        made.gitea.user("mallory")
        made.gitea.repo(THEIRS, files={"a": "b"}, collaborators={BOT: "admin"})
        yield made


def number_of(gitea: FakeGitea, repo: str) -> int:
    return gitea.forge.state.repo(repo).id


def send(service: Service, secret: str, number: int, name: str) -> httpx.Response:
    """A push to that repository, signed with that secret."""
    body = json.dumps({"repository": {"id": number, "full_name": name}}).encode()
    headers = {
        "X-Gitea-Event-Type": "push",
        "X-Gitea-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
        "Content-Type": "application/json",
    }
    return service.site.client.post("/webhook", content=body, headers=headers)


def test_a_repository_s_own_webhook_tells_of_it(stage: Stage, service: Service) -> None:
    (hook,) = stage.hooks(THEIRS)
    assert hook.secret != SECRET
    answer = send(service, hook.secret, number_of(stage.gitea, THEIRS), "Mallory/Own")
    assert (answer.status_code, answer.json()["status"]) == (200, "ignored")


@pytest.mark.parametrize("number", [THEIRS, REPO, ""])
@pytest.mark.parametrize("name", [REPO, REPO.upper(), "acme/unknown", ""])
def test_it_tells_of_no_other(stage: Stage, service: Service, number: str, name: str) -> None:
    (hook,) = stage.hooks(THEIRS)
    told = number_of(stage.gitea, number) if number else 0
    assert send(service, hook.secret, told, name).status_code == 401


def test_with_the_number_of_another_it_tells_of_neither(stage: Stage, service: Service) -> None:
    (hook,) = stage.hooks(THEIRS)
    assert send(service, hook.secret, number_of(stage.gitea, REPO), THEIRS).status_code == 401


def test_an_organisation_s_webhook_tells_of_its_own_repositories(stage: Stage, service: Service) -> None:
    secret = secret_for(SECRET, organization_scope("Mallory"))
    own, other = number_of(stage.gitea, THEIRS), number_of(stage.gitea, REPO)
    assert send(service, secret, own, THEIRS).status_code == 200
    refused = [send(service, secret, *told) for told in ((other, REPO), (other, THEIRS), (own, REPO), (0, THEIRS))]
    assert [answer.status_code for answer in refused] == [401] * 4


def test_the_secret_that_is_set_signs_for_all(stage: Stage, service: Service) -> None:
    assert send(service, SECRET, number_of(stage.gitea, REPO), REPO).status_code == 200
    assert send(service, secret_for(SECRET, "server"), 0, "acme/unknown").status_code == 200


def test_after_a_change_of_names_each_keeps_its_own(stage: Stage, service: Service) -> None:
    (hook,) = stage.hooks(THEIRS)
    number = number_of(stage.gitea, THEIRS)
    moved = stage.gitea.rename(THEIRS, "moved")
    assert send(service, hook.secret, number, moved).status_code == 401, "nobody knows of the name yet"
    service.begin()
    assert stage.hooks(moved) == [hook]
    assert send(service, hook.secret, number, moved).status_code == 200


def test_a_secret_is_of_one_scope_of_one_setting() -> None:
    scopes = [repository_scope(1), repository_scope(11), organization_scope("a"), "server"]
    assert len({secret_for(secret, scope) for secret in ("one", "two") for scope in scopes}) == 8
