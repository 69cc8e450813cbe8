"""From nothing to the first pull request, by the first-start page alone: no file is edited and no setting is made."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from models.settings import load
from tests.browser import newcomer
from tests.browser.conftest import PATIENCE_MS, free_port
from tests.browser.newcomer import Steps, Terminal
from tests.browser.test_pages_in_a_browser import LOOKS, complaints
from tests.fakes import stub
from tests.fakes.gitea import FakeGitea
from tests.world import BOT, FILES, WRITER

REPO = "acme/widgets"
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
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts the service in an empty HOME. Of settings it has its port, since others are at work on this machine."""
    started: list[Terminal] = []

    def start(**settings: str) -> Terminal:
        home = tmp_path / "home"
        home.mkdir()
        started.append(Terminal(home, PORT=str(free_port()), **settings))
        return started[0]

    yield start
    for one in started:
        one.end()


def come_in(page: Page, terminal: Terminal, look: Callable[[Page], None]) -> None:
    """Open the address that the terminal shows, and type its code; each page on the way is looked at."""
    page.goto(terminal.wait_for(r"(http://127\.0\.0\.1:\d+/admin/setup)\s"))
    look(page)
    page.get_by_label("Code").fill(terminal.wait_for(r"type this code: ([0-9A-Z-]{14})"))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="1. Gitea or Forgejo")).to_be_visible()


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
def test_from_nothing_to_a_pull_request(
    chromium: Browser,
    gitea: FakeGitea,
    terminal: Callable[..., Terminal],
    record_property: Callable[[str, object], None],
    script: bool,
) -> None:
    steps, token = Steps(), gitea.token_for(BOT)
    service = terminal(AGENT_COMMAND=stub.COMMAND)
    with chromium.new_context(java_script_enabled=script) as context:
        context.set_default_timeout(SLOW_MS)
        page, addresses = context.new_page(), list[str]()
        page.on("request", lambda request: addresses.append(request.url))
        look = nobody_is_shut_out if script else lambda _: None
        come_in(page, service, look)
        steps.done("`kugetsu serve` is up, and the code of the terminal typed")
        page.get_by_label("Address").fill(gitea.url)
        page.get_by_label("Token of the bot").fill(token)
        if script:
            expect(page.locator("#looked")).to_contain_text(f"of the account {BOT}")
        look(page)
        page.get_by_role("button", name="Check").click()
        expect(page.get_by_text("scopes: write:issue, write:repository, read:user")).to_be_visible()
        look(page)
        steps.done("Gitea's address and the bot's token are given, and good")
        page.get_by_label("In those ticked here").check()
        page.get_by_label(REPO).check()
        page.get_by_role("button", name="Write the settings and start").click()
        expect(page.get_by_role("heading", name="Doctor")).to_be_visible(timeout=SLOW_MS)
        steps.done("repositories are chosen, the settings are written, the service has started with them")
        finding = page.locator("#doctor .row", has_text="round trip")
        while not script and finding.count() == 0:
            page.reload()
        expect(finding).to_contain_text("came back in", timeout=SLOW_MS)
        expect(page.get_by_role("heading", name="All is well.")).to_be_visible()
        steps.done("the doctor has looked: nothing is wrong, and a test delivery came back")
    issue = gitea.open_issue(REPO, WRITER, "Crash on empty input", "stub: write app.py fixed").number
    gitea.label(REPO, issue, "kugetsu/code", WRITER)
    gitea.wait_until(lambda: gitea.pulls_of(REPO), "the pull request")
    steps.done("an issue got the label kugetsu/code, and there is its pull request")
    record_property("result", steps.told())
    settings = service.home / ".kugetsu/kugetsu.toml"
    assert settings.stat().st_mode & 0o777 == 0o600
    read = load({"KUGETSU_HOME": str(settings.parent)})
    secrets = [token, read.webhook_secret[0].get_secret_value()]
    assert [word for word in secrets if word in service.text + json.dumps(addresses)] == []
    gitea.wait_until(lambda: "kugetsu/done" in gitea.labels_of(REPO, issue), "the end of the job")
    gitea.settle()


def nobody_is_shut_out(page: Page) -> None:
    """On a phone and on a screen, light and dark: nothing for axe to find, and nothing to scroll sideways for."""
    for size, scheme in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        assert complaints(page) == [], f"{page.url} {size} {scheme}"
        assert page.evaluate("document.scrollingElement.scrollWidth") <= size["width"]
