"""What a scripted LLM says and hears, and how that looks in OpenAI's chat-completions protocol."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

MAIN = "main"


@dataclass(frozen=True)
class Use:
    """One call of a tool."""

    name: str
    args: Mapping[str, Json]


@dataclass(frozen=True)
class Turn:
    """One answer. `status` answers with that HTTP status instead; `hang` is seconds of silence, then a cut."""

    text: str = ""
    uses: Sequence[Use] = ()
    delay: float = 0.0
    status: int = 200
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float | None = None
    cut: bool = False
    """End the stream without a finish reason."""
    finish: str | None = None
    tokens: tuple[int, int] = (100, 20)
    """Of the prompt and of the answer."""


def turn(text: str = "", *uses: Use, delay: float = 0.0) -> Turn:
    """A turn that says `text` and uses these tools, after `delay` seconds."""
    return Turn(text, uses, delay=delay)


def use(name: str, **args: Json) -> Use:
    return Use(name, args)


def bash(command: str, **args: Json) -> Use:
    """A use of opencode's shell tool."""
    return use("bash", command=command, description="A command", **args)


def refusal(status: int, message: str, **headers: str) -> Turn:
    """An HTTP error of the provider; header names are written with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Turn(status=status, message=message, headers=named)


@dataclass
class Request:
    """One request as it came, and when (Unix seconds). `ended` is None while it is being answered."""

    number: int
    kind: str
    """`turn`, or `title` for opencode's extra request for a session title."""
    script: str
    turn: int
    prompt: str
    system: str
    users: int
    """User messages in it: more than one when the conversation goes on."""
    tools: list[str]
    authorization: str
    began: float
    images: list[str]
    """Addresses of the images in the last user message, as a rule `data:` with all of it."""
    ended: float | None = None
    status: int = 0


def read(body: Mapping[str, Json], authorization: str) -> Request:
    messages = _objects(body.get("messages"))
    said = [(str(message["role"]), _text(message.get("content"))) for message in messages]
    system = "\n".join(text for role, text in said if role in ("system", "developer"))
    last = max((at for at, (role, _) in enumerate(said) if role == "user"), default=-1)
    prompt = said[last][1] if last >= 0 else ""
    functions = [tool["function"] for tool in _objects(body.get("tools"))]
    script = re.search(r"\[\[script:([\w./-]+)\]\]", prompt)
    return Request(
        number=0,
        kind="title" if not functions and "title" in system[:400].lower() else "turn",
        script=script[1] if script else MAIN,
        turn=sum(role == "assistant" for role, _ in said[last + 1 :]),
        prompt=prompt,
        system=system,
        users=sum(role == "user" for role, _ in said),
        tools=[str(function["name"]) for function in _objects(functions)],
        authorization=authorization,
        began=time.time(),
        images=[url for message in messages[last:] if message["role"] == "user" for url in _images(message)],
    )


def _objects(value: Json) -> list[Mapping[str, Json]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _text(content: Json) -> str:
    """The text of a message, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in _objects(content))


def _images(message: Mapping[str, Json]) -> Iterator[str]:
    for part in _objects(message.get("content")):
        if isinstance(image := part.get("image_url"), Mapping):
            yield str(image["url"])


def chunks(request: Request, answer: Turn) -> Iterator[Json]:
    yield _chunk(request, {"role": "assistant", "content": ""})
    for word in re.findall(r"\s*\S+\s*", _filled(answer.text, request)):
        yield _chunk(request, {"content": word})
    if answer.cut:
        return
    for call in _calls(request, answer):
        yield _chunk(request, {"tool_calls": [call]})
    yield _chunk(request, {}, finish=_finish(answer))
    yield {**_head(request), "object": "chat.completion.chunk", "choices": [], "usage": _usage(answer)}


def _chunk(request: Request, delta: Json, finish: str | None = None) -> Json:
    choice: Json = {"index": 0, "delta": delta, "finish_reason": finish}
    return {**_head(request), "object": "chat.completion.chunk", "choices": [choice]}


def whole(request: Request, answer: Turn) -> Json:
    message: Json = {
        "role": "assistant",
        "content": _filled(answer.text, request),
        "tool_calls": _calls(request, answer) or None,
    }
    choice: Json = {"index": 0, "message": message, "finish_reason": _finish(answer)}
    return {**_head(request), "object": "chat.completion", "choices": [choice], "usage": _usage(answer)}


def _head(request: Request) -> dict[str, Json]:
    return {"id": f"chatcmpl-{request.number}", "created": int(request.began), "model": "scripted"}


def _calls(request: Request, answer: Turn) -> list[Json]:
    return [
        {
            "index": at,
            "id": f"call_{request.number}_{at}",
            "type": "function",
            "function": {"name": use.name, "arguments": _filled(json.dumps(use.args), request)},
        }
        for at, use in enumerate(answer.uses)
    ]


def _finish(answer: Turn) -> str:
    return answer.finish or ("tool_calls" if answer.uses else "stop")


def _usage(answer: Turn) -> Json:
    prompt, completion = answer.tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _filled(text: str, request: Request) -> str:
    folder = re.search(r"Working directory: (\S+)", request.system)
    return text.replace("{cwd}", folder[1] if folder else ".")
