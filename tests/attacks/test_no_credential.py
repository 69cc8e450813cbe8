"""The agent looks for credentials wherever it can: a stub that needs no persuasion, in the real sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from jobs.gateway import files
from tests.fakes.provider import FakeProvider
from tests.flows.conftest import MakeWorld
from tests.world import World

KEY, OTHER = "sk-of-acme-0123456789", "sk-ant-of-claude-9876543210"
LOOK = (
    "stub: run env; cat $OPENCODE_CONFIG; cat /proc/[0-9]*/environ | tr '\\0' '\\n'; "
    "grep -rsh sk- $HOME/../.. $(dirname $OPENCODE_CONFIG)/../../..; echo looked"
)


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as made:
        yield made


def prepared(make_world: MakeWorld, provider: FakeProvider, **settings: str) -> World:
    """A world whose administrator has set up one provider in opencode.json, and one by a variable."""
    options = {"baseURL": f"{provider.url}/v1", "apiKey": "{env:ACME_KEY}"}
    config = {"provider": {"acme": {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"big": {}}}}}
    world = make_world(**settings)
    world.halves.stop_worker()
    (world.home / "opencode.json").write_text(f"// of the house\n{json.dumps(config)}")
    world.halves._environ = {**world.halves._environ, "ACME_KEY": KEY, "ANTHROPIC_API_KEY": OTHER, "MYSTERY": OTHER}
    world.halves.start_worker()
    return world


def events(world: World) -> str:
    return "\n".join(path.read_text() for path in (world.home / "jobs").glob("*/run-*/events.jsonl"))


def credentials(world: World) -> object:
    return httpx.get(f"{world.halves.url}/admin/status", trust_env=False).json()["credentials"]


def test_neither_environment_nor_files_nor_processes_hold_a_key(make_world: MakeWorld, provider: FakeProvider) -> None:
    world = prepared(make_world, provider, AGENT_ENV="ANTHROPIC_API_KEY", SANDBOX="bwrap")
    issue = world.issue("Look for keys", LOOK)
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    assert "looked" in events(world)
    assert "kugetsu-" in events(world), "it does hold the token of its job"
    assert KEY not in events(world)
    assert OTHER not in events(world)
    assert credentials(world) == "none"


def test_a_variable_that_the_gateway_does_not_know_is_handed_over_and_named(
    make_world: MakeWorld, provider: FakeProvider
) -> None:
    """The control: what is not kept is seen, and the status says so."""
    world = prepared(make_world, provider, AGENT_ENV="MYSTERY", SANDBOX="bwrap")
    issue = world.issue("Look for keys", LOOK)
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    assert f"MYSTERY={OTHER}" in events(world)
    assert KEY not in events(world)
    assert credentials(world) == ["MYSTERY"]


def test_the_token_is_worth_something_only_while_its_job_runs(make_world: MakeWorld, provider: FakeProvider) -> None:
    world = prepared(make_world, provider, SANDBOX="bwrap")
    keep = "grep -o 'kugetsu-[A-Za-z0-9_-]*' $OPENCODE_CONFIG > token"
    issue = world.issue("Keep the token", f"stub: run {keep}\nstub: wait go")
    world.label(issue, "kugetsu/code")
    world.wait_for_agents(1)
    (place,) = world.places()
    world.wait_for(lambda: (place / "tree/token").exists() and bool((place / "tree/token").read_text()), "the token")
    token = (place / "tree/token").read_text().strip()
    found = files.running(world.home)
    assert found is not None

    def status() -> int:
        address = f"http://127.0.0.1:{found.port}/acme/chat/completions"
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.post(address, json={"model": "big"}, headers=headers, trust_env=False).status_code

    assert status() == 200
    assert provider.asked[0].headers["authorization"] == f"Bearer {KEY}"
    world.let_go(issue, "go")
    world.wait_for_result(issue)
    assert status() == 403


@pytest.mark.parametrize("box", ["bwrap", "none"])
def test_the_token_of_another_job_is_out_of_sight(make_world: MakeWorld, provider: FakeProvider, box: str) -> None:
    """The control is `none`: without a sandbox it is read."""
    world = prepared(make_world, provider, SANDBOX=box)
    victim = world.issue("Work", "stub: wait go")
    world.label(victim, "kugetsu/code")
    world.wait_for_agents(1)
    (config,) = (world.home / "jobs").glob("*/run-1/opencode.json")
    token = json.loads(config.read_text())["provider"]["acme"]["options"]["apiKey"]
    thief = world.issue("Steal", f"stub: run grep -rsh apiKey {world.home}/jobs | sort; echo looked")
    world.label(thief, "kugetsu/code")
    world.wait_until(lambda: world.said(thief, "result"), "the thief's end")
    assert (token in events(world)) == (box == "none")
    assert (credentials(world) == "none") == (box == "bwrap")
    world.let_go(victim, "go")
    world.wait_for_result(victim)
