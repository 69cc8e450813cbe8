"""Files that people attached, for the agent to read: fetched from the forge by their number there, and from nowhere
else. An address in a text, or the one that the forge gives for a file, is never followed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from jobs.gitea import GiteaError
from jobs.servers import Forge
from models.wire import Attachment

log = logging.getLogger(__name__)

MOST_FILES: Final = 12
MOST_TEXT: Final = 256 * 1024
"""Bytes of a file that is read as text; the prompt shows the beginning of a long one."""
MOST_IMAGE: Final = 4 * 1024 * 1024
MOST_IMAGES: Final = 6

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_IMAGES: Final = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpg",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
}
_CONTROLS: Final = frozenset(range(32)) - {9, 10, 12, 13, 27}


@dataclass
class Attached:
    """What could be read: texts by name, images ready to be written as files, and in words what is left out."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    images: dict[str, bytes] = field(default_factory=dict)
    """By the name of a file that is ours: `attached-1.png`."""
    names: dict[str, str] = field(default_factory=dict)
    """What people called each image."""
    left_out: list[str] = field(default_factory=list)


def fetch(forge: Forge, files: Iterable[Attachment], until: float) -> Attached:
    """The files that were attached until then (seconds since the epoch), in order. What cannot be had is named."""
    found = Attached()
    timely = [file for file in files if file.created_at is None or file.created_at.timestamp() <= until + 1]
    for file in timely[:MOST_FILES]:
        _fetch_one(forge, file, found)
    found.left_out += [f"{file.name} (only {MOST_FILES} files are read)" for file in timely[MOST_FILES:]]
    return found


def _fetch_one(forge: Forge, file: Attachment, found: Attached) -> None:
    if file.size > max(MOST_TEXT, MOST_IMAGE):
        found.left_out.append(f"{file.name} ({file.size:,} bytes are too many)")
        return
    if not _UUID.fullmatch(file.uuid):
        found.left_out.append(f"{file.name} (it cannot be fetched)")
        return
    try:
        data = forge.gitea.attached(file.uuid)
    except GiteaError as error:
        log.warning("the attachment %s could not be fetched: %s", file.uuid, error)
        found.left_out.append(f"{file.name} (it cannot be fetched)")
        return
    _sort(file.name, data, found)


def _sort(name: str, data: bytes, found: Attached) -> None:
    """By what it is, not by what it is called."""
    kind = _image(data)
    if kind is not None and len(data) <= MOST_IMAGE and len(found.images) < MOST_IMAGES:
        own = f"attached-{len(found.images) + 1}.{kind}"
        found.images[own], found.names[own] = data, name
    elif kind is None and len(data) <= MOST_TEXT and (text := _text(data)) is not None:
        found.texts.append((name, text))
    else:
        found.left_out.append(f"{name} ({len(data):,} bytes that are neither text nor an image of a fit size)")


def _image(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return next((kind for magic, kind in _IMAGES.items() if data.startswith(magic)), None)


def _text(data: bytes) -> str | None:
    if not _CONTROLS.isdisjoint(data):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
