"""The comment grammar: what a person can ask in a comment, read from it, written as one, and explained.

    /kugetsu [code|research|review|cancel|retry|status|help] [--model M] [--priority P] [--fresh] [instructions...]

Pure: text in, values out. Which lines speak at all is decided in `models.speaking`.
"""

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from models.speaking import speaking
from models.values import is_model_name

READ_CHARACTERS: Final = 32_768
"""Commands are looked for in this much of a comment: Markdown made to be slow takes 0.7 s at this length, and the time
grows with the square of it (measured with markdown-it-py 4.3). Instructions may go on beyond."""

ALIASES: Final = ("/kugetsu", "/oc", "/opencode")


class Verb(StrEnum):
    CODE = "code"
    RESEARCH = "research"
    REVIEW = "review"
    CANCEL = "cancel"
    RETRY = "retry"
    STATUS = "status"
    HELP = "help"
    CONTINUE = "continue"
    """No verb was given: go on with the conversation, or begin one."""


class Priority(StrEnum):
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Command:
    """One thing asked. `instructions` is Markdown as it was written, without blank lines around it."""

    verb: Verb
    instructions: str = ""
    model: str | None = None
    priority: Priority | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Misspelt:
    """A single word that is nearly a verb: answered with "did you mean", never with an agent. Letters a-z only."""

    word: str
    nearest: Verb


@dataclass(frozen=True, slots=True)
class BadOption:
    """An option that cannot be followed. `reason` completes the sentence "`--option` ..." and holds no words of others."""

    option: str
    reason: str


Asked = Command | Misspelt | BadOption

_MEANING: Final[Mapping[Verb, str]] = MappingProxyType(
    {
        Verb.CODE: "work on the issue and open a pull request",
        Verb.RESEARCH: "look into it and post the findings here",
        Verb.REVIEW: "review the pull request",
        Verb.CANCEL: "stop what runs or waits here",
        Verb.RETRY: "try the last piece of work again",
        Verb.STATUS: "say what runs or waits here",
        Verb.HELP: "show this",
        Verb.CONTINUE: "on a new issue the same as `code`, otherwise go on where the last work ended",
    }
)
_VERBS: Final = MappingProxyType({verb.value: verb for verb in Verb if verb is not Verb.CONTINUE})
_PRIORITIES: Final = "|".join(Priority)
_OPTIONS: Final = MappingProxyType(
    {
        "--model": ("M", "use this model, written `provider/model`"),
        "--priority": (_PRIORITIES, "go before or after what else waits"),
        "--fresh": ("", "forget the conversation so far"),
    }
)
_CLOSE: Final = 0.7  # "cdoe" is 0.75 like "code"; "yes", "thanks", "continue" and "resume" stay below for every verb
_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0") | {chr(sign) for sign in range(0xFE00, 0xFE10)}
_OPTION: Final = re.compile(r"(--|[\u2013\u2014])([A-Za-z][A-Za-z-]*)(?:=(.*))?", re.DOTALL)


def parse(text: str, *, bot: str | None) -> tuple[Asked, ...]:
    """Read what a comment asks, in order; `bot` is the login whose mention is a command too. Never raises.

    A command starts a line, after at most three spaces. Its instructions run to the next command or the end. Characters
    that show nothing neither hide a command nor end a quote or a block of code.
    """
    lines = re.split(r"\r\n|\r|\n", text)
    trigger = _trigger(bot)
    heads: dict[int, int] = {}
    read = 0
    for number, line in enumerate(lines):
        read += len(line) + 1
        if read > READ_CHARACTERS:
            lines_read = lines[:number]
            break
        if (column := _behind_trigger(line, trigger)) is not None:
            heads[number] = column
    else:
        lines_read = lines
    starts = speaking(lines_read, heads)
    return tuple(
        _read(lines[start][heads[start] :], lines[start + 1 : stop]) for start, stop in pairwise([*starts, len(lines)])
    )
