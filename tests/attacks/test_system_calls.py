"""System calls that a sandbox's agent has no business with. The control is the same sandbox without its filter."""

import ctypes
import errno
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import sandbox, syscalls
from jobs.sandbox import Sandbox
from tests.unit.runs import World, world

NUMBERS = {
    "x86_64": {"unshare": 272, "keyctl": 250, "io_uring_setup": 425, "clone3": 435},
    "aarch64": {"unshare": 97, "keyctl": 219, "io_uring_setup": 425, "clone3": 435},
}
NEW_USER, USER_KEYRING = 0x10000000, -4

ATTACKS = {
    "a user namespace": ("unshare", (NEW_USER,), errno.EPERM),
    "the keys of its user": ("keyctl", (0, USER_KEYRING, 1), errno.EPERM),
    "a ring of the kernel's": ("io_uring_setup", (1, 0), errno.EPERM),
    "a clone whose flags cannot be seen": ("clone3", (0, 0), errno.ENOSYS),
}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, "bwrap")


def error_of(here: World, box: Sandbox, name: str, arguments: tuple[int, ...]) -> int:
    """The error number that the agent gets for this call, 0 for none."""
    number = NUMBERS[platform.machine()][name]
    words = ", ".join(f"ctypes.c_long({word})" for word in (number, *arguments))
    script = f"import ctypes; c = ctypes.CDLL(None, use_errno=True).syscall; failed = c({words}) < 0; "
    script += "print(failed and ctypes.get_errno())"
    ended = box.run_inside(here.place, None, ["python3", "-c", script], 30)
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout.replace("False", "0"))


@pytest.mark.skipif(platform.machine() not in NUMBERS, reason="the numbers of the calls are not known here")
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_call_is_refused_and_would_be_served_without_the_filter(here: World, attack: str) -> None:
    name, arguments, refused = ATTACKS[attack]
    assert here.box.filtered
    assert error_of(here, here.box, name, arguments) == refused
    assert error_of(here, replace(here.box, filtered=False), name, arguments) != refused


def test_nothing_can_be_mounted(here: World) -> None:
    script = "mkdir -p tree/m; mount -t tmpfs none tree/m || unshare -rm mount -t tmpfs none tree/m || echo refused"
    assert "refused" in here.box.run_inside(here.place, None, ["sh", "-c", script], 30).stdout
    bare = replace(here.box, filtered=False)
    said = bare.run_inside(here.place, None, ["sh", "-c", script.replace("|| echo refused", "")], 30)
    assert said.returncode == 0, said.stderr


def test_what_cannot_be_filtered_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "LIBRARY", "libnowhere.so.9")
    box = sandbox.choose("bwrap", tmp_path)
    assert not box.filtered
    assert "No system calls are filtered: libnowhere.so.9 is not installed." in box.why


def test_the_filter_is_what_the_kernel_takes() -> None:
    program = syscalls.program()
    assert len(program) % ctypes.sizeof(ctypes.c_uint64) == 0
    assert len(program) > 100
