"""How fast deliveries are answered while three real agents work: 200 a second for 20 s, and nothing lost.

The peer is the same server with the same verification that stores nothing and has no worker: what HTTP alone costs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from jobs.gitea import Gitea
from models import hooks
from models.hook_keys import repository_scope, secret_for
from tests.fakes.gitea import FakeGitea
from tests.fakes.llm import FakeLLM, bash, opencode_config, turn
from tests.unit.deliveries import recorded
from tests.world import REPO, SECRET, World
from webhook import signature

RATE, SECONDS, AGENTS = 200, 20, 3


class Signed(NamedTuple):
    """Of which repository deliveries tell, its number, and the secret they are signed with."""

    repo: str
    number: int
    secret: str


def measure(folder: Path) -> dict[str, object]:
    """Answer times in milliseconds, what was stored, and the ratio to the peer."""
    with FakeLLM() as llm, FakeGitea(folder / "gitea") as gitea:
        llm.play(*[turn("Working.", bash("ls -la && git log --oneline | head", timeout=5000), delay=0.3)] * 400)
        world = World(folder, gitea, AGENT_COMMAND="opencode", MAX_CONCURRENT_AGENTS=str(AGENTS))
        world.home.mkdir()
        (world.home / "opencode.json").write_text(json.dumps(opencode_config(llm.base_url)), encoding="utf-8")
        (world.home / "models.json").write_text("{}", encoding="utf-8")
        ours = _under_load(world, llm, gitea)
    peer = _peer(folder)
    return {
        "agents at work meanwhile": AGENTS,
        **{f"Kugetsu {name}": value for name, value in ours.items()},
        **{f"peer (verifies, stores nothing) {name}": value for name, value in peer.items()},
        "ratio of p50": round(float(ours["p50 ms"]) / max(float(peer["p50 ms"]), 0.001), 1),
        "ratio of p99": round(float(ours["p99 ms"]) / max(float(peer["p99 ms"]), 0.001), 1),
    }


def _under_load(world: World, llm: FakeLLM, gitea: FakeGitea) -> dict[str, float | str]:
    world.halves.start_both_as_processes()
    try:
        gitea.hook(world.repo, f"{world.halves.url}/webhook", SECRET)
        return _with_agents_at_work(world, llm)
    finally:
        world.halves.stop_both_processes()


def _with_agents_at_work(world: World, llm: FakeLLM) -> dict[str, float | str]:
    issues = [world.issue(f"Long work {number}") for number in range(AGENTS)]
    for issue in issues:
        world.label(issue, "kugetsu/code")
    llm.wait_for_turns(AGENTS * 2, 120)
    world.gitea.settle()
    before, turns = len(world.deliveries()), len(llm.turns)
    told = _load(f"{world.halves.url}/webhook", _plan(issues, _repository(world)), world.root)
    stored, worked = len(world.deliveries()) - before, len(llm.turns) - turns
    for issue in issues:
        world.comment(issue, "/kugetsu cancel")
    # The desk is never idle after it: the deliveries are recorded ones, of pull requests that are not there.
    world.wait_for(lambda: all(job.state == "done" for job in world.jobs()), "the agents to be ended", 120)
    return _shown(told) | {"stored meanwhile": stored, "turns the agents took meanwhile": worked}


def _repository(world: World) -> Signed:
    """The repository as a webhook of its own tells of it, which Kugetsu would have made and listed."""
    with Gitea(world.gitea.url, world.token) as client:
        number = client.repo(world.repo).id
    with world.database() as database:
        hooks.listed(database, world.server, {world.repo: {"remote_id": number}}, now=time.time())
    return Signed(world.repo, number, secret_for(SECRET, repository_scope(number)))


def _plan(issues: list[int], by: Signed) -> list[dict[str, str]]:
    """What a busy server sends: mostly nothing for us, some of it for the desk; each comment is a new one."""
    plan = []
    for number in range(RATE * SECONDS):
        kind = number % 10
        name = "push" if kind < 4 else "pull_request-synchronized" if kind < 6 else "issue_comment-created"
        if kind == 9:
            name = "issues-label_updated-replaced-empty"
        plan.append(_item(name, number, issues, by))
    return plan


def _item(name: str, number: int, issues: list[int], by: Signed) -> dict[str, str]:
    delivery = recorded()[name]
    payload = json.loads(delivery.body)
    if "comment" in payload:
        payload["comment"] |= {"id": 500_000 + number, "body": "I see the same here."}
    if "issue" in payload:
        payload["issue"]["number"] = issues[number % len(issues)]
    payload["repository"] |= {"full_name": by.repo, "id": by.number}
    return {"event": delivery.event_type, "body": json.dumps(payload, indent=2), "secret": by.secret}


def _load(url: str, plan: list[dict[str, str]], folder: Path) -> dict[str, object]:
    """Run the load from a process of its own."""
    path = folder / "plan.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    command = [sys.executable, "-m", "tests.bench.load", url, str(RATE), str(SECONDS), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    told: dict[str, object] = json.loads(done.stdout)
    return told


def _shown(told: dict[str, object]) -> dict[str, float | str]:
    times = {f"{name} ms": round(float(str(told[name])) * 1000, 1) for name in ("p50", "p99", "max")}
    return {"sent": int(str(told["sent"])), "answers": json.dumps(told["statuses"]), **times}


def _peer(folder: Path) -> dict[str, float | str]:
    with _peer_server() as url:
        return _shown(_load(url, _plan([1], Signed(REPO, 1, SECRET)), folder))


@contextmanager
def _peer_server() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.bench.deliveries"]
    environ = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def _verify_only(request: Request) -> JSONResponse:
    good = signature.verify([SECRET.encode()], await request.body(), request.headers)
    return JSONResponse({"status": "accepted" if good else "refused"}, 202 if good else 401)


def _serve_peer() -> None:
    from webhook.listening import address_of, listen

    listening = listen("127.0.0.1", 0)
    print(f"{address_of(listening)}/webhook", flush=True)
    app = Starlette(routes=[Route("/webhook", _verify_only, methods=["POST"])])
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    _serve_peer()
