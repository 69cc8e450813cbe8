"""The pages as people see and use them, in headless Chromium."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from models import checkups
from tests.browser.conftest import PATIENCE_MS, ROOT, TOKEN, Open
from tests.fakes.answers import Reply, answering
from tests.world import READER, WRITER, World

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PHONE, SCREEN = ViewportSize(width=320, height=640), ViewportSize(width=1440, height=900)
LOOKS: tuple[tuple[ViewportSize, Literal["light", "dark"]], ...] = ((PHONE, "light"), (SCREEN, "dark"))
PAGES = ("/admin", "/admin/jobs", "/admin/jobs/{job}", "/admin/deliveries",
    "/admin/deliveries/1", "/admin/charts", "/admin/repos", "/admin/notices",
    "/admin/doctor", "/admin/signin", "/admin/jobs/999999")  # fmt: skip


def complaints(page: Page) -> list[str]:
    """What axe finds wrong with a page."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    options = {"runOnly": {"type": "tag", "values": list(RULES)}}
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [f"{rule['id']}: {rule['help']}: {[node['html'][:150] for node in rule['nodes'][:3]]}" for rule in found]


@pytest.mark.parametrize("path", PAGES)
def test_nobody_is_shut_out_of_a_page(open_page: Open, finished: int, path: str) -> None:
    """On a phone and on a screen, light and dark: nothing for axe to find, and nothing to scroll sideways for."""
    page = open_page(path.format(job=finished), viewport=PHONE, color_scheme="light", may_fail="9999" in path)
    page.locator("details").evaluate_all("parts => parts.forEach(part => { part.open = true; })")
    for size, scheme in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        assert complaints(page) == [], f"{size} {scheme}"
        assert page.evaluate("document.scrollingElement.scrollWidth") <= size["width"]
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0]")
        assert (int(ground) < 64) == (scheme == "dark")


