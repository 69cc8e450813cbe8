"""What a run of opencode said, read from its JSON lines, and the verdict on how it ended. Nothing is done here.

The lines are the agent's word: any of them may be broken, unknown or a lie. None makes this module raise.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from jobs import lines
from jobs.keeper import SHUTDOWN, KeeperResult
from jobs.tail import Tail

CANCELLED = "cancelled"
"""The reason of a stop that a person asked for."""

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_UNREACHABLE = re.compile(r"unable to connect|connection|ECONN|ENOTFOUND|socket|network|timed out", re.IGNORECASE)
_LIMITS = {24: "used more processor time than is allowed", 25: "wrote a longer file than is allowed"}
"""By signal: SIGXCPU and SIGXFSZ, which the kernel sends where a process passes its limit."""
_KILLED = 128  # a shell's and bwrap's exit code for a signal is this much and the signal's number
_MOST_TOKENS = 10**12  # of one turn; whoever stores the sum need not fear what an agent makes up
_SERVER_FAULT = 500
_TOO_MANY = 429
_BY_STATUS = {
    401: "refused the key it was given",
    402: "wants to be paid first",
    403: "refused the key it was given",
    404: "does not know this model or address",
    _TOO_MANY: "limits how much is asked of it",
}
_STUCK_TURNS = 20
"""An LLM that breaks off every answer makes opencode ask again twice a second, for ever."""


@dataclass(frozen=True, slots=True)
class Step:
    """One use of a tool. `subject` is the file, command or pattern it was used on; `seconds` how long it took."""

    tool: str
    title: str
    subject: str
    failed: bool
    seconds: float

    @property
    def words(self) -> str:
        """The step in one line: `bash: make test`."""
        return " ".join(f"{self.tool}: {self.title or self.subject}".split())[:200].rstrip(": ")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counted by the provider; those of sub-agents are not among opencode's lines."""

    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.reasoning + other.reasoning,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )

    @property
    def total(self) -> int:
        return self.input + self.output + self.reasoning + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the LLM. `reason` is why it ended: `stop`, `tool-calls`, `length`, `unknown`."""

    reason: str
    tokens: Tokens
    cost: float


@dataclass(frozen=True, slots=True)
class AgentError:
    """An error opencode reported. `status` is the LLM provider's HTTP status, where it was one."""

    name: str
    message: str
    status: int | None
    retryable: bool


@dataclass(slots=True)
class Transcript:
    """All that matters of the lines fed so far."""

    session: str | None = None
    steps: list[Step] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    text: str = ""
    """What the agent said last."""
    error: AgentError | None = None
    ignored: int = 0
    """Lines that could not be read."""
    _message: str = ""

    @classmethod
    def of(cls, path: Path) -> Self:
        """The transcript of a finished run's event file; empty when there is none."""
        transcript, tail = cls(), Tail(path)
        while found := tail.read():
            transcript.feed_all(found)
        transcript.feed_all(tail.rest())
        return transcript

    def feed_all(self, found: Sequence[bytes]) -> None:
        for line in found:
            self.feed(line)

    def feed(self, line: bytes) -> None:
        """Take in one line, with or without its newline."""
        try:
            read = lines.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.ignored += 1
            return
        self.session = read.session or self.session
        if read.error is not None:
            self.error = _error(read.error)
        elif read.part is not None:
            self._take(read.type, read.part)

    @property
    def tokens(self) -> Tokens:
        return sum((turn.tokens for turn in self.turns), Tokens())

    @property
    def cost(self) -> float:
        """In the currency of the provider's prices, as opencode knows them (dollars)."""
        return sum(turn.cost for turn in self.turns)

    @property
    def finish(self) -> str | None:
        """Why the last answer of the LLM ended, None before the first has."""
        return self.turns[-1].reason if self.turns else None

    @property
    def stuck(self) -> str | None:
        """Why the run should be stopped now: it goes round in circles that opencode itself never leaves."""
        last = self.turns[-_STUCK_TURNS:]
        if len(last) == _STUCK_TURNS and all(turn.reason == "unknown" for turn in last):
            return f"the LLM broke off its answer {_STUCK_TURNS} times in a row"
        return None

    def _take(self, kind: str, part: lines.Part) -> None:
        if kind == "text":
            same = part.message_id and part.message_id == self._message
            self.text = f"{self.text}\n\n{part.text}" if same else part.text
            self._message = part.message_id
        elif kind == "tool_use" and part.state is not None:
            self.steps.append(_step(part.tool, part.state))
        elif kind == "step_finish":
            self.turns.append(Turn(part.reason or "", _tokens(part.tokens), part.cost or 0.0))


def _step(tool: str, state: lines.State) -> Step:
    time = state.time or lines.Time()
    seconds = max(0.0, ((time.end or 0) - (time.start or 0)) / 1000)
    return Step(tool, state.title or "", _subject(state.input), state.status == "error", seconds)


