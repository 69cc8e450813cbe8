"""The fake says what a real Gitea says, told the same story: else the other tests prove nothing.

Collected only where GITEA_BIN names a binary.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.contract import story
from tests.contract.likeness import differences
from tests.contract.story import Chapter, Reply
from tests.fakes.gitea import Ear, FakeGitea
from tests.forge_protocol import AnyGitea
from tests.real.gitea import RealGitea
from tests.real.server import GiteaServer

# Both stories are told before the first test; they need the one real server for themselves.
pytestmark = [pytest.mark.xdist_group("real-gitea"), pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Account:
    """All that one server had to say."""

    chapters: list[Chapter]
    replies: list[Reply]
    headers: set[str]


def account_of(gitea: AnyGitea) -> Account:
    with Ear() as ear:
        story.set_scene(gitea, ear.url)
        chapters = list(story.tell(gitea))
        headers = {name for heard in ear.heard for name in heard.headers}
        return Account(chapters, story.ask(gitea), headers)


@pytest.fixture(scope="module")
def real(real_server: GiteaServer) -> Iterator[Account]:
    with RealGitea(real_server) as gitea:
        yield account_of(gitea)


@pytest.fixture(scope="module")
def fake(real_server: GiteaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    version = httpx.get(f"{real_server.url}/api/v1/version", trust_env=False).json()["version"]
    with FakeGitea(tmp_path_factory.mktemp("fake") / "gitea", version=version) as gitea:
        yield account_of(gitea)
        assert gitea.unexpected == []


def test_the_same_is_announced(fake: Account, real: Account) -> None:
    assert [(each.title, each.summary) for each in fake.chapters] == [
        (each.title, each.summary) for each in real.chapters
    ]


def test_the_payloads_say_the_same(fake: Account, real: Account) -> None:
    found = [
        f"{one.title}, {kind} {action}{line}"
        for one, other in zip(fake.chapters, real.chapters, strict=True)
        for (kind, action, says), (_, _, truth) in zip(one.told, other.told, strict=False)
        for line in differences(says, truth)
    ]
    assert found == []


def test_the_headers_have_the_same_names(fake: Account, real: Account) -> None:
    assert fake.headers == real.headers


def test_the_api_answers_the_same(fake: Account, real: Account) -> None:
    found = []
    for one, other in zip(fake.replies, real.replies, strict=True):
        assert one.asked == other.asked
        if (one.status, one.total) != (other.status, other.total):
            found.append(f"{one.asked}: {one.status} ({one.total}) is not {other.status} ({other.total})")
        found += [f"{one.asked}{line}" for line in differences(one.body, other.body)]
    assert found == []
