"""From nothing to the first pull request, as somebody new would go: by the first-start page alone, no file edited.

`python -m tests.browser.first_start` begins with `git clone` and `make run` in a new folder and a new HOME, with the
real opencode; only Gitea and the LLM are the doubles. It lists the steps with their seconds.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import newcomer
from tests.browser.newcomer import Steps, Terminal
from tests.fakes.gitea import FakeGitea
from tests.fakes.llm import FakeLLM, turn, use
from tests.forge_protocol import AnyGitea
from tests.ports import free_port
from tests.world import BOT, FILES, WRITER

PROJECT = Path(__file__).parents[2]
REPO, KEY = "acme/widgets", "sk-scripted-0123456789"
PATIENCE = 180.0
"""Seconds: processes start, packages are installed, a model is asked."""


@contextmanager
def llm_on_stage() -> Iterator[FakeLLM]:
    """An LLM that mends whatever it is asked to."""
    with FakeLLM() as llm:
        llm.play(turn("", use("write", filePath="{cwd}/app.py", content="fixed\n")), turn("It is mended."))
        yield llm


def people_of(gitea: AnyGitea) -> str:
    """A repository that ada may write to and that the bot administers; gives the bot's token."""
    gitea.user(BOT)
    gitea.repo(REPO, files=FILES, collaborators={WRITER: "write", BOT: "admin"})
    return gitea.token_for(BOT)


class Journey:
    """The way of one newcomer. `look` is called with each page."""

    def __init__(self, browser: Browser, terminal: Terminal, steps: Steps, look: Callable[[Page], None]) -> None:
        self._terminal = terminal
        self._steps = steps
        self._look = look
        self._context = browser.new_context()
        self._context.set_default_timeout(PATIENCE * 1000)
        self.page = self._context.new_page()
        self.addresses: list[str] = []
        self.page.on("request", lambda request: self.addresses.append(request.url))

    def close(self) -> None:
        self._context.close()

    def go(self, gitea: AnyGitea, llm: FakeLLM, token: str) -> int:
        """All of it; the number of the issue."""
        self._come_in()
        self._name_gitea(gitea.url, token)
        self._name_model(llm)
        self._choose()
        self._see_the_doctor()
        return self._ask(gitea)

    def _press(self, name: str) -> None:
        self._look(self.page)
        self.page.get_by_role("button", name=name).click()

    def _come_in(self) -> None:
        self.page.goto(self._terminal.wait_for(r"(http://127\.0\.0\.1:\d+/admin/setup)\s"))
        self._steps.done("the service is up, and shows an address and a code")
        self.page.get_by_label("Code").fill(self._terminal.wait_for(r"type this code: ([0-9A-Z-]{14})"))
        self._press("Go on")
        expect(self.page.get_by_role("heading", name="1. Gitea or Forgejo")).to_be_visible()
        self._steps.done("the code is typed")

    def _name_gitea(self, url: str, token: str) -> None:
        """What is typed is looked at by itself, also where the script comes later; the button takes it."""
        held: list[Route] = []
        script = re.compile(r"/setup\.js")
        self.page.route(script, lambda route: held.append(route))  # noqa: PLW0108 - it wants a function of Python's
        self.page.reload(wait_until="commit")
        self.page.get_by_label("Address").fill(url)
        self.page.get_by_label("Token of the bot").fill("0" * 40)
        held[0].continue_()
        self.page.unroute(script)
        expect(self.page.locator("#looked")).to_contain_text("the token is not good")
        self._look(self.page)
        self.page.get_by_label("Token of the bot").fill(token)
        expect(self.page.locator("#looked")).to_contain_text(f"of the account {BOT}")
        self._press("Check")
        expect(self.page.get_by_text("scopes: write:issue, write:repository, read:user")).to_be_visible()
        self._steps.done("Gitea's address and the bot's token are typed, a wrong one first, and good")

    def _name_model(self, llm: FakeLLM) -> None:
        self.page.get_by_label("Model, as opencode names it").fill("scripted/main")
        self.page.get_by_label("Key of its provider").fill(KEY)
        self.page.get_by_label("Address of its provider").fill(llm.base_url)
        self._press("Take this one and ask it")
        expect(self.page.locator("#model")).to_contain_text("scripted/main answered in")
        self._steps.done("a model is named, with its key, and has answered the agent")

    def _choose(self) -> None:
        self.page.get_by_label("In those ticked here").check()
        self.page.get_by_label(REPO).check()
        self._press("Write the settings and start")
        expect(self.page.get_by_role("heading", name="Doctor")).to_be_visible()
        self._steps.done("a repository is chosen, the settings are written, the service has started with them")

    def _see_the_doctor(self) -> None:
        expect(self.page.get_by_role("heading", name="All is well.")).to_be_visible()
        expect(self.page.locator("#doctor .row", has_text="round trip")).to_contain_text("came back in")
        self._steps.done("the doctor has looked: all is well, and a test delivery came back")

    def _ask(self, gitea: AnyGitea) -> int:
        issue = gitea.open_issue(REPO, WRITER, "Crash on empty input", "stub: write app.py fixed").number
        gitea.label(REPO, issue, "kugetsu/code", WRITER)
        gitea.wait_until(lambda: gitea.pulls_of(REPO), "the pull request", PATIENCE)
        self._steps.done("an issue got the label kugetsu/code, and there is its pull request")
        gitea.wait_until(lambda: "kugetsu/done" in gitea.labels_of(REPO, issue), "the end of the job", PATIENCE)
        gitea.settle()
        return issue


def main() -> int:
    """The whole way; 0 where there is a pull request at its end."""
    steps = Steps()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kugetsu-first-start-")))
        gitea = stack.enter_context(FakeGitea(root / "gitea"))
        llm = stack.enter_context(llm_on_stage())
        browser = stack.enter_context(newcomer.chromium())
        expect.set_options(timeout=PATIENCE * 1000)
        steps = Steps()
        clone, home = root / "kugetsu", root / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True)
        steps.done("git clone")
        terminal = Terminal(home, ["make", "run"], clone, machine=True, PORT=str(free_port()))
        stack.callback(terminal.end)
        journey = Journey(browser, terminal, steps, lambda _: None)
        stack.callback(journey.close)
        journey.go(gitea, llm, people_of(gitea))
    print(steps.told().lstrip("\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
