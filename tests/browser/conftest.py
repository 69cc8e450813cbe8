"""One Chromium, one Gitea and one Kugetsu for all tests here; each test has a browser window of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.browser import newcomer
from tests.fakes.gitea import FakeGitea
from tests.ports import free_port
from tests.world import World
from webhook.oauth import CALLBACK

TOKEN = "the-admin-token-of-the-browser-tests"
ROOT = "site-admin"
PATIENCE_MS = 20_000

Open = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They share what is up, so they run in one process."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="module")
def chromium(world: World) -> Iterator[Browser]:
    """Younger than the world, so that it is gone when that looks for what is left over."""
    with newcomer.chromium() as made:
        yield made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Ada may write to acme/widgets, bob may read it; people sign in with Gitea or by the token."""
    root, port = tmp_path_factory.mktemp("browser"), free_port()
    address = f"http://127.0.0.1:{port}"
    with FakeGitea(root / "gitea") as gitea:
        gitea.user(ROOT, is_admin=True)
        app = gitea.oauth.register("Kugetsu", address + CALLBACK)
        oauth = {"OAUTH_CLIENT_ID": app.id, "OAUTH_CLIENT_SECRET": app.secret, "ADMIN_TOKEN": TOKEN}
        made = World(root, gitea, PUBLIC_URL=address, PORT=str(port), **oauth)
        made.halves.listen_on(port)
        with made:
            yield made


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, world: World) -> Any:
    """The cookies of who sees all."""
    with chromium.new_context(base_url=world.halves.url) as context:
        page = context.new_page()
        page.goto("/admin/signin")
        page.get_by_label("Admin token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Status").wait_for()
        return context.storage_state()


@pytest.fixture
def contexts(chromium: Browser, world: World) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts; whatever a page writes to its console as an error fails the test, as does a script's."""
    with ExitStack() as stack:
        wrong: list[str] = []

        def make(*, may_fail: bool = False, **options: Any) -> BrowserContext:
            given = {"base_url": world.halves.url, **options}
            context = stack.enter_context(chromium.new_context(**given))
            context.set_default_timeout(PATIENCE_MS)
            if not may_fail:
                context.on(
                    "console", lambda said: wrong.append(said.text) if _is_wrong(said, world.halves.url) else None
                )
                context.on("weberror", lambda error: wrong.append(str(error.error)))
            return context

        yield make
    assert wrong == []


@pytest.fixture
def open_page(contexts: Callable[..., BrowserContext], signed_in: Any) -> Open:
    """Opens a page as who sees all; keyword arguments are options of the browser context."""

    def act(path: str, **options: Any) -> Page:
        page = contexts(**{"storage_state": signed_in, **options}).new_page()
        page.goto(path)
        return page

    return act


@pytest.fixture(scope="module")
def finished(world: World) -> int:
    """The number of a job that has ended, with everything that a job's page can show."""
    issue = world.issue(
        "Crash on empty input", "It should give None.\n\nstub: write app.py fixed\nstub: run echo hello"
    )
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    return int(world.jobs()[0].id)


def _is_wrong(said: ConsoleMessage, ours: str) -> bool:
    return said.type == "error" and said.location["url"].startswith(ours)
