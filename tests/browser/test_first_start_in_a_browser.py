"""From nothing to the first pull request, by the first-start page alone: no file is edited and no setting is made."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, LocatorAssertions, Page, expect

from models.settings import load
from tests.browser import newcomer
from tests.browser.conftest import PATIENCE_MS, free_port
from tests.browser.newcomer import Steps, Terminal
from tests.browser.test_pages_in_a_browser import LOOKS, complaints
from tests.fakes.gitea import FakeGitea
from tests.fakes.llm import FakeLLM, turn, use
from tests.world import BOT, FILES, WRITER

REPO, KEY = "acme/widgets", "sk-scripted-0123456789"
PATIENCE = 120.0
SLOW_MS = 3 * PATIENCE_MS
"""Processes start, and a model is asked."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Here nothing else runs beside it."""
    with newcomer.chromium() as made:
        yield made


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[FakeGitea]:
    """Ada may write to acme/widgets, and the bot is its administrator."""
    with FakeGitea(tmp_path / "gitea") as made:
        made.user(BOT)
        made.repo(REPO, files=FILES, collaborators={WRITER: "write", BOT: "admin"})
        yield made
        assert made.unexpected == []


@pytest.fixture
def llm() -> Iterator[FakeLLM]:
    """Mends whatever it is asked to."""
    with FakeLLM() as made:
        made.play(turn("", use("write", filePath="{cwd}/app.py", content="fixed\n")), turn("It is mended."))
        yield made


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[[], Terminal]]:
    """Starts the service in an empty HOME. Of settings it has its port, since others are at work on this machine."""
    started: list[Terminal] = []

    def start() -> Terminal:
        home = tmp_path / "home"
        home.mkdir()
        started.append(Terminal(home, PORT=str(free_port())))
        return started[0]

    yield start
    for one in started:
        one.end()


def seen(what: Locator) -> LocatorAssertions:
    """To be waited for as long as a process may take to start on a busy machine."""
    expect.set_options(timeout=SLOW_MS)
    return expect(what)


def come_in(page: Page, terminal: Terminal) -> None:
    """Open the address that the terminal shows, and type its code."""
    page.goto(terminal.wait_for(r"(http://127\.0\.0\.1:\d+/admin/setup)\s"))
    nobody_is_shut_out(page)
    page.get_by_label("Code").fill(terminal.wait_for(r"type this code: ([0-9A-Z-]{14})"))
    page.get_by_role("button", name="Go on").click()
    seen(page.get_by_role("heading", name="1. Gitea or Forgejo")).to_be_visible()


def test_from_nothing_to_a_pull_request(
    chromium: Browser,
    gitea: FakeGitea,
    llm: FakeLLM,
    terminal: Callable[[], Terminal],
    record_property: Callable[[str, object], None],
) -> None:
    """With the real opencode, whose model is a scripted one."""
    steps, token, service = Steps(), gitea.token_for(BOT), terminal()
    with chromium.new_context() as context:
        context.set_default_timeout(SLOW_MS)
        page, addresses = context.new_page(), list[str]()
        page.on("request", lambda request: addresses.append(request.url))
        come_in(page, service)
        steps.done("`kugetsu serve` is up, and the code of the terminal typed")
        name_gitea(page, gitea.url, token)
        steps.done("Gitea's address and the bot's token are given, and good")
        name_model(page, llm)
        steps.done("a model is named, with its key, and has answered the agent")
        page.get_by_label("In those ticked here").check()
        page.get_by_label(REPO).check()
        nobody_is_shut_out(page)
        page.get_by_role("button", name="Write the settings and start").click()
        seen(page.get_by_role("heading", name="Doctor")).to_be_visible()
        steps.done("repositories are chosen, the settings are written, the service has started with them")
        seen(page.get_by_role("heading", name="All is well.")).to_be_visible()
        seen(page.locator("#doctor .row", has_text="round trip")).to_contain_text("came back in")
        steps.done("the doctor has looked: all is well, and a test delivery came back")
    gitea.label(REPO, (issue := gitea.open_issue(REPO, WRITER, "Crash on empty input").number), "kugetsu/code", WRITER)
    gitea.wait_until(lambda: gitea.pulls_of(REPO), "the pull request", PATIENCE)
    steps.done("an issue got the label kugetsu/code, and there is its pull request")
    record_property("result", steps.told())
    gitea.wait_until(lambda: "kugetsu/done" in gitea.labels_of(REPO, issue), "the end of the job", PATIENCE)
    gitea.settle()
    home = service.home / ".kugetsu"
    assert [(home / name).stat().st_mode & 0o777 for name in ("kugetsu.toml", "opencode.json")] == [0o600, 0o600]
    secrets = [token, KEY, load({"KUGETSU_HOME": str(home)}).webhook_secret[0].get_secret_value()]
    assert [word for word in secrets if word in service.text + json.dumps(addresses)] == []
    assert not (home / "setup.code").exists()


def name_gitea(page: Page, url: str, token: str) -> None:
    """What is typed is looked at by itself; the button takes it."""
    page.get_by_label("Address").fill(url)
    page.get_by_label("Token of the bot").fill("no-good-token")
    seen(page.locator("#looked")).to_contain_text("the token is not good")
    nobody_is_shut_out(page)
    page.get_by_label("Token of the bot").fill(token)
    seen(page.locator("#looked")).to_contain_text(f"of the account {BOT}")
    page.get_by_role("button", name="Check").click()
    seen(page.get_by_text("scopes: write:issue, write:repository, read:user")).to_be_visible()


def name_model(page: Page, llm: FakeLLM) -> None:
    page.get_by_label("Model, as opencode names it").fill("scripted/main")
    page.get_by_label("Key of its provider").fill(KEY)
    page.get_by_label("Address of its provider").fill(llm.base_url)
    page.get_by_role("button", name="Take this one and ask it").click()
    seen(page.locator("#model")).to_contain_text("scripted/main answered in")


def nobody_is_shut_out(page: Page) -> None:
    """On a phone and on a screen, light and dark: nothing for axe to find, and nothing to scroll sideways for."""
    for size, scheme in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        assert complaints(page) == [], f"{page.url} {size} {scheme}"
        assert page.evaluate("document.scrollingElement.scrollWidth") <= size["width"]
