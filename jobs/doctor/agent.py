"""The last link: the agent is there, and the model answers it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from jobs import agent, opencode
from jobs.agent import AgentLocked, LaunchFailed, RunSpec
from jobs.opencode import AgentMissing, Invocation, Program, Surroundings
from jobs.place import Place
from jobs.sandbox import Sandbox
from jobs.transcript import Completed, Failed, Transcript, judge
from jobs.watch import Limits
from models.checkup import Finding, warning, well, wrong
from models.settings import Settings

PROMPT = "This is a test of the connection. Answer with the one word: ready. Use no tools."
ANSWER_SECONDS = 120.0
TITLE = "doctor"
_STOPPED = "nobody waits for the answer any more"


def look(settings: Settings, environ: Mapping[str, str], box: Sandbox) -> Iterator[Finding]:
    """The program, what it is handed, and one answer of the model."""
    missing = [name for name in settings.agent_env if not environ.get(name)]
    if missing:
        what = f"KUGETSU_AGENT_ENV names {', '.join(missing)}, which is not set here"
        why = "the service may be started with other variables than this command"
        yield warning("agent variables", what, why=why, cure=f"export {missing[0]}=…")
    try:
        program = opencode.find(settings.agent_command, path=environ.get("PATH", ""))
    except AgentMissing as error:
        yield wrong("agent", str(error), why="no worker starts", cure="make opencode, or set KUGETSU_AGENT_COMMAND")
        return
    yield well("agent", agent.version(program, box) or program.name)
    yield model(settings, environ, program, box)


def model(
    settings: Settings,
    environ: Mapping[str, str],
    program: Program,
    box: Sandbox,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Finding:
    """Have the agent ask its model for one word, in a place of its own, with the keys that the service has. It is ended
    as soon as `stop` says so.
    """
    named = settings.model or "the agent's own choice of model"
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kugetsu-doctor-") as folder:
        ended = _run(settings, environ, program, box, Path(folder).resolve(), stop)
    if isinstance(ended, Completed):
        return well("model", f"{named} answered in {time.monotonic() - began:.1f} s")
    said = ended.reason if isinstance(ended, Failed) else "it was ended"
    cure = f"mend the key in {settings.home / 'opencode.json'} or a variable of KUGETSU_AGENT_ENV, or KUGETSU_MODEL"
    return wrong("model", f"{named} does not answer: {said}", why="each job fails with this", cure=cure)


def _run(  # noqa: PLR0917 - it is one step of `model`
    settings: Settings,
    environ: Mapping[str, str],
    program: Program,
    box: Sandbox,
    folder: Path,
    stop: Callable[[], bool],
) -> Completed | Failed | object:
    place, run_dir, lock = Place.at(folder / "place"), folder / "run", folder / "lock"
    for made in (place.root, place.tree, place.home, place.tmp):
        made.mkdir()
    given = _surroundings(settings, environ, box, place, run_dir)
    spec = RunSpec(
        argv=Invocation(program=program, model=settings.model, title=TITLE).argv(),
        env=opencode.environment(given, program),
        prompt=PROMPT,
        place=place,
        sandbox=box,
        lock=lock,
        run_dir=run_dir,
        limits=Limits(wall=ANSWER_SECONDS, start=ANSWER_SECONDS, stall=ANSWER_SECONDS),
        files=opencode.files(given),
        read_only=opencode.read_only(given, program),
        hide=(settings.home.resolve(),),
    )
    transcript = Transcript()
    try:
        agent.launch(spec)
        agent.follow(
            run_dir, lock, on_lines=transcript.feed_all, should_stop=lambda: _STOPPED if stop() else transcript.stuck
        )
    except (AgentLocked, LaunchFailed) as error:
        return Failed(str(error))
    result = agent.result_of(run_dir)
    return judge(transcript, result) if result is not None else Failed("its keeper was lost")


def _surroundings(
    settings: Settings, environ: Mapping[str, str], box: Sandbox, place: Place, run_dir: Path
) -> Surroundings:
    home = settings.home.resolve()
    config, models = home / "opencode.json", home / "models.json"
    return Surroundings(
        place=place,
        run_dir=run_dir,
        bot_name="kugetsu",
        bot_email="kugetsu@localhost",
        sandboxed=box.kind == "bwrap",
        config=config.read_text(encoding="utf-8") if config.is_file() else None,
        models=models if models.is_file() else None,
        extra={name: environ[name] for name in settings.agent_env if name in environ},
    )
