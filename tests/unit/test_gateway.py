"""The gateway passes calls on, streams, counts, and slows down."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.budgets import Scope, Unit
from tests.fakes.provider import chat, event, messages, stream, whole
from tests.unit.gateways import KEY, Setting, gateway


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    with gateway(tmp_path) as made:
        yield made


def test_a_call_goes_on_with_the_key_and_comes_back_as_it_is(setting: Setting) -> None:
    _, token = setting.job()
    answer = setting.call(token)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.content == b"".join(chat("Hello.").pieces)
    (asked,) = setting.provider.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert token not in json.dumps([dict(asked.headers), asked.body.decode()])


def test_anthropics_key_goes_into_its_own_header(setting: Setting) -> None:
    job, token = setting.job()
    usage = {"input_tokens": 1000, "cache_read_input_tokens": 5000, "cache_creation_input_tokens": 400}
    setting.provider.answer(messages("Hi", " there", usage=usage, out=200))
    with httpx.Client(trust_env=False) as client:
        headers = {"x-api-key": token, "anthropic-version": "2023-06-01", "cookie": "no"}
        body = {"model": "claude-20260101", "stream": True, "messages": []}
        answer = client.post(f"{setting.url}/claude/messages", json=body, headers=headers)
    assert answer.status_code == 200
    (asked,) = setting.provider.asked
    assert (asked.path, asked.headers["x-api-key"]) == ("/v1/messages", KEY)
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert "cookie" not in asked.headers
    cost = (1000 * 3 + 200 * 15 + 5000 * 0.3 + 400 * 3.75) / 1e6
    assert setting.wait_for_spending(job) == (6400, 200, round(cost, 9))


def test_what_was_cached_counts_once(setting: Setting) -> None:
    job, token = setting.job()
    setting.provider.answer(chat("Hi", tokens=(1000, 50), cached=800))
    setting.call(token)
    assert setting.wait_for_spending(job) == (1000, 50, 0.0003)


def test_openais_responses_are_counted(setting: Setting) -> None:
    job, token = setting.job()
    usage = {"input_tokens": 300, "output_tokens": 40, "input_tokens_details": {"cached_tokens": 100}}
    done = event({"type": "response.completed", "response": {"model": "big", "usage": usage}}, "response.completed")
    setting.provider.answer(stream(event({"type": "response.output_text.delta", "delta": "Hi"}), done))
    assert setting.call(token, "/acme/responses").status_code == 200
    assert setting.wait_for_spending(job)[:2] == (300, 40)


def test_an_answer_in_one_piece_is_counted(setting: Setting) -> None:
    job, token = setting.job()
    setting.provider.answer(whole({"model": "big", "usage": {"prompt_tokens": 7, "completion_tokens": 3}}))
    setting.call(token, stream=False)
    assert setting.wait_for_spending(job)[:2] == (7, 3)


def test_a_stream_is_told_to_count_whoever_asked(setting: Setting) -> None:
    _, token = setting.job()
    setting.call(token, stream_options={"include_usage": False})
    assert setting.provider.asked[0].json["stream_options"] == {"include_usage": True}


def test_no_answer_is_for_nothing(setting: Setting) -> None:
    """A provider that does not say what it used is guessed at."""
    job, token = setting.job()
    setting.provider.answer(chat(*"abcdefghij", tokens=None))
    setting.call(token, messages=[{"role": "user", "content": "x" * 4000}])
    tokens_in, tokens_out, cost = setting.wait_for_spending(job)
    assert tokens_in >= 1000
    assert tokens_out >= 10
    assert cost > 0


def test_an_agent_that_hangs_up_has_used_what_it_got(setting: Setting) -> None:
    job, token = setting.job()
    hold = threading.Event()
    setting.provider.answer(chat(*"abcdefghij", hold=hold))
    with httpx.Client(trust_env=False) as client:
        body = {"model": "big", "stream": True, "messages": []}
        headers = {"Authorization": f"Bearer {token}"}
        with client.stream("POST", f"{setting.url}/acme/chat/completions", json=body, headers=headers) as answer:
            next(answer.iter_bytes())
    assert setting.wait_for_spending(job)[1] > 0
    hold.set()


def test_an_unknown_model_costs_as_much_as_the_dearest(setting: Setting) -> None:
    job, token = setting.job()
    setting.provider.answer(chat("Hi", model="other"))
    setting.call(token, model="other")
    assert setting.wait_for_spending(job)[2] == pytest.approx((100 * 1 + 20 * 2) / 1e6)


def test_it_streams_without_waiting_for_the_end(setting: Setting) -> None:
    _, token = setting.job()
    hold = threading.Event()
    setting.provider.answer(chat("first", "second", hold=hold))
    with httpx.Client(trust_env=False, timeout=30) as client:
        body = {"model": "big", "stream": True, "messages": []}
        headers = {"Authorization": f"Bearer {token}"}
        with client.stream("POST", f"{setting.url}/acme/chat/completions", json=body, headers=headers) as answer:
            pieces = answer.iter_bytes()
            seen = b""
            while b"second" not in seen:
                seen += next(pieces)
            assert not hold.is_set(), "the words came while the provider still spoke"
            hold.set()
            rest = b"".join(pieces)
    assert rest.endswith(b"data: [DONE]\n\n")


def test_a_provider_that_is_asked_too_much_is_left_alone_by_all(setting: Setting) -> None:
    (_, one), (_, two) = setting.job(), setting.job()
    setting.provider.answer(whole({"error": "slow down"}, 429, Retry_After="0.6"), chat("Hello."))
    answers: list[httpx.Response] = []
    first = threading.Thread(target=lambda: answers.append(setting.call(one)))
    began = time.monotonic()
    first.start()
    setting.provider.wait_for(1)
    answers.append(setting.call(two))
    first.join()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert time.monotonic() - began >= 0.6, "the second job waited, too, though it was refused nothing"
    assert len(setting.provider.asked) == 3


def test_a_spent_budget_ends_it(tmp_path: Path) -> None:
    with gateway(tmp_path, {(Scope.JOB, Unit.TOKENS): 100}) as setting:
        job, token = setting.job()
        assert setting.call(token).status_code == 200
        setting.wait_for_spending(job, 100)
        answer = setting.call(token)
        assert answer.status_code == 402
        assert answer.json()["error"]["type"] == "kugetsu_budget_spent"
        assert "the budget of one job, 100 tokens, is spent (120 tokens used)" in answer.json()["error"]["message"]
        assert len(setting.provider.asked) == 1


def test_a_provider_that_cannot_be_reached_is_named(setting: Setting) -> None:
    _, token = setting.job()
    setting.provider.__exit__()
    answer = setting.call(token)
    assert answer.status_code == 502
    assert "the provider acme cannot be reached" in answer.json()["error"]["message"]
    setting.provider.__init__()  # type: ignore[misc]  # so that it can be left
    setting.provider.__enter__()
