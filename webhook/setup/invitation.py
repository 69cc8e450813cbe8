"""The one-time code, and how who starts the service gets to know it: in the terminal, not in an address or a log."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from models.hooks import is_loopback

CODE_FILE: Final = "setup.code"
_SIGNS: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""None of them looks like another; 30 of them in 12 places are 58 bits."""

_PLACES, _GROUP = 12, 4
_ANY_HOST: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - what it listens on
_TEXT: Final = """
Kugetsu is not set up yet. Open this in a browser on this machine:

    {page}

and type {code}

On another machine than yours, first run there where the browser is: ssh -L {port}:{host}:{port} THIS-MACHINE
"""


def new_code() -> str:
    """Such as 7KQF-M2XD-93HV."""
    signs = "".join(secrets.choice(_SIGNS) for _ in range(_PLACES))
    return "-".join(signs[at : at + _GROUP] for at in range(0, _PLACES, _GROUP))


def plain(code: str) -> str:
    """A code as it is compared, however it was typed."""
    return "".join(sign for sign in code.upper() if sign.isalnum())


def page_at(address: str) -> str:
    """The page, on loopback, of a service that listens at `address`; "" where it does not listen there."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    here = _ANY_HOST.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{here}:{parts.port}/admin/setup" if is_loopback(here.strip("[]")) else ""


class Invitation:
    """Tells the code: in a terminal as it is; elsewhere what is printed may end in a log, so a file has it."""

    def __init__(self, home: Path, code: str) -> None:
        self._file = home / CODE_FILE
        self._code = code

    def tell(self, address: str) -> None:
        """Once connections to `address` succeed."""
        if not (page := page_at(address)):
            where = "listens on no address of this machine alone, where its first-start page would be"
            _say(f"\nKugetsu is not set up yet, and {where}: set KUGETSU_HOST=127.0.0.1, or everything by settings\n")
            return
        code = f"this code: {self._code}" if sys.stdout.isatty() else f"the code that stands in {self._write()}"
        parts = urlsplit(page)
        host = parts.netloc.rpartition(":")[0]
        _say(_TEXT.format(page=page, code=code, port=parts.port, host=host))

    def withdraw(self) -> None:
        """The code is good for nothing any more."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _write(self) -> Path:
        self._file.unlink(missing_ok=True)
        number = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "w") as file:
            file.write(f"{self._code}\n")
        return self._file


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
