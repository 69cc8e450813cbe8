"""How much an answer has used, read from the answer itself as it goes by. Pure.

Three shapes: OpenAI's chat completions (the last chunk of a stream has `usage`), its responses
(`response.completed`), and Anthropic's messages (`message_start` and `message_delta`, each counting from the start).
Where a provider says nothing, or the agent hangs up before it does, the tokens are guessed: no call is for nothing.
"""

from __future__ import annotations

import msgspec

from jobs.gateway.prices import Usage

_BYTES_A_TOKEN = 4
"""English text has about four bytes a token: https://platform.openai.com/tokenizer."""
_MOST_TOKENS = 10**9
_MOST_LINE = 4 << 20
_MOST_BODY = 32 << 20


class _Details(msgspec.Struct):
    cached_tokens: int | None = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    cost: float | None = None


class _Message(msgspec.Struct):
    model: str | None = None
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    model: str | None = None
    usage: _Usage | None = None
    message: _Message | None = None
    response: _Message | None = None


_decode = msgspec.json.Decoder(_Event).decode


class Meter:
    """Reads one answer along. `request_bytes` is the size of what was asked, for a guess."""

    def __init__(self, request_bytes: int, *, stream: bool) -> None:
        self.model = ""
        self._guess = max(1, request_bytes // _BYTES_A_TOKEN)
        self._stream = stream
        self._rest = bytearray()
        self._events = self._bytes = 0
        self._input = self._output = self._read = self._written = 0
        self._cost: float | None = None
        self._output_told = False

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the answer."""
        self._bytes += len(chunk)
        self._rest += chunk
        if not self._stream:
            del self._rest[_MOST_BODY:]
            return
        *lines, rest = self._rest.split(b"\n")
        for line in lines:
            self._line(bytes(line))
        self._rest = bytearray(rest[:_MOST_LINE])

    def end(self) -> Usage:
        """What was used, once the answer has ended, whichever way."""
        read = self._line if self._stream else self._read_event
        read(bytes(self._rest))
        output = self._output if self._output_told else max(self._output, self._guessed_output())
        told = self._input + self._read + self._written
        taken_in = self._input if told else self._guess
        counts = [min(count, _MOST_TOKENS) for count in (taken_in, output, self._read, self._written)]
        return Usage(counts[0], counts[1], counts[2], counts[3], self._cost)

    def _guessed_output(self) -> int:
        """Providers send about a token with each event."""
        return self._events if self._stream else self._bytes // _BYTES_A_TOKEN

    def _line(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        self._events += 1
        if b'"usage"' in line or (not self.model and b'"model"' in line):
            self._read_event(line[5:])

    def _read_event(self, text: bytes) -> None:
        try:
            event = _decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        for part in (event, event.message, event.response):
            if part is not None:
                self.model = part.model or self.model
                if part.usage is not None:
                    self._take(part.usage, final=part is not event.message)

    def _take(self, usage: _Usage, *, final: bool) -> None:
        """OpenAI counts what was cached among the input, Anthropic beside it. The highest word of an answer counts."""
        details = usage.prompt_tokens_details or usage.input_tokens_details
        cached = max(details.cached_tokens or 0 if details else 0, usage.prompt_cache_hit_tokens or 0)
        whole = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
        said = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens
        self._input = max(self._input, (whole or 0) - cached)
        self._read = max(self._read, cached, usage.cache_read_input_tokens or 0)
        self._written = max(self._written, usage.cache_creation_input_tokens or 0)
        self._output = max(self._output, said or 0)
        self._output_told |= final and said is not None
        self._cost = usage.cost if usage.cost is not None else self._cost
