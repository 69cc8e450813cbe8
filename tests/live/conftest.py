"""The real opencode under the real keeper, in the sandbox this machine has, with a scripted LLM."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs import agent, opencode, sandbox
from jobs.agent import RunSpec, RunState
from jobs.keeper import KeeperResult
from jobs.opencode import AgentMissing, Invocation, Program, Surroundings
from jobs.place import Place
from jobs.processes import carrying
from jobs.transcript import Cancelled, Completed, Failed, ShutDown, Transcript, judge
from jobs.watch import Limits
from tests.fakes.llm import FakeLLM, opencode_config
from tests.unit.runs import wait_until

PATIENT = Limits(wall=300, start=150, stall=150)
_IDENTITY = ("-c", "user.name=A person", "-c", "user.email=person@example.org")


@dataclass
class Ended:
    """A run that has ended, and all that is known of it."""

    spec: RunSpec
    transcript: Transcript
    result: KeeperResult

    @property
    def verdict(self) -> Completed | Failed | Cancelled | ShutDown:
        return judge(self.transcript, self.result)

    def shown_by_tools(self) -> str:
        """What the tools printed, as opencode passed it on."""
        events = [json.loads(line) for line in (self.spec.run_dir / "events.jsonl").read_text().splitlines()]
        return "\n".join(event["part"]["state"]["output"] for event in events if event["type"] == "tool_use")


class Live:
    """One thread's place with a repository in it, and an LLM to be scripted."""

    def __init__(self, root: Path, llm: FakeLLM, program: Program, box: sandbox.Sandbox) -> None:
        self.root, self.llm, self.program, self.box = root, llm, program, box
        self.place = Place.at(root / "worktrees/one")
        self.lock = root / "worktrees/one+lock"
        self.config = opencode_config(llm.base_url)
        (root / "models.json").write_text("{}")
        self._runs = 0
        self._make_repository()

    def _make_repository(self) -> None:
        self.place.root.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", "--bare", self.place.repo], check=True)
        empty = self.git("hash-object", "-t", "tree", "-w", "/dev/null", folder=self.place.repo).strip()
        root = self.git(*_IDENTITY, "commit-tree", empty, "-m", "Empty", folder=self.place.repo).strip()
        self.git("worktree", "add", "-q", "-b", "work", str(self.place.tree), root, folder=self.place.repo)
        (self.place.tree / "app.py").write_text("print('hello')\n")
        self.git("add", "-A")
        self.git(*_IDENTITY, "commit", "-q", "-m", "First")

    def git(self, *words: str, folder: Path | None = None) -> str:
        """Git as the test itself: nothing in these repositories is hostile."""
        argv = ["git", "-c", "safe.directory=*", "-C", str(folder or self.place.tree), *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def start(
        self,
        prompt: str = "Do it.",
        *,
        session: str | None = None,
        limits: Limits = PATIENT,
        images: Mapping[str, bytes] | None = None,
        own_config: Mapping[str, bytes] | None = None,
    ) -> RunSpec:
        """`images` go with the prompt, by the names of files; `own_config` is the repository's, where it is allowed."""
        self._runs += 1
        run_dir = self.root / f"jobs/1/run-{self._runs}"
        shown = tuple(str(run_dir / name) for name in images or ())
        given = Surroundings(
            place=self.place,
            run_dir=run_dir,
            bot_name="kugetsu",
            bot_email="kugetsu@noreply.example.org",
            sandboxed=self.box.kind == "bwrap",
            config=json.dumps(self.config),
            models=self.root / "models.json",
            guide=GUIDE,
            own_config=own_config or {},
        )
        spec = RunSpec(
            argv=Invocation(self.program, session=session, title="An issue", images=shown).argv(),
            env=opencode.environment(given, self.program),
            prompt=prompt,
            place=self.place,
            sandbox=self.box,
            lock=self.lock,
            run_dir=run_dir,
            limits=limits,
            files={**opencode.files(given), **(images or {})},
            read_only=opencode.read_only(given, self.program),
            hide=[self.root],
        )
        agent.launch(spec)
        return spec

    def follow(self, spec: RunSpec, *, cancelled: Callable[[], bool] = lambda: False) -> Ended:
        """Read the run along to its end; afterwards nothing of it may live."""
        read = Transcript()

        def should_stop() -> str | None:
            return "cancelled" if cancelled() else read.stuck

        state = agent.follow(spec.run_dir, self.lock, on_lines=read.feed_all, should_stop=should_stop)
        result = agent.result_of(spec.run_dir)
        assert state is RunState.ENDED
        assert result is not None
        assert carrying(f"HOME={self.place.home}") == set()
        return Ended(spec, read, result)

    def clean_up(self) -> None:
        """End whatever the test left running."""
        for run_dir in self.root.glob("jobs/1/run-*"):
            agent.request_stop(run_dir, "the test is over")
        wait_until("the end of all that the test began", self._all_ended)

    def _all_ended(self) -> bool:
        agent.end_strays(self.lock, self.place)
        return not agent.is_held(self.lock)

    def run(self, prompt: str = "Do it.", *, session: str | None = None, limits: Limits = PATIENT) -> Ended:
        return self.follow(self.start(prompt, session=session, limits=limits))


GUIDE = "Always answer in rhymes.\n"
"""The AGENTS.md of the default branch."""


@pytest.fixture(scope="session")
def program() -> Program:
    """The real opencode."""
    try:
        return opencode.find("opencode", path=os.environ["PATH"])
    except AgentMissing:
        pytest.fail("no opencode here; this installs it: make opencode")


@pytest.fixture
def llm() -> Iterator[FakeLLM]:
    with FakeLLM() as server:
        yield server


@pytest.fixture
def live(tmp_path: Path, llm: FakeLLM, program: Program) -> Iterator[Live]:
    made = Live(tmp_path, llm, program, sandbox.choose("auto", tmp_path))
    yield made
    made.clean_up()


@pytest.fixture
def unboxed(tmp_path: Path, llm: FakeLLM, program: Program) -> Iterator[Live]:
    made = Live(tmp_path, llm, program, sandbox.choose("none", tmp_path))
    yield made
    made.clean_up()
