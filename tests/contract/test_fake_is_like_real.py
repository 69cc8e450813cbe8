"""The fake says what a real Gitea says, told the same story: else the other tests prove nothing.

Collected only where GITEA_BIN names a binary.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.contract import story
from tests.contract.likeness import differences
from tests.contract.story import Chapter, Reply
from tests.fakes.gitea import Ear, FakeGitea
from tests.forge_protocol import AnyGitea
from tests.real.gitea import RealGitea
from tests.real.server import GiteaServer


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


def announced_otherwise(fake: Account, real: Account) -> Iterator[str]:
    """Where other events come of a step, or an event says something else."""
    for one, other in zip(fake.chapters, real.chapters, strict=True):
        if one.summary != other.summary:
            yield f"{one.title}: the fake tells {one.summary}, the real one {other.summary}"
            continue
        for (kind, action, says), (_, _, truth) in zip(one.told, other.told, strict=True):
            yield from (f"{one.title}, {kind} {action}{line}" for line in differences(says, truth))


def answered_otherwise(fake: Account, real: Account) -> Iterator[str]:
    """Where a request gets another status, another count or another text."""
    for one, other in zip(fake.replies, real.replies, strict=True):
        assert one.asked == other.asked
        if (one.status, one.total) != (other.status, other.total):
            yield f"{one.asked}: {one.status} ({one.total}) is not {other.status} ({other.total})"
        yield from (f"{one.asked}{line}" for line in differences(one.body, other.body))


@pytest.mark.timeout(600)  # the story is long
def test_the_fake_says_what_a_real_gitea_says(real_server: GiteaServer, tmp_path: Path) -> None:
    version = httpx.get(f"{real_server.url}/api/v1/version", trust_env=False).json()["version"]
    with RealGitea(real_server) as gitea:
        real = account_of(gitea)
    with FakeGitea(tmp_path / "gitea", version=version) as fake_gitea:
        fake = account_of(fake_gitea)
        assert fake_gitea.unexpected == []
    assert [*announced_otherwise(fake, real), *answered_otherwise(fake, real)] == []
    assert fake.headers == real.headers
