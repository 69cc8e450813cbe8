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
from itertools import accumulate
from types import MappingProxyType
from typing import Final

from models.speaking import speaking
from models.values import is_model_name

READ_CHARACTERS: Final = 32_768
"""Commands are looked for in this much of a comment: Markdown made to be slow takes about a second at this
length, and the time grows with the square of it (measured with markdown-it-py 4.3). Instructions may go on beyond."""

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
    """A single word that is nearly a verb: answered with "did you mean", never with an agent; letters a-z only."""

    word: str
    nearest: Verb


@dataclass(frozen=True, slots=True)
class BadOption:
    """An option that cannot be followed. `reason` completes "`--option` ..." and repeats no word of the comment."""

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
_CLOSE: Final = 0.74  # "cdoe" is 0.75 like "code"; "yes", "thanks", "start" and "resume" stay below for every verb
_MEANT: Final = MappingProxyType(
    {"abort": Verb.CANCEL, "kill": Verb.CANCEL, "stop": Verb.CANCEL, "rerun": Verb.RETRY, "restart": Verb.RETRY}
)
_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0") | {
    chr(sign) for sign in range(0xFE00, 0xFE10)
}
_ENDS: Final = ".,:;!?"
_FAR_ENOUGH: Final = 300  # columns in which a command's first word is looked for
_LONGEST_NAME: Final = 40  # characters of an unknown option that are worth repeating
_OPTION: Final = re.compile(r"(--|[\u2013\u2014])([A-Za-z][A-Za-z-]*)(?:=(.*))?", re.DOTALL)


def parse(text: str, *, bot: str | None) -> tuple[Asked, ...]:
    """Read what a comment asks, in order; `bot` is the login whose mention is a command too. Never raises.

    A command starts a line, after at most three spaces. Its instructions run to the next command or the end. Characters
    that show nothing neither hide a command nor end a quote or a block of code.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text[:READ_CHARACTERS].split("\n")
    trigger = _trigger(bot)
    columns = {n: _behind_trigger(line[:_FAR_ENOUGH], trigger) for n, line in enumerate(lines)}
    heads = {n: column for n, column in columns.items() if column is not None}
    starts = speaking(lines, heads)
    begins = list(accumulate((len(line) + 1 for line in lines), initial=0))
    ends = [*(begins[start] for start in starts[1:]), len(text)]
    return tuple(_read(text[begins[n] + heads[n] : end]) for n, end in zip(starts, ends, strict=False))


def render(command: Command) -> str:
    """Write a command so that `parse` reads the same from it.

    Raises ValueError for what would be read differently in a comment of its own: instructions with a line that would
    speak there, with blank lines around them, or, without a verb, of one word close to a verb; a model without a slash.
    """
    words = [ALIASES[0]]
    if command.verb is not Verb.CONTINUE:
        words.append(command.verb.value)
    if command.model is not None:
        words += ["--model", command.model]
    if command.priority is not None:
        words += ["--priority", command.priority.value]
    if command.fresh:
        words.append("--fresh")
    head = " ".join(words)
    for between in (" ", "\n", "\n\n"):
        text = f"{head}{between}{command.instructions}" if command.instructions else head
        if parse(text, bot=None) == (command,):
            return text
    raise ValueError("these instructions, or this model, cannot be part of a comment")


def help_text(bot: str | None) -> str:
    """Explain the grammar, as Markdown for a comment; it holds nothing that speaks or mentions anybody."""
    options = [f"{name} {value}" if value else name for name, (value, _) in _OPTIONS.items()]
    usage = " ".join([ALIASES[0], f"[{'|'.join(_VERBS)}]", *(f"[{option}]" for option in options), "[instructions…]"])
    others = [f"`{name}`" for name in (*ALIASES[1:], *([f"@{bot}"] if bot else []))]
    end = (
        f"The instructions run to the end of the comment. {_listed(others)} do the same as `{ALIASES[0]}`."
        " Quotes, code, tables, HTML comments and link texts are not read for commands;"
        " leave an empty line after a quote."
    )
    verbs = [f"| `{verb}` | {_MEANING[verb]} |" for verb in _VERBS.values()]
    return "\n".join(
        [
            "At the start of a line of a comment:",
            "",
            *("```text", usage, "```", ""),
            *("| verb | what happens |", "|---|---|", *verbs, f"| none | {_MEANING[Verb.CONTINUE]} |", ""),
            *(f"- `{option}`: {meaning}" for option, (_, meaning) in zip(options, _OPTIONS.values(), strict=True)),
            "",
            end,
        ]
    )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _trigger(bot: str | None) -> re.Pattern[str]:
    names = "|".join(map(re.escape, [*ALIASES, *([f"@{bot}"] if bot else [])]))
    return re.compile(rf" {{0,3}}(?ai:{names})[,:]?(?!\S)")


def _behind_trigger(line: str, trigger: re.Pattern[str]) -> int | None:
    """Give the column behind the first word where it is one of ours, looking through what shows nothing."""
    places = [column for column, sign in enumerate(line) if not _hidden(sign)]
    found = trigger.match("".join(line[column] for column in places))
    return places[found.end() - 1] + 1 if found else None


def _hidden(sign: str) -> bool:
    return unicodedata.category(sign) == "Cf" or sign in _INVISIBLE


def _shown(word: str) -> str:
    return "".join(sign for sign in word if not _hidden(sign))


def _read(said: str) -> Asked:
    """Read verb and options off the rest of a command's line; the first other word begins the instructions."""
    verb: Verb | None = None
    options: dict[str, str] = {}
    begin = 0
    head = said.partition("\n")[0]
    words = re.finditer(r"\S+", head[:READ_CHARACTERS])
    for found in words:
        word = _shown(found[0])
        begin = found.start()
        if (option := _option(word)) is not None:
            name, value = option
            if value is None and _OPTIONS.get(name, ("",))[0] and (following := next(words, None)) is not None:
                value, found = following[0], following  # noqa: PLW2901 - the option is two words long
            if (reason := _fault(name, value, options)) is not None:
                return BadOption(name[:_LONGEST_NAME], reason)
            options[name] = _plain(value)
        elif verb is None and (named := _VERBS.get(word.lower().rstrip(_ENDS))) is not None:
            verb = named
        elif word and word != "--":
            break
        begin = found.end()
        if word == "--":
            break
    return _command(verb, options, _instructions(said[begin:]))


