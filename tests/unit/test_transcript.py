"""What a run said, and the verdict on it. The lines are those of opencode 1.18.33, shortened."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.keeper import SHUTDOWN, KeeperResult
from jobs.transcript import (
    CANCELLED,
    AgentError,
    Cancelled,
    Completed,
    Failed,
    ShutDown,
    Step,
    Tokens,
    Transcript,
    judge,
)

ENDED = KeeperResult("exited", 0, None, "", 1.0, 2.0, 1000)


def line(kind: str, **more: object) -> bytes:
    return json.dumps({"type": kind, "timestamp": 1795381145729, "sessionID": "ses_1", **more}).encode()


def text(said: str, message: str = "msg_1") -> bytes:
    return line("text", part={"type": "text", "text": said, "messageID": message})


def finish(reason: str = "stop") -> bytes:
    tokens = {"total": 127, "input": 100, "output": 20, "reasoning": 3, "cache": {"write": 1, "read": 3}}
    return line("step_finish", part={"type": "step-finish", "reason": reason, "tokens": tokens, "cost": 0.25})


def tool(name: str, given: object, **state: object) -> bytes:
    known = {"status": "completed", "input": given, "output": "", "time": {"start": 1000, "end": 3500}}
    return line("tool_use", part={"type": "tool", "tool": name, "state": {**known, **state}})


def error(name: str = "APIError", **data: object) -> bytes:
    return line("error", error={"name": name, "data": data})


def transcript(*lines: bytes) -> Transcript:
    read = Transcript()
    read.feed_all(lines)
    return read


def test_a_whole_run() -> None:
    read = transcript(
        line("step_start", part={"type": "step-start"}),
        text("I will write the file.", "msg_0"),
        tool("write", {"filePath": "/tree/hello.txt", "content": "hello"}, title="hello.txt"),
        finish("tool-calls"),
        tool("bash", {"command": "make\n  test", "description": "Tests"}, status="error", error="no"),
        text("Done."),
        finish(),
    )
    assert read.session == "ses_1"
    assert read.steps == [
        Step("write", "hello.txt", "/tree/hello.txt", failed=False, seconds=2.5),
        Step("bash", "", "make\n  test", failed=True, seconds=2.5),
    ]
    assert [step.words for step in read.steps] == ["write: hello.txt", "bash: make test"]
    assert (read.text, read.finish, read.error, read.ignored) == ("Done.", "stop", None, 0)
    assert read.tokens == Tokens(200, 40, 6, 6, 2)
    assert (read.tokens.total, read.cost, len(read.turns)) == (254, 0.5, 2)


def test_numbers_that_could_not_be_computed_count_nothing() -> None:
    tokens = {"input": None, "output": 5.0, "reasoning": None, "cache": {"read": None, "write": 0}}
    part = {"reason": "stop", "tokens": tokens, "cost": None}
    read = transcript(line("step_finish", part=part))
    assert (read.tokens, read.cost, read.finish) == (Tokens(output=5), 0.0, "stop")


def test_numbers_nobody_can_believe_stay_small_enough_to_store() -> None:
    read = transcript(*[line("step_finish", part={"reason": "stop", "tokens": {"input": 1e300, "output": -5}})] * 3)
    assert read.tokens == Tokens(input=3 * 10**12)
    assert transcript(b'{"type":"step_finish","part":{"tokens":{"input":1e999}}}').ignored == 1


def test_texts_of_one_message_belong_together() -> None:
    read = transcript(text("Before.", "msg_1"), text("First.", "msg_2"), text("Second.", "msg_2"))
    assert read.text == "First.\n\nSecond."


@pytest.mark.parametrize(
    "junk",
    [
        b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"type": 5}', b"[" * 5000, b'{"type": "text", "part": 7}',
        b'{"type":"text","part":{"text":null}}', b"\x00" * 100, b'{"type":"later_invention","x":[1,2]}',
        b'{"type": "tool_use", "part": {"state": {"input": []}}}', b'{"type":"tool_use"}', b'{"type":"error"}',
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_passed_over(junk: bytes) -> None:
    read = transcript(text("Before."), junk, finish())
    assert judge(read, ENDED) == Completed("Before.")


@given(st.lists(st.binary()))
def test_nothing_makes_it_raise(lines: list[bytes]) -> None:
    judge(transcript(*lines), ENDED)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_NAMES = st.sampled_from(
    "type part error state input time tokens cache cost reason text tool name data message statusCode".split()  # noqa: SIM905
)


@given(
    st.dictionaries(_NAMES, st.dictionaries(_NAMES, _VALUES) | _VALUES), st.sampled_from(["text", "tool_use", "error"])
)
def test_no_shape_of_a_line_makes_it_raise(shape: dict[str, object], kind: str) -> None:
    judge(transcript(json.dumps({**shape, "type": kind}).encode(), json.dumps(shape).encode()), ENDED)


def test_a_finished_run_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert Transcript.of(path) == Transcript()
    path.write_bytes(text("Done.") + b"\n" + finish())
    assert judge(Transcript.of(path), ENDED) == Completed("Done.")


def test_twenty_broken_answers_in_a_row_are_a_circle() -> None:
    assert transcript(*[finish("unknown")] * 19).stuck is None
    assert transcript(*[finish("unknown")] * 19, finish("stop"), finish("unknown")).stuck is None
    read = transcript(*[finish("unknown")] * 20)
    assert read.stuck == "the LLM broke off its answer 20 times in a row"
    stopped = replace(ENDED, ended="stopped", reason=read.stuck, code=None)
    assert judge(read, stopped) == Failed(read.stuck, passing=True)


def test_an_answer_may_be_empty() -> None:
    assert judge(transcript(finish()), ENDED) == Completed("")


@pytest.mark.parametrize(
    ("lines", "reason", "passing"),
    [
        ([], "the agent ended without saying anything", True),
        ([finish("tool-calls")], "the agent stopped half-way, after a tool and before its answer", True),
        ([finish("length")], "the LLM's answer was cut off: it reached the limit of its length", False),
        ([finish("content-filter")], "the LLM's provider withheld the answer (content filter)", False),
        ([finish("unknown")], "the LLM broke off its answer (reason: unknown)", True),
        ([finish("")], "the LLM broke off its answer (reason: none given)", True),
    ],
)
def test_code_0_alone_is_no_success(lines: list[bytes], reason: str, passing: bool) -> None:
    assert judge(transcript(*lines), ENDED) == Failed(reason, passing=passing)


@pytest.mark.parametrize(
    ("line", "reason", "passing"),
    [
        (error(message="Bad", statusCode=401), "the LLM's provider refused the key it was given (401): Bad", False),
        (error(statusCode=402), "the LLM's provider wants to be paid first (402)", False),
        (error(statusCode=404), "the LLM's provider does not know this model or address (404)", False),
        (error(statusCode=400), "the LLM's provider refused the request (400)", False),
        (error(statusCode=429), "the LLM's provider limits how much is asked of it (429)", True),
        (error(statusCode=503), "the LLM's provider has a fault of its own (503)", True),
        (
            error(message="Unable to connect. Is the computer able to access the url?", isRetryable=True),
            "the LLM's provider cannot be reached: Unable to connect. Is the computer able to access the url?",
            True,
        ),
        (
            error("UnknownError", message="Unexpected server error."),
            "opencode reported an error it does not explain: Unexpected server error.; is the model's name right?",
            False,
        ),
        (error("", message=None), "opencode reported an error", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("code", [0, 1])
def test_an_error_line_is_a_failure_whatever_the_code(line: bytes, reason: str, passing: bool, code: int) -> None:
    read = transcript(finish(), line)
    assert judge(read, replace(ENDED, code=code)) == Failed(reason, passing=passing)


def test_an_error_is_kept_with_all_that_matters() -> None:
    read = transcript(error(message=" two \n lines " + "x" * 900, statusCode=500, isRetryable=True, more={}))
    assert read.error == AgentError("APIError", ("two lines " + "x" * 900)[:500], 500, retryable=True)


def test_a_conversation_that_became_too_long_needs_a_new_one() -> None:
    verdict = judge(transcript(error("ContextOverflowError", message="")), replace(ENDED, code=1))
    assert verdict == Failed("the conversation has become too long for the LLM", fresh=True)


def test_a_lost_session_needs_a_new_one() -> None:
    result = replace(ENDED, code=1, stderr="\x1b[91m\x1b[1mError: \x1b[0mSession not found\n")
    assert judge(Transcript(), result) == Failed("the agent no longer has this conversation", passing=True, fresh=True)


@pytest.mark.parametrize(
    ("result", "reason", "passing"),
    [
        (replace(ENDED, code=2, stderr="no such\n option"), "the agent ended with code 2: no such option", False),
        (replace(ENDED, code=2), "the agent ended with code 2", False),
        (
            replace(ENDED, code=None, signal=9),
            "the agent was killed (signal 9), perhaps for lack of memory",
            True,
        ),
        (replace(ENDED, code=137), "the agent was killed (signal 9), perhaps for lack of memory", True),
        (
            replace(ENDED, ended="timeout", reason="was still working after 1 hour"),
            "the agent was still working after 1 hour and was ended",
            False,
        ),
        (
            replace(ENDED, ended="stalled", reason="gave no sign of life for 10 minutes"),
            "the agent gave no sign of life for 10 minutes and was ended",
            True,
        ),
        (
            replace(ENDED, ended="no_start", reason="gave no sign of life within 2 minutes"),
            "the agent gave no sign of life within 2 minutes and was ended",
            True,
        ),
        (
            replace(ENDED, ended="output_limit", reason="wrote more than 5 bytes of output"),
            "the agent wrote more than 5 bytes of output and was ended",
            False,
        ),
        (
            replace(ENDED, ended="over_limit", reason="used more than 4 GiB of memory"),
            "the agent used more than 4 GiB of memory and was ended",
            False,
        ),
        (
            replace(ENDED, code=153),
            "the agent was killed: one of its processes wrote a longer file than is allowed",
            False,
        ),
        (
            replace(ENDED, ended="failed_to_start", reason="[Errno 2] No such file"),
            "the agent could not be started: [Errno 2] No such file",
            False,
        ),
        (replace(ENDED, ended="stopped", reason="over budget"), "over budget", False),
        (replace(ENDED, ended="stopped", reason=""), "the run was stopped", False),
    ],
)
def test_every_other_end_has_its_sentence(result: KeeperResult, reason: str, passing: bool) -> None:
    assert judge(Transcript(), result) == Failed(reason, passing=passing)


def test_a_cancelled_run_is_no_failure() -> None:
    stopped = replace(ENDED, ended="stopped", reason=CANCELLED)
    assert judge(transcript(finish()), stopped) == Cancelled()


def test_an_agent_that_was_ended_with_the_service_has_not_failed() -> None:
    assert judge(Transcript(), replace(ENDED, ended="stopped", reason=SHUTDOWN)) == ShutDown()
