"""The real opencode behind the gateway, in the whole service: no key in its hands, whatever happens to the worker."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import opencode
from jobs.gateway import files
from models.side_tables import Account, Gateway
from tests.fakes.gitea import FakeGitea
from tests.fakes.llm import FakeLLM, bash, opencode_config, turn
from tests.fakes.provider import FakeProvider, messages
from tests.world import World

pytestmark = pytest.mark.live
LONG = 150.0
KEY = "sk-scripted-0123456789"


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeGitea]:
    with FakeGitea(tmp_path / "gitea") as gitea:
        yield gitea


def started(
    tmp_path: Path, fake: FakeGitea, config: object, *, models: str = "", is_apart: bool = False, **settings: str
) -> World:
    """A world with the real opencode. `models` is its catalogue, where it is not to be opencode's own, which takes it
    seconds to read; `is_apart`: the worker is a process of its own.
    """
    program = opencode.find("opencode", path=os.environ["PATH"])
    home = tmp_path / "kugetsu"
    home.mkdir()
    (home / "opencode.json").write_text(json.dumps(config))
    if models:
        (home / "models.json").write_text(models)
    world = World(tmp_path, fake, AGENT_COMMAND=program.argv[0], **settings)
    world.worker_is_apart = is_apart
    return world


SEARCH = (
    "env; cat $OPENCODE_CONFIG; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'; "
    "grep -rsh sk-scripted $HOME/.. $(dirname $OPENCODE_CONFIG) $(dirname $OPENCODE_CONFIG)/../../..; "
    "echo searched"
)


def test_a_worker_that_is_killed_costs_no_answer_and_the_agent_finds_no_key(tmp_path: Path, fake: FakeGitea) -> None:
    with FakeLLM() as llm, started(tmp_path, fake, opencode_config(llm.base_url), models="{}", is_apart=True) as world:
        llm.play(turn("I look for keys.", bash(SEARCH)), turn("I write.", bash("echo hi > a.txt")), turn("Done."))
        issue = world.issue("Write a.txt")
        with llm.held() as hold:
            world.label(issue, "kugetsu/code")
            hold.wait_for(1, LONG)
            world.halves.signal_worker(signal.SIGKILL)
            world.halves.start_worker_process()
            world.wait_for_adoption()
        world.wait_for_result(issue, timeout=LONG)
        assert [request.turn for request in llm.turns] == [0, 1, 2], "no answer was asked for twice"
        assert {request.authorization for request in llm.turns} == {f"Bearer {KEY}"}
        (events,) = (world.home / "jobs").glob("*/run-*/events.jsonl")
        assert "searched" in events.read_text()
        assert KEY not in events.read_text()
        (job,) = world.jobs()
        assert (job.outcome, job.tokens_in, job.tokens_out) == ("completed", 300, 60)
        with world.database() as database:
            account = Account.select().where(Account.job == job.id).get(database)
            assert (account.tokens_in, account.tokens_out) == (300, 60), "the gateway has counted, too"
            assert [row.credentials for row in Gateway.select().execute(database)] == ["[]"]


@pytest.mark.parametrize("with_worker", [False, True], ids=["alone", "with its worker"])
def test_a_gateway_that_is_killed_in_the_middle_of_an_answer_costs_that_answer_only(
    tmp_path: Path, fake: FakeGitea, with_worker: bool
) -> None:
    with FakeLLM() as llm, started(tmp_path, fake, opencode_config(llm.base_url), models="{}", is_apart=True) as world:
        llm.play(turn("I write.", bash("echo hi > a.txt")), turn("Done."))
        issue = world.issue("Write a.txt")
        with llm.held() as hold:
            world.label(issue, "kugetsu/code")
            hold.wait_for(1, LONG)
            gateway = files.running(world.home)
            assert gateway is not None
            os.kill(int(gateway.process["pid"]), signal.SIGKILL)
            if with_worker:
                world.halves.signal_worker(signal.SIGKILL)
                world.halves.start_worker_process()
        world.wait_for_result(issue, timeout=LONG)
        again = files.running(world.home)
        assert again is not None
        assert (again.port, again.process["pid"] != gateway.process["pid"]) == (gateway.port, True)
        (job,) = world.jobs()
        assert (job.outcome, job.attempt, job.crashes, job.run) == ("completed", 0, 0, 1)
        assert world.gitea.file_at(world.repo, f"kugetsu/issue-{issue}", "a.txt") == "hi\n"


def test_anthropic_by_a_variable(tmp_path: Path, fake: FakeGitea) -> None:
    """The key comes from KUGETSU_AGENT_ENV; the provider is one of opencode's own catalogue."""
    key = "sk-ant-real-0123456789"
    with FakeProvider() as provider:
        config = {"provider": {"anthropic": {"options": {"baseURL": f"{provider.url}/v1"}}}}
        model = "anthropic/claude-sonnet-4-5"
        world = started(tmp_path, fake, config, MODEL=model, AGENT_ENV="ANTHROPIC_API_KEY")
        world.halves._environ = {**world.halves._environ, "ANTHROPIC_API_KEY": key}
        provider.answer(messages("Nothing", " to do.", usage={"input_tokens": 1000}, out=50, model="claude-sonnet-4-5"))
        with world:
            prices = files.prices_in(world.home)
            world.wait_for(lambda: bool(prices("anthropic")), "the prices in opencode's catalogue", LONG)
            issue = world.issue("Say something")
            world.label(issue, "kugetsu/code")
            world.wait_for_result(issue, timeout=LONG)
            (asked,) = provider.asked
            assert (asked.path, asked.headers["x-api-key"]) == ("/v1/messages", key)
            (job,) = world.jobs()
            assert (job.outcome, job.tokens_in, job.tokens_out) == ("completed", 1000, 50)
            cost = (1000 * 3 + 50 * 15) / 1e6
            assert job.cost == pytest.approx(cost), "by opencode's own word"
            with world.database() as database:
                account = Account.select().where(Account.job == job.id).get(database)
            assert account.cost == pytest.approx(cost), "and by the gateway's count"