def _option(word: str) -> tuple[str, str | None] | None:
    """Read `--name` or `--name=value`; phones make one long dash of two, which counts before a name we know."""
    found = _OPTION.fullmatch(word)
    if found is None:
        return None
    name = f"--{found[2].lower()}"
    return (name, found[3]) if found[1] == "--" or name in _OPTIONS else None


def _plain(value: str | None) -> str:
    """An option's value as meant: people put code marks around a model's name."""
    return _shown(value or "").strip("`")


def _fault(name: str, written: str | None, given: Mapping[str, str]) -> str | None:
    """Say what is wrong with an option, or None."""
    value = _plain(written)
    if name not in _OPTIONS:
        return f"is not known; there are {_listed([f'`{option}`' for option in _OPTIONS])}"
    if name in given:
        return "is given twice"
    if name == "--model" and not is_model_name(value):
        return "needs the name of a model, written `provider/model`"
    if name == "--priority" and value.lower() not in set(Priority):
        return f"needs one of {', '.join(Priority)}"
    if name == "--fresh" and written is not None:
        return "takes no value"
    return None


def _instructions(rest: str) -> str:
    """Take the blank lines off both ends; the indentation of a line of its own stays, for it may be code."""
    words = rest.lstrip()
    above = len(rest) - len(words)
    line_begin = rest.rfind("\n", 0, above) + 1
    return rest[line_begin or above :].rstrip()


def _nearest(word: str) -> Verb | None:
    """Find the verb that a single word nearly is, or means: an agent set to work by "stop" would be no joke."""
    if not re.fullmatch(r"[A-Za-z]+", word):
        return None
    near = difflib.get_close_matches(word.lower(), _VERBS, n=1, cutoff=_CLOSE)
    return _VERBS[near[0]] if near else _MEANT.get(word.lower())


def _command(verb: Verb | None, options: Mapping[str, str], instructions: str) -> Command | Misspelt:
    word = _shown(instructions[:_FAR_ENOUGH]).rstrip(_ENDS)
    if verb is None and (nearest := _nearest(word)) is not None:
        return Misspelt(word, nearest)
    priority = options.get("--priority")
    return Command(
        verb=verb or Verb.CONTINUE,
        instructions=instructions,
        model=options.get("--model"),
        priority=Priority(priority.lower()) if priority else None,
        fresh="--fresh" in options,
    )
