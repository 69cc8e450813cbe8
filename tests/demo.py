"""The main job on this machine, no account needed: a fake Gitea, a scripted LLM, the real opencode, the real service.

`python -m tests.demo` labels an issue, shows what happens, and leaves everything up to be played with in a browser;
`--once` ends after the job. The last line is one JSON object; the exit code is 0 only if the job completed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from jobs import opencode
from tests.fakes.gitea import FakeGitea
from tests.fakes.llm import FakeLLM, Turn, bash, opencode_config, turn, use
from tests.ports import free_port

BOT, PERSON, REPO, SECRET = "kugetsu", "ada", "acme/widgets", "the-demo-secret"
FILES = {
    "app.py": "def first(items):\n    return items[0]\n",
    "test_app.py": "from app import first\n\n\ndef test_first():\n    assert first([1, 2]) == 1\n",
    "README.md": "# Widgets\n\nA small library, for the demo.\n",
}
FIXED = "def first(items):\n    return items[0] if items else None\n"
START_LIMIT, JOB_LIMIT = 60.0, 300.0
FIRST_WAIT = 0.8
"""Seconds the scripted LLM takes for a turn, so that one can watch."""


@dataclass(frozen=True)
class Stage:
    """What is up while the demo runs."""

    gitea: FakeGitea
    service: str
    client: httpx.Client


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; 0 only if the job completed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--once", action="store_true", help="end after the job")
    once = parser.parse_args(argv).once
    with tempfile.TemporaryDirectory(prefix="kugetsu-demo-") as folder, on_stage(Path(folder)) as stage:
        outcome = do_the_main_job(stage)
        if not once:
            _stay_up(stage)
    print(json.dumps(outcome))
    return 0 if outcome["outcome"] == "completed" else 1


@contextmanager
def on_stage(root: Path) -> Iterator[Stage]:
    with FakeLLM() as llm, FakeGitea(root / "gitea", demo_person=PERSON) as gitea:
        llm.play(*_script())
        gitea.user(BOT)
        gitea.repo(REPO, files=FILES, collaborators={PERSON: "write", BOT: "admin"})
        home = root / "kugetsu"
        home.mkdir()
        (home / "opencode.json").write_text(json.dumps(opencode_config(llm.base_url)), encoding="utf-8")
        (home / "models.json").write_text("{}", encoding="utf-8")
        port = free_port()
        settings = {
            "HOME": str(home),
            "PORT": str(port),
            "GITEA_URL": gitea.url,
            "GITEA_TOKEN": gitea.token_for(BOT),
            "WEBHOOK_SECRET": SECRET,
            "VERBOSITY": "verbose",
        }
        service = f"http://127.0.0.1:{port}"
        with _serving(settings, root / "service.log"), httpx.Client(base_url=service, trust_env=False) as client:
            _wait_until_ready(client, root / "service.log")
            gitea.wait_until(lambda: gitea.forge.state.repo(REPO).hooks, "Kugetsu to make its webhook")
            yield Stage(gitea, service, client)


def _script() -> list[Turn]:
    """What the LLM does with every prompt: look, mend, note what it did, say so."""
    note = "date -u '+- worked on it at %H:%M:%S' >> NOTES.md"
    return [
        turn("Let me look at the code.", use("read", filePath="{cwd}/app.py"), delay=FIRST_WAIT),
        turn(
            "An empty list has no first item.", use("write", filePath="{cwd}/app.py", content=FIXED), delay=FIRST_WAIT
        ),
        turn("I note what I did.", bash(note), delay=FIRST_WAIT),
        turn("`first([])` gives `None` now instead of raising IndexError, and NOTES.md says so.", delay=FIRST_WAIT),
    ]


@contextmanager
def _serving(settings: dict[str, str], log: Path) -> Iterator[None]:
    """`kugetsu serve` as a process of its own, ended by SIGTERM."""
    environ = {f"KUGETSU_{name}": value for name, value in settings.items()}
    environ |= {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "-P", "-m", "webhook.cli", "serve"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(client: httpx.Client, log: Path) -> None:
    until = time.monotonic() + START_LIMIT
    while time.monotonic() < until:
        try:
            if client.get("/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"Kugetsu was not ready within {START_LIMIT:g} s; its log:\n{log.read_text(errors='replace')}")


def do_the_main_job(stage: Stage) -> dict[str, object]:
    gitea = stage.gitea
    began = time.monotonic()
    issue = gitea.open_issue(REPO, PERSON, "first() crashes on an empty list", "It should give None.").number
    gitea.wait_until(lambda: "kugetsu/code" in gitea.label_names(REPO), "Kugetsu to make its labels")
    print(f"{PERSON} puts the label kugetsu/code on {gitea.url}/{REPO}/issues/{issue}")
    gitea.label(REPO, issue, "kugetsu/code", PERSON)
    watching = _Watching(gitea, issue)
    gitea.wait_until(watching.is_over, "the end of the job", JOB_LIMIT)
    gitea.settle()
    return _summary(stage, issue, time.monotonic() - began)


class _Watching:
    """Prints each change of the issue, as a person would see it."""

    def __init__(self, gitea: FakeGitea, issue: int) -> None:
        self._gitea = gitea
        self._issue = issue
        self._seen: dict[object, str] = {}

    def is_over(self) -> bool:
        self._show("label", ", ".join(self._gitea.labels_of(REPO, self._issue)))
        for entry in self._gitea.comments_of(REPO, self._issue):
            self._show(f"comment {entry.id}", entry.body.partition("\n<sub>")[0].strip())
        for pull in self._gitea.pulls_of(REPO):
            self._show("pull request", f"#{pull.number} {pull.title}")
        told = any("part=result" in entry.body for entry in self._gitea.comments_of(REPO, self._issue))
        answers = ("kugetsu/done", "kugetsu/failed", "kugetsu/cancelled")
        return told and any(name in answers for name in self._gitea.labels_of(REPO, self._issue))

    def _show(self, what: str, text: str) -> None:
        if text and self._seen.get(what) != text:
            self._seen[what] = text
            print(f"  {what}: " + text.replace("\n", "\n    "), flush=True)


def _summary(stage: Stage, issue: int, seconds: float) -> dict[str, object]:
    status = stage.client.get("/admin/status").json()
    job = stage.client.get("/admin/jobs", headers={"Accept": "application/json"}).json()["jobs"][0]
    pulls = stage.gitea.pulls_of(REPO)
    return {
        "outcome": job["outcome"],
        "issue": issue,
        "job": job["id"],
        "pull": pulls[0].number if pulls else None,
        "label": ", ".join(stage.gitea.labels_of(REPO, issue)),
        "comments": len(stage.gitea.comments_of(REPO, issue)),
        "agent": status["agent"]["version"],
        "seconds": round(seconds, 1),
    }


def _stay_up(stage: Stage) -> None:
    page = f"{stage.gitea.url}/{REPO}/issues/1"
    print(f"\nEverything stays up. Comment `/kugetsu …` or set labels at {page}")
    print(f"The service's own pages: {stage.service}/admin. Ctrl-C ends it.", flush=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


if __name__ == "__main__":
    opencode.find("opencode", path=os.environ.get("PATH", ""))
    sys.exit(main())
