"""What a thread gives up for itself and for all that it starts, before that becomes the agent.

Linux only, standard library only: the keeper runs this without any site package.
"""

import ctypes
import os
from functools import cache

_PR_SET_NO_NEW_PRIVS = 38
# The same numbers on every architecture (asm-generic/unistd.h).
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
_SCOPE_ABSTRACT_UNIX_SOCKET = 1
_SCOPES_SINCE = 6
"""The version of Landlock that knows scopes: Linux 6.12 (Documentation/userspace-api/landlock.rst)."""


class _Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr` of linux/landlock.h, as far as version 6 knows it."""

    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


@cache
def can_leave_abstract_sockets() -> bool:
    """Whether this kernel can keep a process from the abstract sockets of others."""
    found = _libc().syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    return int(found) >= _SCOPES_SINCE


def leave_abstract_sockets() -> None:
    """From now on this thread, and what it starts, reaches no abstract Unix socket made outside; nor can it gain rights
    by starting a program. These sockets belong to the network namespace, which the agent shares, and have no path
    that could be kept out of its sight.

    Does nothing where the kernel cannot. Raises OSError.
    """
    if not can_leave_abstract_sockets():
        return
    libc, wanted = _libc(), _Ruleset(0, 0, _SCOPE_ABSTRACT_UNIX_SOCKET)
    ruleset = _checked(libc.syscall(_LANDLOCK_CREATE_RULESET, ctypes.byref(wanted), ctypes.sizeof(wanted), 0))
    try:
        _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return answer
