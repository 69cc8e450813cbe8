"""What we hand to browsers and want back unchanged is sealed with a key that never leaves this machine."""

from __future__ import annotations

import hmac
import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer

KEY_FILE = "session.key"
_KEY_BYTES = 32
_log = logging.getLogger(__name__)


def key_of(home: Path) -> bytes:
    """The key of this service, made where there is none. While the disk refuses it, one that lasts as long as this
    process: then a restart signs everybody out.
    """
    path = home / KEY_FILE
    try:
        with suppress(FileExistsError):
            _make(path)
        return path.read_bytes()
    except OSError as error:
        _log.warning("%s cannot be used (%s): whoever signs in is signed out by a restart", path, error.strerror)
        return secrets.token_bytes(_KEY_BYTES)


def _make(path: Path) -> None:
    """Whole or not at all, also where two processes start at once: a link never replaces a file."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        path.hardlink_to(draft)
    finally:
        draft.unlink()


class Seals:
    """Seals values for one purpose each, so that what was made for one is worth nothing for another."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, purpose: str, value: Any) -> str:
        """`value` (JSON) as text for a cookie or an address."""
        return str(self._of(purpose).dumps(value))

    def open(self, purpose: str, text: str, *, seconds: int) -> Any:
        """The value; None where it was not sealed here, for this, within the last `seconds`."""
        try:
            return self._of(purpose).loads(text, max_age=seconds)
        except BadData:
            return None

    def mark(self, purpose: str, text: str) -> str:
        """A word that only we can make of `text`."""
        return hmac.digest(self._key, f"{purpose}:{text}".encode(), "sha256").hex()

    def _of(self, purpose: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._key, salt=f"kugetsu {purpose}")
