"""The forms a setting may take: each type turns what a person wrote into the value the program uses.

A setting is written as text in the environment, and as text, number or list in `kugetsu.toml`; both end in the
same value. The types only accept or refuse: what would be right is said beside each setting.
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints

_UNITS = {"s": 1, "m": 60, "h": 3600}
_MIB = 1024 * 1024
_LONGEST = timedelta(days=365)
_MODEL_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.:@+~-]+)+", re.ASCII)
_REPO_PATTERN = re.compile(r"!?(\*|[\w.*?\[\]!-]+/[\w.*?\[\]!-]+)", re.ASCII)


def is_model_name(text: str) -> bool:
    """Whether `text` reads `provider/model`. It never starts with a dash: it ends up in an argument list."""
    return len(text) <= 200 and _MODEL_NAME.fullmatch(text) is not None  # noqa: PLR2004 - longer is no name


def duration(text: str) -> timedelta:
    """Read `90s`, `10m`, `24h`, `0.5s`. Raises ValueError for anything else, for zero and for over a year."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([smh])", text.strip(), re.ASCII)
    if found is None:
        raise ValueError("not a duration")
    length = timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    if not timedelta() < length <= _LONGEST:
        raise ValueError("not more than nothing and at most a year")
    return length


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("not text")  # noqa: TRY004 - pydantic turns ValueError, not TypeError, into its own error
    return duration(value)


def size(text: str) -> int:
    """Read `512MiB`, `4GiB` as bytes. Raises ValueError for anything else, and for less than 64 MiB."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) ?([MG])iB", text.strip(), re.ASCII)
    if found is None:
        raise ValueError("not a size")
    count = int(float(found[1]) * (_MIB if found[2] == "M" else 1024 * _MIB))
    if count < 64 * _MIB:
        raise ValueError("too little to start anything")
    return count


def _size(value: object) -> int | None:
    if value is None or isinstance(value, int):
        return value
    if not isinstance(value, str):
        raise ValueError("not text")  # noqa: TRY004 - as above
    return None if value.strip().lower() == "none" else size(value)


def _words(value: object) -> tuple[Any, ...]:
    """Take a list as it is and cut text at its commas."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Iterable):
        raise ValueError("not a list")  # noqa: TRY004 - as above
    parts = (part.strip() if isinstance(part, str) else part for part in value)
    return tuple(part for part in parts if part != "")


def _none(value: object) -> object:
    """Read `none` as no limit, so that the environment can lift one that the file sets."""
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


def _web_url(text: str) -> str:
    parts = urlsplit(text)
    good = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    if not good or parts.query or parts.fragment or parts.port == 0 or re.search(r"[\s\x00-\x1f]", text):
        raise ValueError("not an http address")
    return text.rstrip("/")


def _postgres_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"postgresql", "postgres"} or parts.path in {"", "/"}:
        raise ValueError("not a PostgreSQL address")
    return text


def _token(secret: SecretStr) -> SecretStr:
    """A token travels in a header, where a space, a line break or a letter outside ASCII never works."""
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        raise ValueError("not a token")
    return secret


def _model_name(text: str) -> str:
    if not is_model_name(text):
        raise ValueError("not provider/model")
    return text


def _repo_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_REPO_PATTERN.fullmatch(pattern) for pattern in patterns):
        raise ValueError("not OWNER/NAME")
    return patterns


def _logins(value: object) -> frozenset[str]:
    plain = frozenset(str(login).removeprefix("@").lower() for login in _words(value))
    if not all(re.fullmatch(r"[\w.-]+", login, re.ASCII) for login in plain):
        raise ValueError("not a login")
    return plain


def _variable_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Our own settings hold the tokens the agent must not see, so their names are refused."""
    for name in names:
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name.upper().startswith("KUGETSU_"):
            raise ValueError("not a name to hand to the agent")
    return names


def _shown_paths(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Nothing relative, and never the whole machine."""
    if not all(path.is_absolute() and path != Path("/") and ".." not in path.parts for path in paths):
        raise ValueError("not a path to show")
    return paths


Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f]+$")]
Keyword = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
Words = Annotated[tuple[Word, ...], BeforeValidator(_words)]
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:%-]+$")]
Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[Count | None, BeforeValidator(_none)]
AmountOrNone = Annotated[Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, BeforeValidator(_none)]
SizeOrNone = Annotated[Annotated[int, Field(ge=64 * _MIB)] | None, BeforeValidator(_size)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
PostgresUrl = Annotated[str, AfterValidator(_postgres_url)]
Token = Annotated[SecretStr, AfterValidator(_token)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_words)]
ModelName = Annotated[str, AfterValidator(_model_name)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_words)]
RepoPatterns = Annotated[Words, AfterValidator(_repo_patterns)]
Logins = Annotated[frozenset[str], BeforeValidator(_logins)]
ShownPaths = Annotated[tuple[Path, ...], BeforeValidator(_words), AfterValidator(_shown_paths)]
VariableNames = Annotated[Words, AfterValidator(_variable_names)]
