"""Reading a file of lines while somebody else still writes it."""

from pathlib import Path

_CHUNK_BYTES = 1 << 20
_MAX_LINE_BYTES = 32 << 20


class Tail:
    """The whole lines of a growing file, each once. The file need not exist yet.

    A line may be any number of chunks long; one over 32 MiB is left out. The writer is not trusted: a file
    that shrinks is read on from where it ends now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._begun = bytearray()
        self._too_long = False

    def read(self) -> list[bytes]:
        """The next whole lines without their newlines, about a MiB of them; empty when there are none now."""
        while chunk := self._chunk():
            self._begun += chunk
            *whole, begun = self._begun.split(b"\n") if b"\n" in chunk else (self._begun,)
            self._begun = bytearray(begun)
            lines = [bytes(line) for line in whole[1 if self._too_long else 0 :]]
            self._too_long &= not whole
            self._drop_too_long()
            if lines:
                return lines
        return []

    def rest(self) -> list[bytes]:
        """The last line, if its newline never came; only after the writer has ended."""
        rest, self._begun = bytes(self._begun), bytearray()
        return [rest] if rest and not self._too_long else []

    def _drop_too_long(self) -> None:
        if len(self._begun) > _MAX_LINE_BYTES:
            self._begun.clear()
            self._too_long = True

    def _chunk(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                self._offset = min(self._offset, file.seek(0, 2))
                file.seek(self._offset)
                chunk = file.read(_CHUNK_BYTES)
        except FileNotFoundError:
            return b""
        self._offset += len(chunk)
        return chunk
