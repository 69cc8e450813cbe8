"""The system calls that an agent does without, as a filter for bubblewrap's `--seccomp`.

libseccomp turns the list into what the kernel runs. What is refused are calls that open parts of the kernel in which
holes keep being found and that building and testing software does not need: namespaces of one's own and mounts, kernel
keys (which belong to a user, not to a sandbox), BPF, performance counters, and typing into a terminal.
"""

import ctypes
import errno
import os
import platform
import tempfile
from typing import Final

LIBRARY: Final = "libseccomp.so.2"

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_ARCHES: Final = {"x86_64": (0x40000003, 0x4000003E), "aarch64": (0x40000028,)}
"""What else a processor runs (linux/audit.h): 32-bit programs, and on x86_64 the x32 ABI."""

_REFUSED: Final = (
    *("unshare", "setns", "mount", "umount", "umount2", "pivot_root", "chroot", "mount_setattr"),
    *("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick"),
    *("add_key", "keyctl", "request_key"),
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("quotactl", "quotactl_fd", "acct", "swapon", "swapoff", "syslog", "uselib", "nfsservctl"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"),
    *("open_by_handle_at", "name_to_handle_at", "lookup_dcookie", "kcmp", "fanotify_init"),
    *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname"),
)

# Its flags lie in memory, where no filter can look: callers fall back to `clone` when told that it does not exist.
_UNKNOWN: Final = ("clone3",)

_CLONE_NEWUSER: Final = 0x10000000
_TERMINAL: Final = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: put words into the terminal's mouth
_LOW_WORD: Final = 0xFFFFFFFF
_MASKED_EQUAL: Final = 7


class FilterUnavailable(Exception):
    """The filter cannot be made here; the message says why."""


class _Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp` of seccomp.h."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def program() -> bytes:
    """The filter as bubblewrap reads it. Raises FilterUnavailable."""
    library = _library()
    context = library.seccomp_init(_ALLOW)
    if not context:
        raise FilterUnavailable(f"{LIBRARY} gave no filter")
    try:
        for arch in _ARCHES.get(platform.machine(), ()):
            library.seccomp_arch_add(context, arch)
        _fill(library, context)
        with tempfile.TemporaryFile() as file:
            _done(library.seccomp_export_bpf(context, file.fileno()), "be written")
            file.seek(0)
            return file.read()
    finally:
        library.seccomp_release(context)


def _fill(library: ctypes.CDLL, context: int) -> None:
    flags_of_clone = 1 if platform.machine() == "s390x" else 0
    for name in _REFUSED:
        _refuse(library, context, name, errno.EPERM)
    for name in _UNKNOWN:
        _refuse(library, context, name, errno.ENOSYS)
    user_namespace = _Comparison(flags_of_clone, _MASKED_EQUAL, _CLONE_NEWUSER, _CLONE_NEWUSER)
    _refuse(library, context, "clone", errno.EPERM, user_namespace)
    for request in _TERMINAL:
        # The kernel looks at the lower half alone, and so must this (CVE-2019-10063).
        _refuse(library, context, "ioctl", errno.EPERM, _Comparison(1, _MASKED_EQUAL, _LOW_WORD, request))


def _refuse(library: ctypes.CDLL, context: int, name: str, number: int, when: _Comparison | None = None) -> None:
    call = library.seccomp_syscall_resolve_name(name.encode())
    if call == -1:
        return  # newer than this library
    count, compared = (0, None) if when is None else (1, ctypes.byref(when))
    answer = library.seccomp_rule_add_array(context, _ERRNO | number, call, count, compared)
    if answer not in (0, -errno.EDOM):
        _done(answer, f"hold a rule for {name}")


def _done(answer: int, what: str) -> None:
    if answer != 0:
        raise FilterUnavailable(f"the filter of {LIBRARY} could not {what}: {os.strerror(-answer)}")


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        raise FilterUnavailable(f"{LIBRARY} is not installed") from None
    library.seccomp_init.argtypes, library.seccomp_init.restype = [ctypes.c_uint32], ctypes.c_void_p
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)
    ]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return library
