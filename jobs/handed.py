"""Files that an agent hands over in its temporary folder.

The agent may have put anything in their place by now: a link out of the folder, a pipe that never ends, a gigabyte.
"""

import os
import stat
from pathlib import Path
from typing import Final

FINDINGS: Final = "findings.md"
"""What a research job found."""
REVIEW: Final = "review.json"
"""What a review job has to say."""

MOST_BYTES: Final = 1024 * 1024


def read(folder: Path, name: str) -> str | None:
    """The text of a plain file in `folder`, cut after a mebibyte; None where there is no such file.

    No link is followed and no pipe waited for.
    """
    try:
        inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _read(inside, name)
    except OSError:
        return None
    finally:
        os.close(inside)


def _read(inside: int, name: str) -> str | None:
    number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=inside)
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return None
        return file.read(MOST_BYTES).decode("utf-8", "replace").replace("\0", "")


def clear(folder: Path) -> None:
    """Takes away what an earlier job handed over, so that it cannot be taken for the next one's. Where `folder` is no
    folder there is nothing that `read` could find.
    """
    try:
        inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        for name in (FINDINGS, REVIEW):
            _remove(inside, name)
    finally:
        os.close(inside)


def _remove(inside: int, name: str) -> None:
    """A folder of that name is only moved out of the way: what is in it is the agent's own affair."""
    try:
        os.unlink(name, dir_fd=inside)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        os.rename(name, f"{name}.{os.urandom(4).hex()}.old", src_dir_fd=inside, dst_dir_fd=inside)
