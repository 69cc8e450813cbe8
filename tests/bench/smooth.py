"""Whether a live log stays smooth: the time between two frames of a browser while lines arrive in a log of 50,000.

The peer is a log of 50 lines to which the same lines are added. A screen that shows 60 frames a second has 16.7 ms for
each.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.bench.pages import LINES, NOW, append_log, fill, write_log
from tests.unit.website import Website, running, settings_for

FEW, JOB, SECONDS = 50, 30, 5.0
BURST, PAUSE = 10, 0.1
"""Lines that come at once, and seconds between two bursts: a hundred lines a second."""

FRAMES = """async seconds => {
  const times = [];
  const until = performance.now() + seconds * 1000;
  let before = await new Promise(requestAnimationFrame);
  while (before < until) {
    const now = await new Promise(requestAnimationFrame);
    times.push(now - before);
    before = now;
  }
  return times;
}"""


def measure(folder: Path) -> dict[str, object]:
    """Milliseconds. The two logs are looked at one after the other, in the same browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        return {"no Chromium is there": "-"}
    found: dict[str, object] = {}
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program, args=["--no-sandbox"]) as browser,
    ):
        for lines in (FEW, LINES):
            found |= _look(browser, folder / str(lines), lines)
    return found


def _look(browser: Browser, home: Path, lines: int) -> dict[str, object]:
    home.mkdir()
    with running(settings_for(home), clock=lambda: NOW) as site:
        with site.database.connection_context():
            fill(site.database, jobs=JOB, deliveries=10)
        run = site.settings.home / "jobs" / str(JOB) / "run-1"
        write_log(run, lines)
        frames, opened, shown = _frames(browser, site, run, lines)
    frames.sort()
    says = f"{lines:,} lines"
    return {
        f"{says}: opened, ms": round(opened * 1000),
        f"{says}: lines that arrived meanwhile and are shown": shown,
        f"{says}: between two frames, median ms": round(frames[len(frames) // 2], 1),
        f"{says}: of a hundred frames the slowest, ms": round(frames[int(len(frames) * 0.99)], 1),
    }


def _frames(browser: Browser, site: Website, run: Path, lines: int) -> tuple[list[float], float, int]:
    """The times between two frames while lines are written, how long the page took, and how many of them it shows."""
    stop = threading.Event()
    written = [lines]

    def write() -> None:
        while not stop.wait(PAUSE):
            append_log(run, written[0], BURST)
            written[0] += BURST

    writer = threading.Thread(target=write)
    with browser.new_context(base_url=site.url) as context:
        page = context.new_page()
        began = time.perf_counter()
        page.goto(f"/admin/jobs/{JOB}")
        page.locator("#log > li").last.wait_for()
        opened = time.perf_counter() - began
        writer.start()
        frames: Any = page.evaluate(FRAMES, SECONDS)
        stop.set()
        writer.join()
        page.get_by_text(re.compile(rf"\bstep {written[0] - 1}\b")).first.wait_for()
    return list(frames), opened, written[0] - lines
