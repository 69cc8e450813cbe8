"""`make screenshots`: the pages of the demo as pictures for the README, made anew into `deploy/screenshots`.

The demo's main job is done by the real opencode; a few more asks beside it let every page show something.
"""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from jobs import opencode
from tests.browser import newcomer
from tests.browser.first_start import PATIENCE, Journey, llm_on_stage, people_of
from tests.browser.newcomer import Steps, Terminal
from tests.demo import BOT, PERSON, REPO, Stage, do_the_main_job, on_stage
from tests.fakes.gitea import FakeGitea
from tests.ports import free_port

FOLDER = Path(__file__).parent.parent / "deploy/screenshots"
QUALITY = 60
SCREEN, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
ASKS = (
    ("A dark theme for the settings page", "priority/high"),
    ("The export forgets its last line", ""),
    ("Say what a wrong date should look like", "priority/low"),
)
PICTURES = {
    "status": ("/admin", SCREEN, "light"),
    "status-phone": ("/admin", PHONE, "dark"),
    "charts": ("/admin/charts", SCREEN, "light"),
    "jobs": ("/admin/jobs", SCREEN, "light"),
    "job": ("/admin/jobs/1", SCREEN, "light"),
    "job-dark": ("/admin/jobs/1", SCREEN, "dark"),
    "deliveries": ("/admin/deliveries", SCREEN, "light"),
    "delivery": ("/admin/deliveries/2", SCREEN, "light"),
    "repositories": ("/admin/repos", SCREEN, "light"),
    "notices": ("/admin/notices", SCREEN, "light"),
}
"""Each picture's page, size and colours. Two more are made on a newcomer's way: the first start, and the doctor."""


def main() -> int:
    """Make all pictures."""
    FOLDER.mkdir(exist_ok=True)
    expect.set_options(timeout=PATIENCE * 1000)
    with tempfile.TemporaryDirectory(prefix="kugetsu-screenshots-") as folder, newcomer.chromium() as browser:
        _of_a_newcomer(browser, Path(folder))
    with tempfile.TemporaryDirectory(prefix="kugetsu-screenshots-") as folder, on_stage(Path(folder)) as up:
        do_the_main_job(up)
        _ask_for_more(up)
        with newcomer.chromium() as browser:
            for name, (address, size, scheme) in PICTURES.items():
                options: Any = {"viewport": size, "color_scheme": scheme, "locale": "en-GB", "timezone_id": "UTC"}
                with browser.new_context(base_url=up.service, **options) as context:
                    page = context.new_page()
                    page.goto(address)
                    _keep(page, FOLDER / f"{name}.webp")
    return 0


def _of_a_newcomer(browser: Browser, folder: Path) -> None:
    """The first-start page with all that is asked there, and what the doctor says at its end."""

    def look(page: Page) -> None:
        if page.get_by_label("In those ticked here").is_visible():
            _keep(page, FOLDER / "first-start.webp")

    with ExitStack() as stack:
        gitea = stack.enter_context(FakeGitea(folder / "gitea"))
        llm = stack.enter_context(llm_on_stage())
        (home := folder / "home").mkdir()
        terminal = Terminal(home, newcomer.SERVE, folder, PORT=str(free_port()))
        stack.callback(terminal.end)
        journey = Journey(browser, terminal, Steps(), look)
        stack.callback(journey.close)
        journey.go(gitea, llm, people_of(gitea))
        _keep(journey.page, FOLDER / "doctor.webp")


def _ask_for_more(up: Stage) -> None:
    """One job runs and the others wait, for there is room for one."""
    up.client.post("/admin/capacity", json={"limit": 1})
    gitea = up.gitea
    for name in ("priority/high", "priority/low"):
        gitea.create_label(REPO, name, exclusive=True)
    for title, priority in ASKS:
        issue = gitea.open_issue(REPO, PERSON, title, "").number
        if priority:
            gitea.label(REPO, issue, priority, PERSON)
        gitea.label(REPO, issue, "kugetsu/code", PERSON)
    gitea.wait_until(lambda: len(_open_jobs(up)) == len(ASKS) and _open_jobs(up)[0] == "running", f"{BOT} to begin")


def _open_jobs(up: Stage) -> list[str]:
    """The states of the jobs that have not ended, the one that runs first."""
    found = up.client.get("/admin/jobs").json()["jobs"]
    return sorted((job["state"] for job in found if job["outcome"] is None), reverse=True)


def _keep(page: Page, path: Path) -> None:
    """The whole page as WebP, which Playwright itself does not write."""
    width = page.evaluate("document.documentElement.clientWidth")
    height = min(page.evaluate("document.documentElement.scrollHeight"), 1600)
    page.set_viewport_size({"width": width, "height": height})  # what is out of sight is not drawn
    page.wait_for_timeout(300)
    shot = {"format": "webp", "quality": QUALITY}
    answer = page.context.new_cdp_session(page).send("Page.captureScreenshot", shot)
    path.write_bytes(base64.b64decode(answer["data"]))
    print(f"{path.name}: {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    opencode.find("opencode", path=os.environ.get("PATH", ""))
    sys.exit(main())
