"""What keeps the database or the disk from being used, in words for people. Pure, but for the looking at an error."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from typing import Final

from peewee import PeeweeException

LOCKED: Final = "the database is locked by another program"
FULL: Final = "the disk is full"
READ_ONLY: Final = "the database cannot be written: the file, its folder or the whole file system is read-only"
UNWRITABLE: Final = "a folder of the service is read-only"
BROKEN: Final = "the disk fails: the operating system reports an I/O error"
DAMAGED: Final = "the database file is damaged; right would be to restore a backup"
GONE: Final = "the database file is gone from its folder; right would be to put it back, or to restore a backup"
MISSING: Final = "the database has not been set up yet"

# What SQLite says (sqlite3ErrStr in its main.c), and git, which gives on what the C library says.
_SAID: Final = (
    (re.compile(re.escape(GONE)), GONE),
    (re.compile(r"database (table )?is locked|database schema is locked"), LOCKED),
    (re.compile(r"database or disk is full|No space left on device|Disk quota exceeded"), FULL),
    (re.compile(r"readonly database|unable to open database file|Read-only file system"), READ_ONLY),
    (re.compile(r"disk I/O error|Input/output error"), BROKEN),
    (re.compile(r"disk image is malformed|file is not a database"), DAMAGED),
    (re.compile(r"no such table"), MISSING),
)
_NUMBERS: Final = {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EROFS: READ_ONLY, errno.EIO: BROKEN}


def of_database(error: BaseException) -> str | None:
    """What is wrong with the database, where that is why `error` was raised; None for a bug of ours."""
    return of_storage(error) if isinstance(error, PeeweeException) else None


def of_storage(error: BaseException) -> str | None:
    """What is wrong with the database or the disk, where that is why `error` was raised."""
    return next((words for link in _chain(error) if (words := _words(link)) is not None), None)


def in_words(error: BaseException) -> str:
    """`of_storage`, or what the error says itself."""
    return of_storage(error) or str(error)


def _words(error: BaseException) -> str | None:
    if isinstance(error, OSError):
        return _NUMBERS.get(error.errno or 0)
    return _said(str(error))


def _said(text: str) -> str | None:
    return next((words for pattern, words in _SAID if pattern.search(text)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it: of a commit that failed, peewee raises that it cannot be rolled back either."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
