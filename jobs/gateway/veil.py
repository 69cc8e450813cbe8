"""Takes the providers' keys out of their answers: some repeat what they were sent, in errors above all."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.redact import REMOVED, Redactor


class Veil:
    """`secrets` are the values that no answer may hold."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = [secret for secret in secrets if len(secret) >= 6]  # noqa: PLR2004 - a shorter one is a flag, no key
        self._redactor = Redactor(known)
        self._keys = sorted((secret.encode() for secret in known), key=len, reverse=True)

    def whole(self, text: str) -> str:
        """A text without the secrets, however they are written."""
        return self._redactor.clean(text)

    def stream(self) -> Stream:
        """For one answer that is passed on as it comes."""
        return Stream(self._keys)


class Stream:
    """Passes bytes on, but for the secrets. Only what may be the beginning of one is held back: a token of text comes
    through at once.
    """

    def __init__(self, keys: list[bytes]) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What may go on now."""
        text = self._held + chunk
        for key in self._keys:
            text = text.replace(key, REMOVED.encode())
        keep = max((_overlap(text, key) for key in self._keys), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def end(self) -> bytes:
        """What was held back, and was no secret."""
        held, self._held = self._held, b""
        return held


def _overlap(text: bytes, key: bytes) -> int:
    """How many bytes at the end of `text` may be the beginning of `key`."""
    sizes = range(min(len(key) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(key[:size])), 0)
