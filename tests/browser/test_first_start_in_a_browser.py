"""The first start as somebody new sees it, in headless Chromium; `make first-start` goes the whole way from a clone."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from models.settings import load
from tests.browser import newcomer
from tests.browser.first_start import KEY, PATIENCE, Journey, llm_on_stage, people_of
from tests.browser.newcomer import Steps, Terminal
from tests.browser.test_pages_in_a_browser import LOOKS, complaints
from tests.conftest import fake_or_real, with_real
from tests.fakes import stub
from tests.forge_protocol import AnyGitea
from tests.ports import free_port


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Here nothing else runs beside it; what is waited for may take as long as a process takes to start."""
    with newcomer.chromium() as made:
        expect.set_options(timeout=PATIENCE * 1000)
        yield made
        expect.set_options(timeout=None)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """`kugetsu serve` in an empty HOME. Of settings it has its port, since others are at work here, and its agent."""
    home = tmp_path / "home"
    home.mkdir()
    made = Terminal(home, newcomer.SERVE, home, PORT=str(free_port()), AGENT_COMMAND=stub.COMMAND)
    yield made
    made.end()


@pytest.fixture(params=with_real(["fake"], ()))
def gitea(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyGitea]:
    with fake_or_real(request, tmp_path / "gitea") as made:
        yield made


def test_from_nothing_to_a_pull_request(
    gitea: AnyGitea, chromium: Browser, terminal: Terminal, record_property: Callable[[str, object], None]
) -> None:
    steps, token = Steps(), people_of(gitea)
    with llm_on_stage() as llm:
        journey = Journey(chromium, terminal, steps, nobody_is_shut_out)
        journey.go(gitea, llm, token)
        journey.close()
    assert gitea.unexpected == []
    record_property("result", steps.told())
    home = terminal.home / ".kugetsu"
    assert [(home / name).stat().st_mode & 0o777 for name in ("kugetsu.toml", "opencode.json")] == [0o600, 0o600]
    secrets = [token, KEY, load({"KUGETSU_HOME": str(home)}).webhook_secret[0].get_secret_value()]
    assert [word for word in secrets if word in terminal.text + json.dumps(journey.addresses)] == []
    assert not (home / "setup.code").exists()


def nobody_is_shut_out(page: Page) -> None:
    """On a phone and on a screen, light and dark: nothing for axe to find, and nothing to scroll sideways for."""
    for size, scheme in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        assert complaints(page) == [], f"{page.url} {size} {scheme}"
        assert page.evaluate("document.scrollingElement.scrollWidth") <= size["width"]
