"""What may be asked of a provider through the gateway, and how it is passed on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from jobs.gateway.providers import Provider, Style

MOST_BODY: Final = 64 << 20
"""Bytes of a request. Providers take 32 MB at most: https://platform.claude.com/docs/en/api/overview."""

PATHS: Mapping[Style, frozenset[str]] = {
    "openai": frozenset({"chat/completions", "responses", "completions", "embeddings"}),
    "anthropic": frozenset({"messages", "messages/count_tokens"}),
}
"""The addresses below a provider's own that may be posted to: what talks to a model, and nothing that keeps, lists or
changes anything of the account."""

FREE: Final = frozenset({"messages/count_tokens"})
"""Calls that cost nothing."""

_SENT = ("accept", "anthropic-beta", "anthropic-version", "content-type", "http-referer", "openai-beta", "user-agent")
_SENT_BACK = ("content-type", "request-id", "retry-after", "retry-after-ms", "x-request-id")
_LIMITS = ("anthropic-ratelimit-", "x-ratelimit-")


class BodyBroken(Exception):
    """What the agent sent is no JSON object; the message says so."""


class Call(msgspec.Struct, frozen=True):
    """One request, ready to be passed on."""

    body: bytes
    model: str
    stream: bool


def token_of(headers: Mapping[str, str]) -> str:
    """The token that came with a request, in either of the two headers; "" where there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "").strip()


def read_call(provider: Provider, path: str, body: bytes) -> Call:
    """The request. A stream of chat completions is told to count its tokens, whoever asked. Raises BodyBroken."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        model = msgspec.json.decode(fields.get("model", msgspec.Raw(b'""')), type=str)
        stream = msgspec.json.decode(fields.get("stream", msgspec.Raw(b"false")), type=bool | None)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyBroken(f"this is no call of a model: {error}") from None
    if stream and provider.ask_usage and path in ("chat/completions", "completions"):
        fields["stream_options"] = msgspec.Raw(b'{"include_usage":true}')
    # Written anew, so that a key given twice cannot mean one thing here and another to the provider.
    return Call(msgspec.json.encode(fields), model, bool(stream))


def sent(headers: Mapping[str, str], provider: Provider) -> dict[str, str]:
    """The headers with which a request is passed on: the agent's few, and the provider's own, which win."""
    passed = {name: headers[name] for name in _SENT if name in headers}
    return {
        **passed,
        **{name.lower(): value for name, value in provider.headers.items()},
        "accept-encoding": "identity",
    }


def sent_back(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with which an answer is passed back."""
    return {
        name.lower(): value
        for name, value in headers.items()
        if name.lower() in _SENT_BACK or name.lower().startswith(_LIMITS)
    }


def refusal(kind: str, sentence: str) -> dict[str, object]:
    """The body of an answer of the gateway's own, in a form that OpenAI's and Anthropic's clients both read."""
    return {"type": "error", "error": {"type": f"kugetsu_{kind}", "message": f"Kugetsu: {sentence}", "code": kind}}