def _subject(given: dict[str, msgspec.Raw]) -> str:
    for name in ("filePath", "command", "pattern", "path", "url", "description"):
        if name in given:
            try:
                return msgspec.json.decode(given[name], type=str)
            except msgspec.DecodeError:
                continue
    return ""


def _tokens(read: lines.Tokens | None) -> Tokens:
    if read is None:
        return Tokens()
    counts = (read.input, read.output, read.reasoning, read.cache.read, read.cache.write)
    return Tokens(*(int(min(max(count or 0, 0), _MOST_TOKENS)) for count in counts))


def _error(read: lines.Error) -> AgentError:
    data = read.data
    return AgentError(read.name, _brief(data.message or ""), data.status_code, data.is_retryable)


def _brief(text: str) -> str:
    return " ".join(text.split())[:500]


@dataclass(frozen=True, slots=True)
class Completed:
    """The agent finished; `text` is its answer, which may be empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """`reason` is for the person: what happened, as a clause after "because" or a colon, with no full stop.

    `passing`: trying again later may help by itself. `fresh`: only without the session, which is gone.
    """

    reason: str
    passing: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A person ended it."""


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Whoever runs the machine ended it along with the service: no attempt that failed."""


def judge(transcript: Transcript, result: KeeperResult) -> Completed | Failed | Cancelled | ShutDown:
    """How a run ended. opencode's exit code alone says little: it is 0 also when it stopped half-way."""
    match result.ended:
        case "stopped":
            return _judge_stop(result.reason, stuck=transcript.stuck is not None)
        case "timeout" | "output_limit" | "over_limit":
            return Failed(f"the agent {result.reason} and was ended")
        case "no_start" | "stalled":
            return Failed(f"the agent {result.reason} and was ended", passing=True)
        case "failed_to_start":
            return Failed(f"the agent could not be started: {_brief(result.reason)}")
        case "exited":
            return _judge_exit(transcript, result)


def _judge_stop(reason: str, *, stuck: bool) -> Failed | Cancelled | ShutDown:
    if reason == CANCELLED:
        return Cancelled()
    if reason == SHUTDOWN:
        return ShutDown()
    return Failed(reason or "the run was stopped", passing=stuck)


def _judge_exit(transcript: Transcript, result: KeeperResult) -> Completed | Failed:
    if transcript.error is not None:
        return _judge_error(transcript.error)
    if result.code == 0:
        return _judge_finish(transcript)
    said = _brief(_ANSI.sub("", result.stderr))
    if "session not found" in said.lower():
        return Failed("the agent no longer has this conversation", passing=True, fresh=True)
    if result.code is None or result.code > _KILLED:
        number = result.signal or (result.code or 0) - _KILLED
        if number in _LIMITS:
            return Failed(f"the agent was killed: one of its processes {_LIMITS[number]}")
        return Failed(f"the agent was killed (signal {number}), perhaps for lack of memory", passing=True)
    return Failed(f"the agent ended with code {result.code}" + (f": {said}" if said else ""))


def _judge_finish(transcript: Transcript) -> Completed | Failed:
    match transcript.finish:
        case "stop":
            return Completed(transcript.text)
        case None:
            return Failed("the agent ended without saying anything", passing=True)
        case "tool-calls":
            return Failed("the agent stopped half-way, after a tool and before its answer", passing=True)
        case "length":
            return Failed("the LLM's answer was cut off: it reached the limit of its length")
        case "content-filter":
            return Failed("the LLM's provider withheld the answer (content filter)")
        case other:
            return Failed(f"the LLM broke off its answer (reason: {other or 'none given'})", passing=True)


def _judge_error(error: AgentError) -> Failed:
    said = f": {error.message}" if error.message else ""
    if error.status is None:
        return _judge_unnumbered(error, said)
    fault = error.status >= _SERVER_FAULT
    what = _BY_STATUS.get(error.status, "has a fault of its own" if fault else "refused the request")
    passing = fault or error.status == _TOO_MANY
    return Failed(f"the LLM's provider {what} ({error.status}){said}", passing=passing)


def _judge_unnumbered(error: AgentError, said: str) -> Failed:
    if error.name == "ContextOverflowError":
        return Failed(f"the conversation has become too long for the LLM{said}", fresh=True)
    if error.retryable or _UNREACHABLE.search(error.message):
        return Failed(f"the LLM's provider cannot be reached{said}", passing=True)
    if error.name == "UnknownError":
        # Also what opencode says to a model it does not know, without another word.
        return Failed(f"opencode reported an error it does not explain{said}; is the model's name right?")
    return Failed(f"opencode reported {error.name or 'an error'}{said}")