def test_the_log_arrives_while_the_agent_works_and_the_end_shows_by_itself(open_page: Open, world: World) -> None:
    body = "stub: run echo the first step\nstub: wait go\nstub: run echo the <b>second</b> step"
    issue = world.issue("Something long", body)
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(world_runs(world) + 1)
    number = next(job.id for job in world.jobs() if job.state != "done")
    page = open_page(f"/admin/jobs/{number}")
    log, state = page.locator("#log"), page.locator("#state")
    expect(log).to_contain_text("the first step", timeout=PATIENCE_MS)
    expect(state).to_contain_text("running")
    expect(log).not_to_contain_text("second")
    world.let_go(issue, "go")
    expect(log).to_contain_text("echo the <b>second</b> step", timeout=PATIENCE_MS)
    expect(state).to_contain_text("completed", timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Retry", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    assert log.locator("b").count() == 0
    texts = log.locator("code").all_inner_texts()
    assert len(texts) == len(set(texts)), "each step stands there once"
    world.wait_for_result(issue)


def world_runs(world: World) -> int:
    return len(world.agent_runs())


def test_the_status_follows_what_happens_without_being_opened_again(open_page: Open, world: World) -> None:
    page = open_page("/admin")
    issue = world.issue("Seen at once", "stub: wait go")
    world.label(issue, "kugetsu/code")
    expect(page.locator("#running")).to_contain_text("Seen at once", timeout=PATIENCE_MS)
    world.wait_for(lambda: world.session_known(issue), "the agent to speak")
    world.let_go(issue, "go")
    expect(page.locator("#running")).not_to_contain_text("Seen at once", timeout=PATIENCE_MS)
    world.wait_for_result(issue)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
def test_everything_can_be_done_by_its_button(open_page: Open, world: World, script: bool) -> None:
    page = open_page("/admin", java_script_enabled=script)
    page.get_by_label("Reason").fill("the <disk> is full")
    press(page, "Pause")
    expect(page.get_by_role("status")).to_contain_text("Paused")
    expect(page.locator("#troubles")).to_contain_text("Paused: the <disk> is full.")
    page.get_by_label("Agents at once").fill("5")
    press(page, "Set")
    expect(page.locator("#capacity")).to_contain_text("0 of 5")
    issue = world.issue(f"Waits {script}", "stub: say done")
    world.label(issue, "kugetsu/code")
    world.wait_for(lambda: any(job.state == "queued" for job in world.jobs()), "the job to wait")
    page.goto("/admin/jobs?state=queued")
    page.get_by_role("link", name=f"Waits {script}").click()
    press(page, "Raise priority")
    expect(page.locator(".timeline")).to_contain_text("gave it high priority")
    press(page, "Lower priority")
    expect(page.locator(".timeline")).to_contain_text("gave it normal priority")
    press(page, "Cancel")
    expect(page.locator("#state")).to_contain_text("cancelled")
    world.wait_for_result(issue)
    page.goto("/admin")
    press(page, "Resume")
    expect(page.get_by_role("status")).to_contain_text("Resumed")
    page.go_back()
    page.goto("/admin/jobs?q=" + f"Waits {script}")
    page.get_by_role("link", name=f"Waits {script}").first.click()
    press(page, "Retry fresh")
    expect(page.get_by_role("status")).to_contain_text("does it again")
    world.wait_for_result(issue, 2)
    page.goto("/admin/deliveries?verdict=accepted")
    page.locator(".row a").first.click()
    press(page, "Replay")
    expect(page.get_by_role("status")).to_contain_text("Replayed as delivery")
    world.wait_quiet()


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
def test_the_doctor_comes_when_called(open_page: Open, world: World, script: bool) -> None:
    page = open_page("/admin/doctor", java_script_enabled=script)
    page.get_by_label("Repository").fill(world.repo)
    press(page, "Look now")
    expect(page.get_by_text("The doctor is on the way.")).to_be_visible()
    found = page.locator("#doctor")
    expect(found).to_contain_text(world.repo)
    world.wait_for(lambda: looks_finished(world) == 1 + (not script), "the doctor to be done")
    if not script:
        page.reload()
    expect(found).to_contain_text("round trip", timeout=PATIENCE_MS)
    expect(found.get_by_role("heading")).to_contain_text("Nothing is wrong")
    if script:
        assert complaints(page) == []


def looks_finished(world: World) -> int:
    with world.database() as database:
        return checkups.version(database)[1]


def test_without_a_script_every_page_still_says_all_it_has_to(open_page: Open, finished: int) -> None:
    page = open_page(f"/admin/jobs/{finished}", java_script_enabled=False)
    expect(page.locator("#log")).to_contain_text("echo hello")
    expect(page.locator("time").first).to_contain_text("UTC")
    page.locator("#log summary").first.click()
    expect(page.locator("#log pre").first).to_be_visible()
    expect(page.locator("pre.diff")).to_contain_text("+fixed")


def test_times_are_those_of_the_readers_place(open_page: Open, finished: int) -> None:
    page = open_page(f"/admin/jobs/{finished}", timezone_id="Asia/Tokyo", locale="en-GB")
    time = page.locator(".timeline time").first
    shown = page.evaluate(
        "at => new Intl.DateTimeFormat('en-GB', {dateStyle: 'medium', timeStyle: 'short', timeZone: 'Asia/Tokyo'})"
        ".format(new Date(at))",
        time.get_attribute("datetime"),
    )
    assert time.inner_text() == shown
    assert (time.get_attribute("title") or "").endswith("UTC")


def test_the_keyboard_is_enough(open_page: Open) -> None:
    page = open_page("/admin")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.name"))
    assert {"Pause", "Set", "limit", "reason"} <= reached
    page.get_by_label("Reason").focus()
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect(page.locator("#troubles")).to_contain_text("Paused: by keyboard.")
    page.get_by_role("button", name="Resume").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Resumed")


def write_log(run: Path, lines: int) -> None:
    """So many more lines of a run's log."""
    state = {"status": "completed", "output": "x\n", "time": {"start": 0, "end": 1}}
    with (run / "events.jsonl").open("a") as file:
        for count in range(lines):
            part = {"tool": "bash", "state": {**state, "input": {"command": f"step {count}."}}}
            file.write(json.dumps({"type": "tool_use", "timestamp": 1_700_000_000_000, "part": part}) + "\n")


def test_a_live_log_of_fifty_thousand_lines_shows_its_end_and_loads_the_rest_on_demand(
    open_page: Open, world: World
) -> None:
    issue = world.issue("Very talkative", "stub: run echo begun\nstub: wait go")
    world.label(issue, "kugetsu/code")
    world.wait_for(lambda: world.session_known(issue), "the agent to speak")
    number = next(job.id for job in world.jobs() if job.state == "running")
    page = open_page(f"/admin/jobs/{number}")
    log, entries = page.locator("#log"), page.locator("#log > li")
    expect(log).to_contain_text("begun", timeout=PATIENCE_MS)
    write_log(world.home / "jobs" / str(number) / "run-1", 50_000)
    expect(log).to_contain_text("step 49999.", timeout=PATIENCE_MS)
    assert entries.count() <= 600
    assert "begun" not in (log.text_content() or "")
    for _ in range(2):
        first = str(entries.first.get_attribute("data-at"))
        page.get_by_role("link", name="Older").click()
        expect(entries.first).not_to_have_attribute("data-at", first)
    numbers = [int(text) for text in re.findall(r"step (\d+)\.", log.text_content() or "")]
    assert numbers == list(range(numbers[0], 50_000)), "no step is missing, none stands there twice"
    world.let_go(issue, "go")
    world.wait_for_result(issue)


def test_people_sign_in_with_gitea_and_see_what_is_theirs(
    contexts: Callable[..., BrowserContext], world: World, finished: int
) -> None:
    page = contexts().new_page()
    page.goto(f"/admin/jobs/{finished}")
    page.get_by_role("link", name="Sign in with").click()
    press(page, f"as {WRITER}")
    expect(page).to_have_url(f"{world.halves.url}/admin/jobs/{finished}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Crash on empty input")
    page.goto("/admin")
    assert page.get_by_role("button", name="Pause").count() == 0
    press(page, "Sign out")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_person_without_rights_sees_nothing(
    contexts: Callable[..., BrowserContext], world: World, finished: int
) -> None:
    page = contexts(may_fail=True).new_page()
    page.goto("/admin/jobs")
    page.get_by_role("link", name="Sign in with").click()
    press(page, f"as {READER}")
    for path in ("/admin", "/admin/jobs", "/admin/deliveries", "/admin/charts"):
        page.goto(path)
        assert "acme/" not in page.locator("main").inner_text()
    answer = page.goto(f"/admin/jobs/{finished}")
    assert answer is not None
    assert answer.status == 404


def test_an_administrator_of_the_site_sees_all(contexts: Callable[..., BrowserContext], world: World) -> None:
    page = contexts().new_page()
    page.goto("/admin")
    page.get_by_role("link", name="Sign in with").click()
    press(page, f"as {ROOT}")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_a_page_of_another_site_steers_nothing(
    contexts: Callable[..., BrowserContext], signed_in: Any, world: World
) -> None:
    """Another port of the same host is the same site for a browser: its cookies go along."""
    form = f'<form method="post" action="{world.halves.url}/admin/pause"><input name="reason" value="owned"></form>'
    evil = f"{form}<script>document.forms[0].submit()</script>".encode()
    with answering() as site:
        site.answering = lambda _method, _path: Reply(200, evil, {"Content-Type": "text/html"})
        page = contexts(storage_state=signed_in, may_fail=True).new_page()
        page.goto(site.url)
        expect(page.locator("main")).to_contain_text("A page of another site may not steer this service")
    page.goto("/admin")
    assert "owned" not in page.content()


def test_what_is_smuggled_into_a_page_does_not_run(
    contexts: Callable[..., BrowserContext], signed_in: Any, world: World
) -> None:
    smuggle = """() => {
        const script = document.createElement('script');
        script.textContent = 'document.title = "owned"';
        document.body.append(script);
        const image = document.createElement('div');
        image.innerHTML = '<img src="x" onerror="document.title = \\'owned\\'"><p style="position: fixed">x</p>';
        document.body.append(image);
        return getComputedStyle(image.querySelector('p')).position;
    }"""
    page = contexts(storage_state=signed_in, may_fail=True).new_page()
    page.goto("/admin")
    assert page.evaluate(smuggle) == "static"
    assert page.title() == "Status · Kugetsu"
    control = contexts(storage_state=signed_in, may_fail=True, bypass_csp=True).new_page()
    control.goto("/admin")
    assert control.evaluate(smuggle) == "fixed"
    assert control.title() == "owned", "without the policy it runs"


def test_no_page_can_be_put_into_a_frame(contexts: Callable[..., BrowserContext], signed_in: Any, world: World) -> None:
    def framed(path: str, **options: Any) -> str:
        frame = f'<iframe src="{world.halves.url}{path}"></iframe>'.encode()
        site.answering = lambda _method, _path: Reply(200, frame, {"Content-Type": "text/html"})
        page = contexts(storage_state=signed_in, may_fail=True, **options).new_page()
        page.goto(site.url)
        return page.frames[1].content()

    with answering() as site:
        assert "Capacity" not in framed("/admin")
        assert "alive" in framed("/healthz"), "what does not forbid it is framed"


def test_the_wrong_token_lets_nobody_in(contexts: Callable[..., BrowserContext]) -> None:
    page = contexts(may_fail=True).new_page()
    page.goto("/admin/signin")
    page.get_by_label("Admin token").fill(TOKEN[:-1])
    press(page, "Sign in")
    expect(page.get_by_role("alert")).to_contain_text("That is not the admin token.")
