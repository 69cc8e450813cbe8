"""The sandbox around everything that runs in a thread's place: the agent, and our own git there.

bubblewrap builds a root out of what is needed and nothing else: system folders read-only, the parts of /etc
that hold no secrets, the mirror's objects read-only, the place writable. Its environment is the one it is
started with, never an option on its command line: /proc/1/environ inside shows the former, and `ps` outside
shows the latter.
"""

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jobs import keeper
from jobs.place import Place

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Kind = Literal["bwrap", "none"]

SYSTEM_FOLDERS = ("/usr", "/opt", "/nix")
_SYSTEM_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")

# An allow-list, since the service may be root and could then read shadow and every private key in /etc.
_ETC = (
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "inputrc",
    "java-*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "lsb-release",
    "magic",
    "maven/m2.conf",
    "maven/logging",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki/ca-trust",
    "pki/tls/certs",
    "pki/tls/cert.pem",
    "profile",
    "protocols",
    "resolv.conf",
    "services",
    "shells",
    "ssl/certs",
    "ssl/cert.pem",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
)

# Root without capabilities may still write these by ownership; a core pattern set there runs on the host.
_PROC = ("acpi", "bus", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger")

_TRIAL_SECONDS = 10.0
_DYING_SECONDS = 10.0


class SandboxUnavailable(Exception):
    """The settings ask for bubblewrap and it does not work here; the message says why."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Which sandbox is used, and `why`: one sentence for the status page."""

    kind: Kind
    why: str
    program: str = ""
    """Absolute path of bwrap, empty for kind `none`."""

    def wrap(
        self,
        argv: Sequence[str],
        *,
        place: Place,
        cwd: Path,
        read_only: Sequence[Path] = (),
        hide: Sequence[Path] = (),
    ) -> tuple[str, ...]:
        """`argv` as it is to be started, with exactly the environment that the command is to have.

        Paths are the same inside and outside. `read_only` are bound where they exist; `hide` are folders
        that must not be seen even if they lie in a system folder ($KUGETSU_HOME in /opt, say). None of
        them may lie in the place, nor have a link in its path.
        """
        if self.kind == "none":
            return tuple(argv)
        options = [*_namespaces(), *_system(), *_hidden(hide), *_etc()]
        # Nothing under the root is bound by itself: the agent may have put a link there that leads elsewhere.
        for folder in [place.root, *([] if place.tmp.is_relative_to(place.root) else [place.tmp])]:
            options += ["--bind", str(folder), str(folder)]
        for path in read_only:
            options += ["--ro-bind-try", str(path), str(path)]
        return (self.program, *options, "--remount-ro", "/", "--chdir", str(cwd), "--", *argv)

    def run_inside(
        self,
        place: Place,
        mirror: Path | None,
        argv: Sequence[str],
        seconds: float,
        *,
        env: Mapping[str, str] | None = None,
        read_only: Sequence[Path] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run a short command in the place, seeing the mirror's objects; it and all it began end with it.

        Raises `subprocess.TimeoutExpired` when it had to be ended after `seconds`. `env` is added to HOME,
        PATH, LANG and TMPDIR.
        """
        seen = [*read_only, *([] if mirror is None else [mirror / "objects"])]
        wrapped = self.wrap(argv, place=place, cwd=place.root, read_only=seen)
        environment = {**plain_environment(place), **(env or {})}
        if self.kind == "bwrap":
            ended = _complete_sandbox(wrapped, environment, seconds)
        else:
            supervised = (sys.executable, "-I", "-S", keeper.__file__, "short", *wrapped)
            ended = _complete(supervised, environment, place.root, seconds)
        ended.args = tuple(argv)
        return ended


def choose(setting: Literal["auto", "bwrap", "none"], *, path: str = SYSTEM_PATH) -> Sandbox:
    """The sandbox this machine can have, found by a real trial run; `path` is where bwrap is looked for.

    Raises SandboxUnavailable when `bwrap` is demanded and does not work.
    """
    if setting == "none":
        return Sandbox("none", "The settings turn the sandbox off.")
    program = shutil.which("bwrap", path=path)
    trouble = "bubblewrap (bwrap) is not installed." if program is None else _trial(program)
    if program is not None and not trouble:
        return Sandbox("bwrap", "Agents run in bubblewrap.", program)
    if setting == "bwrap":
        raise SandboxUnavailable(trouble)
    return Sandbox("none", f"Agents run without a sandbox: {trouble}")


def plain_environment(place: Place) -> dict[str, str]:
    """What any command in a place needs to run, and nothing of ours."""
    return {"HOME": str(place.home), "TMPDIR": str(place.tmp), "PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}


def _namespaces() -> list[str]:
    options = "--unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try --die-with-parent --new-session"
    # bwrap 0.8 started by root leaves every capability to the command, which can then remount /usr writable.
    return [*options.split(), *(["--cap-drop", "ALL"] if os.geteuid() == 0 else [])]


def _system() -> list[str]:
    options = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--symlink", "/tmp", "/var/tmp"]  # noqa: S108
    options += [word for folder in SYSTEM_FOLDERS for word in ("--ro-bind-try", folder, folder)]
    for link in map(Path, _SYSTEM_LINKS):
        if link.is_symlink():
            options += ["--symlink", str(link.readlink()), str(link)]
        else:
            options += ["--ro-bind-try", str(link), str(link)]
    return options + [word for name in _PROC for word in ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")]


def _etc() -> list[str]:
    found = [str(path) for name in _ETC for path in sorted(Path("/etc").glob(name))]
    return [word for path in found for word in ("--ro-bind-try", path, path)]


def _hidden(folders: Sequence[Path]) -> Iterator[str]:
    for folder in folders:
        real = folder.resolve()
        if real.is_dir() and any(real.is_relative_to(system) for system in SYSTEM_FOLDERS):
            yield from ("--tmpfs", str(real))


def _trial(program: str) -> str:
    """What keeps bwrap from working, or nothing."""
    argv = (program, *_namespaces(), *_system(), *_etc(), "--remount-ro", "/", "--", "true")
    try:
        ended = _complete(argv, {"PATH": SYSTEM_PATH}, Path("/"), _TRIAL_SECONDS)
    except OSError as error:
        return f"{program} cannot be started: {error.strerror}."
    if ended.returncode == 0:
        return ""
    said = next(iter(ended.stderr.strip().splitlines()), f"it ended with code {ended.returncode}")
    return f"{program} does not work here: {said}."


def _complete(
    argv: tuple[str, ...], env: Mapping[str, str], cwd: Path, seconds: float
) -> subprocess.CompletedProcess[str]:
    with _started(argv, env, cwd) as process:
        return _ended(process, seconds)


def _complete_sandbox(
    argv: tuple[str, ...], env: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """As `_complete`, for bwrap, which ends a moment before the last of its sandbox does: waits for that, too."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as info, os.fdopen(write, "wb") as told, ExitStack() as after:
        asked = (argv[0], "--info-fd", str(write), *argv[1:])
        with _started(asked, env, Path("/"), (write,)) as process:
            told.close()
            after.enter_context(_gone_afterwards(info.read()))
            return _ended(process, seconds)


@contextmanager
def _gone_afterwards(info: bytes) -> Iterator[None]:
    """Waits, after the block, for the sandbox's first process: the kernel lets it go as the last one.

    `info` is what bwrap wrote to its --info-fd: nothing where it failed before it had a process.
    """
    try:
        first = os.pidfd_open(json.loads(info)["child-pid"])
    except (ValueError, ProcessLookupError):
        yield
        return
    try:
        yield
    finally:
        select.select([first], [], [], _DYING_SECONDS)
        os.close(first)


def _ended(process: subprocess.Popen[str], seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.communicate(timeout=_DYING_SECONDS)
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


@contextmanager
def _started(
    argv: tuple[str, ...], env: Mapping[str, str], cwd: Path, pass_fds: tuple[int, ...] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A process that does not outlive the block, whatever happens in it."""
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        pass_fds=pass_fds,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
