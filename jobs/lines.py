"""The JSON lines of `opencode run --format json` (1.18.33), as far as they matter here.

Every field but the type has a default and unknown ones are passed over: a new version may add and leave out.
"""

import msgspec


class Time(msgspec.Struct):
    start: float = 0
    end: float = 0


class State(msgspec.Struct):
    status: str = ""
    title: str | None = None
    error: str | None = None
    input: dict[str, msgspec.Raw] = {}
    time: Time | None = None


class Cache(msgspec.Struct):
    read: int = 0
    write: int = 0


class Tokens(msgspec.Struct):
    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache: Cache = msgspec.field(default_factory=Cache)


class Part(msgspec.Struct, rename="camel"):
    text: str = ""
    tool: str = ""
    state: State | None = None
    reason: str | None = None
    tokens: Tokens | None = None
    cost: float = 0
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
