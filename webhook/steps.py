"""What stands in a job's log: one entry for each thing that happened, read from a line of the agent's. Pure.

The lines are the agent's own: any of them may be broken, unknown or a lie, and none makes this module raise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from jobs.lines import Tokens
from webhook.status import rfc3339

MOST_SHOWN = 4000
"""Characters of an output that are shown at once; the whole of it has an address of its own."""

_MARGIN = 2000
"""Characters more that are cleaned before the cut, so that no half of a secret is left at its edge."""

_SUBJECTS = ("command", "filePath", "pattern", "path", "url", "query", "description")

_PLACE = re.compile(r"^/(?:[^/\n]+/)*worktrees/[^/\n]+/tree/(?=[^\n]+$)")
"""In front of a file's name, when that is all there is: everybody knows that the agent works there."""

Kind = Literal["heading", "text", "thinking", "tool", "turn", "error", "output"]
Clean = Callable[[str], str]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `at` is where it stands in the log; `when` and `seconds` are seconds, the former since
    the epoch; `subject` is what a tool was used on; `cut` says that `body` is only the beginning.
    """

    at: str
    kind: Kind
    when: float | None = None
    title: str = ""
    subject: str = ""
    body: str = ""
    failed: bool = False
    seconds: float | None = None
    tokens: int = 0
    cost: float = 0.0
    cut: bool = False


class _Time(msgspec.Struct):
    start: float | None = None
    end: float | None = None


class _State(msgspec.Struct):
    status: str = ""
    title: str | None = None
    input: dict[str, Any] = {}
    output: str | None = None
    error: str | None = None
    time: _Time | None = None


class _Part(msgspec.Struct):
    text: str = ""
    tool: str = ""
    state: _State | None = None
    reason: str | None = None
    tokens: Tokens | None = None
    cost: float | None = None


class _Line(msgspec.Struct):
    type: str
    timestamp: float = 0
    part: _Part | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Line).decode


def entry_of(line: bytes, at: str, clean: Clean, *, most: int | None = MOST_SHOWN) -> Entry | None:
    """The entry of one line of the agent's, without secrets; None for one that has nothing to show."""
    try:
        read = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if read.error is not None:
        return _made(clean, most, at=at, kind="error", when=_when(read), title="error", body=_said(read.error))
    if read.part is None:
        return None
    return _of_part(read, read.part, at, clean, most)


def _of_part(read: _Line, part: _Part, at: str, clean: Clean, most: int | None) -> Entry | None:
    when = _when(read)
    if read.type == "step_finish" or part.tokens is not None:
        return Entry(at=at, kind="turn", when=when, tokens=_total(part.tokens), cost=max(0.0, part.cost or 0.0))
    if part.state is not None:
        return _of_tool(part.tool, part.state, clean, most, at=at, when=when)
    if part.text.strip():
        kind: Kind = "thinking" if read.type == "reasoning" else "text"
        return _made(clean, most, at=at, kind=kind, when=when, body=part.text.strip())
    return None


def _of_tool(name: str, state: _State, clean: Clean, most: int | None, **place: Any) -> Entry:
    return _made(
        clean,
        most,
        kind="tool",
        **place,
        title=name or "tool",
        subject=_subject(state),
        body=(state.error or state.output or "").strip("\n"),
        failed=state.status == "error",
        seconds=_seconds(state.time),
    )


def output_entry(text: str, at: str, clean: Clean) -> Entry:
    """Some lines of what a command has printed."""
    return _made(clean, None, at=at, kind="output", body=text.rstrip("\n"))


def heading(at: str, title: str, subject: str, clean: Clean) -> Entry:
    """The beginning of a run, or of a command of the repository's own."""
    return _made(clean, None, at=at, kind="heading", title=title, subject=subject)


def _made(clean: Clean, most: int | None, *, body: str = "", subject: str = "", **values: Any) -> Entry:
    """An entry with its texts cleaned, all at once since that costs most of the time, and then cut."""
    rough = body if most is None else body[: most + _MARGIN]
    parts = clean("\0".join(text.replace("\0", "") for text in (subject, rough))).split("\0")
    if most is None:
        return Entry(subject=parts[0], body=parts[1], **values)
    return Entry(subject=parts[0][:most], body=parts[1][:most], cut=len(body) > most, **values)


def as_text(entry: Entry) -> str:
    """The entry as lines of plain text, each with its newline; "" for what only counts."""
    at = _clock(entry.when)
    match entry.kind:
        case "heading":
            return f"── {entry.title}" + (f": {entry.subject}" if entry.subject else "") + "\n"
        case "output":
            return f"{entry.body}\n"
        case "turn":
            return ""
        case "tool":
            return f"{at}[{entry.title}] {entry.subject}".rstrip() + "\n" + _indented(entry)
        case "error":
            return f"{at}error: {entry.body}\n"
        case "text" | "thinking":
            return f"{at}{entry.body}\n"


def _indented(entry: Entry) -> str:
    if not entry.body:
        return ""
    text = entry.body + (" … (cut)" if entry.cut else "")
    return "".join(f"    {row}\n" for row in text.splitlines())


def _clock(when: float | None) -> str:
    return f"{rfc3339(when)} " if when else ""


def _when(read: _Line) -> float | None:
    """Milliseconds become seconds; a moment that no calendar holds is none."""
    seconds = read.timestamp / 1000
    return seconds if 0 < seconds < 4e9 else None  # noqa: PLR2004 - the year 2096


def _subject(state: _State) -> str:
    given = next((state.input[name] for name in _SUBJECTS if isinstance(state.input.get(name), str)), "")
    return _PLACE.sub("", given) or state.title or ""


def _seconds(time: _Time | None) -> float | None:
    if time is None or time.start is None or time.end is None:
        return None
    return max(0.0, (time.end - time.start) / 1000)


def _total(tokens: Tokens | None) -> int:
    if tokens is None:
        return 0
    counts = (tokens.input, tokens.output, tokens.reasoning, tokens.cache.read, tokens.cache.write)
    return int(sum(min(max(count or 0, 0), 1e12) for count in counts))


def _said(error: Any) -> str:
    """What an error says: its message where it has one, else all of it."""
    data = error.get("data") if isinstance(error, dict) else None
    message = data.get("message") if isinstance(data, dict) else None
    return message if isinstance(message, str) and message else msgspec.json.encode(error).decode(errors="replace")
