"""Writing settings into `kugetsu.toml` for somebody who has not written them there: whole or not at all, and never over
a word of theirs.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from models.reading import CONFIG_VARIABLE, SettingsError, file_of
from models.settings import load

Value = str | Sequence[str]

MODE: Final = 0o600
"""For its owner alone: it holds tokens."""

_LARGEST: Final = 1 << 20


def add(environ: Mapping[str, str], values: Mapping[str, Value], *, heading: str) -> Path:
    """Put `values`, by their names in the file, on top of the settings file, below a comment line; what it says stays
    as it is. Gives its path. Raises SettingsError, and then nothing is changed: where a value is wrong, where the file
    says something else already, and where it is not a plain file of ours.
    """
    file = file_of(environ)
    before = _read(file)
    if taken := sorted(values.keys() & _keys(file, before)):
        raise SettingsError(f"{file} has {', '.join(taken)} already, and is left as it is; start the service again")
    lines = [f"# {heading}", *(f"{name} = {_toml(value)}" for name, value in values.items())]
    text = "\n".join(lines) + "\n" + (f"\n{before}" if before else "")
    try:
        with _draft(file, text) as draft:
            _check(environ, draft, file)
            _put(draft, file, before)
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}") from None
    return file


def create(file: Path, text: str) -> None:
    """Put a new file there, for its owner alone, whole or not at all. Raises SettingsError, also where there is one."""
    try:
        with _draft(file, text) as draft:
            _put(draft, file, None)
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror}") from None


def _check(environ: Mapping[str, str], draft: Path, file: Path) -> None:
    try:
        load({**environ, CONFIG_VARIABLE: str(draft)})
    except SettingsError as error:
        raise SettingsError(str(error).replace(str(draft), str(file))) from None


def _read(file: Path) -> str | None:
    """What it says; None where there is none."""
    try:
        number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if file.is_symlink():
            raise SettingsError(f"{file} is a link, and nothing is written through one; put a file there") from None
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
    with os.fdopen(number, "rb") as opened:
        seen = os.fstat(number)
        if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.geteuid():
            raise SettingsError(f"{file} is not a plain file of the service's own account; nothing is written there")
        try:
            return opened.read(_LARGEST).decode()
        except ValueError:
            raise SettingsError(f"{file} is not TOML: it is not UTF-8") from None


def _keys(file: Path, text: str | None) -> frozenset[str]:
    try:
        return frozenset(tomllib.loads(text or ""))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not TOML: {error}") from None


def _toml(value: Value) -> str:
    """A string, or a list of them: what JSON writes of these, TOML reads, without control characters."""
    return json.dumps(value if isinstance(value, str) else list(value), ensure_ascii=False)


@contextmanager
def _draft(file: Path, text: str) -> Iterator[Path]:
    """A file beside `file` that nobody else can read, on the disk for sure; gone afterwards."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    try:
        with os.fdopen(number, "wb") as opened:
            os.fchmod(number, MODE)
            opened.write(text.encode())
            opened.flush()
            os.fsync(number)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _put(draft: Path, file: Path, before: str | None) -> None:
    """In one step. Where there was none, a link: it never replaces what somebody has put there meanwhile."""
    if before is None:
        try:
            file.hardlink_to(draft)
        except FileExistsError:
            raise SettingsError(f"{file} has come to be meanwhile, and is left as it is; start again") from None
    else:
        if _read(file) != before:
            raise SettingsError(f"{file} has been changed meanwhile, and is left as it is; start again")
        draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
