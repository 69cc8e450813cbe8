"""The JSON lines of `opencode run --format json` (1.18.33), as far as they matter here.

Every field but the type has a default and unknown ones are passed over: a new version may add and leave out.
A number that could not be computed is null in JSON.
"""

import msgspec


class Time(msgspec.Struct):
    start: float | None = 0
    end: float | None = 0


class State(msgspec.Struct):
    status: str = ""
    title: str | None = None
    error: str | None = None
    input: dict[str, msgspec.Raw] = {}
    time: Time | None = None


class Cache(msgspec.Struct):
    read: float | None = 0
    write: float | None = 0


class Tokens(msgspec.Struct):
    input: float | None = 0
    output: float | None = 0
    reasoning: float | None = 0
    cache: Cache = msgspec.field(default_factory=Cache)


class Part(msgspec.Struct, rename="camel"):
    text: str = ""
    tool: str = ""
    state: State | None = None
    reason: str | None = None
    tokens: Tokens | None = None
    cost: float | None = 0
    message_id: str = msgspec.field(default="", name="messageID")


class ErrorData(msgspec.Struct, rename="camel"):
    message: str | None = None
    status_code: int | None = None
    is_retryable: bool = False


class Error(msgspec.Struct):
    name: str = ""
    data: ErrorData = msgspec.field(default_factory=ErrorData)


class Line(msgspec.Struct):
    type: str
    session: str = msgspec.field(default="", name="sessionID")
    part: Part | None = None
    error: Error | None = None


decode = msgspec.json.Decoder(Line).decode
