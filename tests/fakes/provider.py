"""A scripted LLM provider: answers what a test says, byte for byte, and keeps what it was asked.

with FakeProvider() as provider:
provider.answer(*chat("Hello", " world", tokens=(100, 20)))
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Json = dict[str, Any]


@dataclass
class Answer:
    """One answer, in pieces that are each sent at once. `hold` is waited for before the last piece; `cut` breaks the
    connection off there.
    """

    pieces: Sequence[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    cut: bool = False


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        value: Json = json.loads(self.body)
        return value


def event(value: Json, name: str = "") -> bytes:
    """A server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def stream(*pieces: bytes, **more: Any) -> Answer:
    return Answer(pieces, headers={"Content-Type": "text/event-stream"}, **more)


def chat(
    *words: str, tokens: tuple[int, int] | None = (100, 20), cached: int = 0, model: str = "big", **more: Any
) -> Answer:
    """A stream of OpenAI's chat completions; without `tokens` it does not say what it used."""
    pieces = [event({"model": model, "choices": [{"index": 0, "delta": {"content": word}}]}) for word in words]
    pieces.append(event({"model": model, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
    if tokens:
        usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
        usage["prompt_tokens_details"] = {"cached_tokens": cached}  # type: ignore[assignment]
        pieces.append(event({"model": model, "choices": [], "usage": usage}))
    return stream(*pieces, b"data: [DONE]\n\n", **more)


def messages(*words: str, usage: Mapping[str, int], out: int, model: str = "claude") -> Answer:
    """A stream of Anthropic's messages."""
    start = {"type": "message_start", "message": {"id": "m", "role": "assistant", "type": "message", "model": model}}
    start["message"] |= {"content": [], "usage": {**usage, "output_tokens": 1}}  # type: ignore[operator]
    pieces = [event(start, "message_start")]
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    pieces.append(event(block, "content_block_start"))
    for word in words:
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
        pieces.append(event(delta, "content_block_delta"))
    pieces.append(event({"type": "content_block_stop", "index": 0}, "content_block_stop"))
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": out}}
    pieces += [event(end, "message_delta"), event({"type": "message_stop"}, "message_stop")]
    return stream(*pieces)


def whole(value: Json, status: int = 200, **headers: str) -> Answer:
    """An answer in one piece; header names are written with `_` for `-`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer([json.dumps(value).encode()], status, {"Content-Type": "application/json", **named})


class FakeProvider:
    """The server; a context manager. Answers are given in turn, the last one again and again."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: deque[Answer] = deque([chat("Hello.")])
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, provider=self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fake-provider")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, *answers: Answer) -> None:
        with self._changed:
            self._answers = deque(answers)

    def next_answer(self, asked: Asked) -> Answer:
        with self._changed:
            self.asked.append(asked)
            self._changed.notify_all()
            return self._answers.popleft() if len(self._answers) > 1 else self._answers[0]

    def wait_for(self, count: int, seconds: float = 30) -> None:
        """Until so many requests have come."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.asked) >= count, seconds)
        assert came, f"{len(self.asked)} of {count} requests came within {seconds} s"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0

    def __init__(self, *args: object, provider: FakeProvider) -> None:
        self._provider = provider
        super().__init__(*args)  # type: ignore[arg-type]  # as the server passes them

    def log_message(self, *_: object) -> None:
        """Say nothing: what came is in `asked`."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self._provider.next_answer(Asked(self.command, self.path, headers, body))
        self.close_connection = True
        with suppress(BrokenPipeError, ConnectionResetError):
            self._send(answer)

    def do_GET(self) -> None:
        self.do_POST()

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Connection": "close"}.items():
            self.send_header(name, value)
        if answer.cut:
            self.send_header("Content-Length", "1000000")
        self.end_headers()
        for number, piece in enumerate(answer.pieces):
            if answer.hold is not None and number == len(answer.pieces) - 1:
                answer.hold.wait(30)
            self.wfile.write(piece)
