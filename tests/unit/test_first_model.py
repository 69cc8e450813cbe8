"""The model on the first-start page: what is asked, what is written, and that no key is shown."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.settings import load
from tests.fakes import stub
from tests.fakes.gitea import FakeGitea
from tests.unit.first_start import BOT, FirstStart, first_start, gitea_with_bot, send, shown
from tests.unit.runs import wait_until
from webhook.setup.choices import NotChosen
from webhook.setup.model import ChosenModel

KEY = "sk-0123456789abcdef"
ALL = {"which": "all", "public_url": "http://127.0.0.1:8420"}


@pytest.fixture(scope="module")
def gitea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGitea]:
    with gitea_with_bot(tmp_path_factory.mktemp("gitea")) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[FirstStart]:
    with first_start(tmp_path, AGENT_COMMAND=stub.COMMAND) as made:
        yield made


def named(start: FirstStart, gitea: FakeGitea, client: httpx.Client, **chosen: str) -> str:
    """Name a model; the page once it has answered."""
    send(client, "gitea", url=gitea.url, token=gitea.token_for(BOT))
    assert send(client, "model", **chosen).status_code == 303
    wait_until("an answer", lambda: start.setting_up._trial.now.findings is not None, 60)
    return shown(client)


def test_it_is_asked_and_then_written_for_the_service_alone(start: FirstStart, gitea: FakeGitea) -> None:
    with start.entered() as client:
        text = named(start, gitea, client, model="anthropic/claude-x", key=KEY)
        assert "anthropic/claude-x answered in" in text
        assert KEY not in text
        assert send(client, "finish", **ALL).status_code == 200
    config = start.site.settings.home / "opencode.json"
    assert json.loads(config.read_text())["provider"] == {"anthropic": {"options": {"apiKey": KEY}}}
    assert config.stat().st_mode & 0o777 == 0o600
    assert load(start.environ).model == "anthropic/claude-x"


def test_what_somebody_wrote_for_opencode_stays(start: FirstStart, gitea: FakeGitea) -> None:
    config = start.site.settings.home / "opencode.json"
    config.write_text("{}")
    with start.entered() as client:
        text = named(start, gitea, client, model="anthropic/claude-x", key=KEY)
        assert 'name="key"' not in text
        assert send(client, "finish", **ALL).status_code == 200
    assert config.read_text() == "{}"
    assert load(start.environ).model == "anthropic/claude-x"


def test_where_the_settings_cannot_be_written_no_key_is_left(start: FirstStart, gitea: FakeGitea) -> None:
    with start.entered() as client:
        named(start, gitea, client, model="anthropic/claude-x", key=KEY)
        assert send(client, "finish", **{**ALL, "public_url": "nowhere"}).status_code == 409
    assert not (start.site.settings.home / "opencode.json").exists()


def test_a_key_that_the_provider_repeats_is_not_shown(tmp_path: Path, gitea: FakeGitea) -> None:
    said = {"type": "error", "error": {"name": "APIError", "data": {"statusCode": 500, "message": f"no {KEY}"}}}
    program = tmp_path / "agent"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{json.dumps(said)}'\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with first_start(tmp_path, AGENT_COMMAND=str(program)) as start, start.entered() as client:
        text = named(start, gitea, client, model="anthropic/claude-x", key=KEY)
    assert "anthropic/claude-x does not answer: " in text
    assert "[secret removed]" in text
    assert KEY not in text


def test_what_is_being_asked_ends_with_the_service(tmp_path: Path) -> None:
    program = tmp_path / "agent"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with first_start(tmp_path, AGENT_COMMAND=str(program)) as start, start.entered():
        trial = start.setting_up._trial
        assert trial.now.findings is None
    assert not any(thread.is_alive() for thread in trial._threads)


def test_a_server_of_their_own_is_told_to_opencode() -> None:
    config = json.loads(ChosenModel("mine/some/model", "", "http://127.0.0.1:11434/v1/").checked().config() or "")
    assert config["provider"]["mine"] == {
        "npm": "@ai-sdk/openai-compatible",
        "name": "127.0.0.1",
        "options": {"baseURL": "http://127.0.0.1:11434/v1"},
        "models": {"some/model": {"name": "some/model", "tool_call": True}},
    }
    assert ChosenModel("opencode/free").checked().config() is None


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (ChosenModel(""), "provider/model"),
        (ChosenModel("no-slash"), "provider/model"),
        (ChosenModel("--help/x"), "provider/model"),
        (ChosenModel("a/b", "two words"), "no key"),
        (ChosenModel("a/b", "key", "file:///etc/passwd"), "address"),
        (ChosenModel("a/b", "key", "http://user:pw@host/v1"), "address"),
    ],
)
def test_what_cannot_be_is_named(chosen: ChosenModel, words: str) -> None:
    with pytest.raises(NotChosen, match=words):
        chosen.checked()
