"""What a repository says of itself in `.kugetsu.toml`, and how that is read.

The file is written by whoever may push to the default branch. Its text comes in as it is; out comes one frozen value,
or one sentence that names the key and what would be right. The description of a field ends that sentence.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints, ValidationError

from models import values
from models.grammar import Verb

MAX_BYTES: Final = 64 * 1024
TAKEN: Final = frozenset(Verb) | {"queued", "running", "done", "failed", "cancelled"}
"""Names of labels and of verbs: a recipe that had one could not be asked for."""


class RepoFileWrong(ValueError):
    """The file cannot be used: one sentence without its full stop."""

    def __init__(self, message: str) -> None:
        """Keep it one line, whatever a quoted key or value in it may hold."""
        super().__init__(" ".join("".join(sign if sign.isprintable() else " " for sign in message).split()))


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL character")
    return text


Script = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000), AfterValidator(_no_nul)
]
Instructions = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16_000), AfterValidator(_no_nul)
]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]+$")]
Globs = Annotated[tuple[Glob, ...], Field(max_length=200)]

_SCRIPT = "a shell command, such as {} (several lines are fine)"
_MODEL = "provider/model, as opencode names it"


class OwnRecipe(BaseModel):
    """A kind of work that a repository adds: `base` says what comes of it, `instructions` what to do."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base: Annotated[Literal["code", "research", "review"], Field(description="code, research or review")] = "code"
    instructions: Annotated[Instructions, Field(description="what the agent is to do, at most 16,000 characters")]
    model: Annotated[values.ModelName | None, Field(description=_MODEL)] = None


class RepoFile(BaseModel):
    """Everything a repository may say; nothing at all where it has no such file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    model: Annotated[values.ModelName | None, Field(description=_MODEL)] = None
    setup: Annotated[Script | None, Field(description=_SCRIPT.format('"npm ci"'))] = None
    verify: Annotated[Script | None, Field(description=_SCRIPT.format('"make test"'))] = None
    timeout: Annotated[values.Duration | None, Field(description="a duration like 90s, 10m or 2h")] = None
    forbidden: Annotated[Globs, Field(description='a list of paths or globs, such as ["infra/**", "*.lock"]')] = ()
    allow_workflow_changes: Annotated[StrictBool, Field(description="true or false")] = False
    allow_agent_config: Annotated[StrictBool, Field(description="true or false")] = False
    allow_config_changes: Annotated[StrictBool, Field(description="true or false")] = False
    allow_secrets_in: Annotated[Globs, Field(description='a list of paths or globs, such as ["tests/data/**"]')] = ()
    allow_users: Annotated[values.Logins, Field(description='a list of logins, such as ["ada", "bob"]')] = frozenset()
    recipes: Annotated[Mapping[str, OwnRecipe], Field(description="tables [recipes.NAME]")] = {}


def parse(text: str) -> RepoFile:
    """Read the whole file. Raises RepoFileWrong for the first thing that is wrong with it."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise RepoFileWrong(f"it is longer than {MAX_BYTES:,} bytes")
    try:
        read = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise RepoFileWrong(f"it is not TOML: {error}") from None
    _check_keys(read)
    try:
        return RepoFile(**read)
    except ValidationError as error:
        message = _complaint(error)
    raise RepoFileWrong(message)


def _check_keys(read: Mapping[str, Any]) -> None:
    """Every key must be known, and every recipe's name one that can be asked for."""
    for key in read:
        _check_known(key, RepoFile.model_fields, "")
    recipes = read.get("recipes")
    for name, table in recipes.items() if isinstance(recipes, Mapping) else ():
        _check_name(name)
        for key in table if isinstance(table, Mapping) else ():
            _check_known(key, OwnRecipe.model_fields, f" in [recipes.{name}]")


def _check_known(key: str, known: Collection[str], where: str) -> None:
    if key not in known:
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
        raise RepoFileWrong(f"{_quoted(key)}{where} is not a key; the nearest one is {_quoted(nearest)}")


def _check_name(name: str) -> None:
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum() and name == name.lower()
    if not plain or name[0] in "-_" or len(name) > 30:  # noqa: PLR2004 - a label has 50 characters, its scope 8
        right = "up to 30 lower-case letters, digits, dashes or underscores"
        raise RepoFileWrong(f"{_quoted(name)} cannot be the name of a recipe; right would be {right}")
    if name in TAKEN:
        raise RepoFileWrong(f"{_quoted(name)} cannot be the name of a recipe, since it means something already")


def _complaint(error: ValidationError) -> str:
    place = [str(part) for part in error.errors()[0]["loc"]]
    if place[0] == "recipes" and len(place) > 2 and place[2] in OwnRecipe.model_fields:  # noqa: PLR2004
        key, field = ".".join(place[:3]), OwnRecipe.model_fields[place[2]]
    else:
        key, field = place[0], RepoFile.model_fields[place[0]]
    what = "is missing" if error.errors()[0]["type"] == "missing" else "is wrong"
    return f"{_quoted(key)} {what}; right would be {field.description}"


def _quoted(key: str) -> str:
    """As code, which notifies nobody; a key may hold anything."""
    plain = key.replace("`", "'")
    return f"`{plain if len(plain) <= 100 else plain[:97] + '...'}`"  # noqa: PLR2004 - as much as reads well
