"""The raw side of the settings: what stands in the environment and in `kugetsu.toml`.

Here the names are checked, the values are not. The environment is always a mapping that is handed in; the
process's own is never looked at.
"""

import difflib
import os
import pwd
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from models.refusal import Refused

PREFIX: Final = "KUGETSU_"
CONFIG_VARIABLE: Final = "KUGETSU_CONFIG"
CONFIG_FILE: Final = "kugetsu.toml"
DEFAULT_HOME: Final = "~/.kugetsu"
SERVER_KEYS: Final = ("url", "token", "webhook_secret", "repos", "allow_users")
NOTICE_KEYS: Final = ("to", "webhook", "secret", "events", "repos", "servers")
TABLE_KEYS: Final = {"servers": SERVER_KEYS, "notices": NOTICE_KEYS}
"""The tables of the file, [servers.NAME] and so on, and what may stand in each."""


class SettingsError(Refused, ValueError):
    """A setting is wrong: one line that says which, where it was read, and what would be right."""

    def __init__(self, message: str) -> None:
        """Keep it one line of a terminal or a log, whatever a path or a quoted TOML key in it may hold."""
        super().__init__(" ".join("".join(sign if sign.isprintable() else " " for sign in message).split()))


def expand(path: str, environ: Mapping[str, str]) -> Path:
    """Make a path absolute; `~` is HOME of `environ`, or of the user database where HOME is not set."""
    if path == "~" or path.startswith("~/"):
        path = (environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir) + path[1:]
    return Path(path).absolute()


def environment_names(settings: Collection[str]) -> tuple[str, ...]:
    """The variables that may be set: one for each setting, and the one that names the file."""
    return (*(PREFIX + name.upper() for name in settings), CONFIG_VARIABLE)


def read_environment(environ: Mapping[str, str], settings: Collection[str]) -> dict[str, str]:
    known = environment_names(settings)
    for name in sorted(environ):
        if name.startswith(PREFIX):
            _check_known(name, known, "environment")
    texts = {name: environ.get(PREFIX + name.upper(), "").strip() for name in settings}
    return {name: text for name, text in texts.items() if text}


def file_of(environ: Mapping[str, str]) -> Path:
    """The settings file, whether it is there or not."""
    if _is_named(environ):
        return expand(environ[CONFIG_VARIABLE].strip(), environ)
    return expand(environ.get(f"{PREFIX}HOME", "").strip() or DEFAULT_HOME, environ) / CONFIG_FILE


def _is_named(environ: Mapping[str, str]) -> bool:
    return bool(environ.get(CONFIG_VARIABLE, "").strip())


def read_file(environ: Mapping[str, str], settings: Collection[str]) -> dict[str, Any]:
    file = file_of(environ)
    try:
        read = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not _is_named(environ):
            return {}
        raise SettingsError(f"{CONFIG_VARIABLE} (environment) names {file}, which is not there") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"{file} is not TOML: {error}") from None
    _check_tables(read, settings, file)
    return {name: value for name, value in read.items() if value != ""}


def _check_tables(read: Mapping[str, Any], settings: Collection[str], file: Path) -> None:
    for name in read:
        _check_known(name, (*settings, *TABLE_KEYS), str(file))
    for kind, keys in TABLE_KEYS.items():
        tables = read.get(kind)
        for name, table in tables.items() if isinstance(tables, Mapping) else ():
            for key in table if isinstance(table, Mapping) else ():
                _check_known(key, keys, f"{file}, [{kind}.{shortened(name)}]")


def _check_known(name: str, known: Collection[str], where: str) -> None:
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise SettingsError(f"{shortened(name)} ({where}) is not a setting; the nearest one is {nearest}")


def shortened(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."  # noqa: PLR2004 - as much as reads well
