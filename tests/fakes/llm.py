r"""A scripted stand-in for an LLM: an OpenAI-compatible chat server on loopback that plays what a test wrote.

    with FakeLLM() as llm:
        llm.play(turn("I will write it.", use("write", filePath="{cwd}/a.txt", content="a\\n")), turn("Done."))
        ...  # an agent configured with opencode_config(llm.base_url)

Each prompt plays its script from the first turn: the turn is the number of the assistant's messages since the
last user message, so the server keeps no state of a conversation and any number of agents may share it. A prompt
with `[[script:NAME]]` in it plays the script of that name, any other the one named `main`. Past the end of a
script, its last turn is repeated if it uses no tool. `{cwd}` in texts and arguments is the agent's working
directory.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.fakes.llm_wire import MAIN, Json, Request, Turn, Use, bash, chunks, read, refusal, turn, use, whole

__all__ = ["FakeLLM", "Hold", "Request", "Turn", "Use", "bash", "opencode_config", "refusal", "turn", "use"]


class Hold:
    """Requests wait here before they are answered."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = 0
        self._open = False

    def wait_in(self) -> None:
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._open)

    def wait_for(self, count: int = 1, seconds: float = 30) -> None:
        """Until so many requests wait here."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._waiting >= count, seconds)
            assert came, f"{self._waiting} of {count} requests came within {seconds} s"

    def release(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()


class FakeLLM:
    """The server and what it plays; a context manager. Everything may be changed while agents run."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._scripts: dict[str, Sequence[Turn]] = {MAIN: [Turn("Hello.")]}
        self._hold: Hold | None = None
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, llm=self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="fake-llm")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._hold is not None:
            self._hold.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def play(self, *turns: Turn, script: str = MAIN) -> None:
        """Set a script; requests from now on are answered by it."""
        self._scripts[script] = turns

    @contextmanager
    def held(self) -> Iterator[Hold]:
        """Answer no turn until the block ends or the hold is released."""
        self._hold = hold = Hold()
        try:
            yield hold
        finally:
            self._hold = None
            hold.release()

    @property
    def turns(self) -> list[Request]:
        """The requests that were not for a title."""
        return [request for request in self.requests if request.kind == "turn"]

    def wait_for_turns(self, count: int, seconds: float = 60) -> list[Request]:
        """Until so many turns were asked for, answered or not."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.turns) >= count, seconds)
        assert came, f"{count} turns wanted within {seconds} s, there were: {self.turns}"
        return self.turns

    def note(self, request: Request) -> None:
        with self._changed:
            request.number = len(self.requests) + 1
            self.requests.append(request)
            self._changed.notify_all()

    def answer_to(self, request: Request) -> Turn:
        """What to answer; waits in the hold, if there is one."""
        if request.kind == "title":
            return Turn("Scripted title")
        if (hold := self._hold) is not None:
            hold.wait_in()
        turns = self._scripts.get(request.script)
        if turns is None:
            return refusal(404, f"there is no script {request.script!r}")
        if request.turn < len(turns):
            return turns[request.turn]
        return Turn("done") if turns[-1].uses else turns[-1]


def opencode_config(base_url: str) -> Mapping[str, Json]:
    """An opencode.json with this server as the only provider; to be used with a models.json of `{}`."""
    model: Mapping[str, Json] = {
        "name": "Scripted",
        "tool_call": True,
        "attachment": True,
        "modalities": {"input": ["text", "image"], "output": ["text"]},
        "limit": {"context": 128_000, "output": 4096},
        "cost": {"input": 1, "output": 2},
    }
    scripted: Mapping[str, Json] = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Scripted",
        "options": {"baseURL": base_url, "apiKey": "sk-scripted-0123456789"},
        "models": {"main": model},
    }
    return {
        "$schema": "https://opencode.ai/config.json",
        "model": "scripted/main",
        "small_model": "scripted/main",
        "enabled_providers": ["scripted"],
        "provider": {"scripted": scripted},
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: object, llm: FakeLLM) -> None:
        self._llm = llm
        super().__init__(*args)  # type: ignore[arg-type]  # as the server passes them

    def log_message(self, *_: object) -> None:
        """Say nothing: what came is in `requests`."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = read(body, self.headers.get("Authorization", ""))
        self._llm.note(request)
        answer = self._llm.answer_to(request)
        time.sleep(answer.delay)
        try:
            request.status = self._play(request, answer, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        request.ended = time.time()

    def _play(self, request: Request, answer: Turn, body: Mapping[str, Json]) -> int:
        if answer.hang is not None:
            time.sleep(answer.hang)
            self.close_connection = True
            return 0
        if answer.status != 200:
            error: Json = {"message": answer.message, "type": "scripted", "code": answer.status}
            self._send_json(answer.status, {"error": error}, answer.headers)
        elif body.get("stream"):
            self._send_stream(request, answer)
        else:
            self._send_json(200, whole(request, answer), answer.headers)
        return answer.status

    def _send_json(self, status: int, value: Json, headers: Mapping[str, str]) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": len(data), **headers}.items():
            self.send_header(name, str(text))
        self.end_headers()
        self.wfile.write(data)

    def _send_stream(self, request: Request, answer: Turn) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for chunk in chunks(request, answer):
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        if not answer.cut:
            self.wfile.write(b"data: [DONE]\n\n")
