"""The sandbox around everything that runs in a thread's place: the agent, and our own git there.

bubblewrap builds a root out of what is needed and nothing else: system folders read-only, the parts of /etc
that hold no secrets, the mirror's objects read-only, the place writable. Its environment is the one it is
started with, never an option on its command line: /proc/1/environ inside shows the former, and `ps` outside
shows the latter.

Inside, the agent is never root. Where the service is, the agent gets a user id of its own, which owns the place; else
it is the service's own account under that number, in a user namespace.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from jobs import confine, short, shown, syscalls
from jobs.place import Place
from jobs.shown import AGENT_UID
from jobs.syscalls import FilterUnavailable
from models.refusal import Refused

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Kind = Literal["bwrap", "none"]
Setting = Literal["auto", "bwrap", "none"]

FOLDER: Final = "sandbox"
"""In KUGETSU_HOME: the files that every sandbox needs."""

_FILTER: Final = "filter.bpf"
_WITH_FILTER: Final = ("/bin/sh", "-c", 'exec "$@" 9<"$0"')
"""bubblewrap wants the filter as an open file; what it does not need it closes before the command."""

# setpriv ends with none of them; the last lets bwrap go into the agent's folder, which only the agent may enter.
_TO_BECOME_THE_AGENT: Final = ("SETUID", "SETGID", "DAC_READ_SEARCH")

_TRIAL_SECONDS = 10.0

# Git reads what the agent can write, so it is kept from taking the machine: one file, memory, processor time.
_SHORT_LIMITS: Final = ("prlimit", f"--fsize={1 << 30}", f"--data={4 << 30}", "--cpu=600", "--core=0", "--")


_ALL_WELL: Final = "Agents run in bubblewrap."


class SandboxUnavailable(Refused):
    """The settings ask for bubblewrap and it does not work here; the message says why."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Which sandbox is used, and `why`: one sentence or two for the status page."""

    kind: Kind
    why: str
    program: str = ""
    """Absolute path of bwrap, empty for kind `none`."""
    folder: Path = Path("/nonexistent")
    """Where the files lie that every sandbox needs."""
    own_user: bool = False
    """Whether the agent has a user id of its own on this machine, so that nothing of ours belongs to it."""
    filtered: bool = False
    """Whether system calls are filtered."""
    visible: tuple[Path, ...] = ()
    """What the settings show beside the system."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing that this version can do."""
        return self.why == _ALL_WELL

    def wrap(
        self,
        argv: Sequence[str],
        *,
        place: Place,
        cwd: Path,
        read_only: Sequence[Path] = (),
        hide: Sequence[Path] = (),
        info: int | None = None,
    ) -> tuple[str, ...]:
        """`argv` as it is to be started, with exactly the environment that the command is to have.

        Paths are the same inside and outside. `read_only` are bound where they exist; `hide` are folders
        that must not be seen even if they lie in a system folder ($KUGETSU_HOME in /usr, say). None of
        them may lie in the place, nor have a link in its path. `info` is an open file for what bwrap tells of itself.
        """
        if self.kind == "none":
            return tuple(argv)
        # Nothing under the root is bound by itself: the agent may have put a link there that leads elsewhere.
        folders = [place.root, *([] if place.tmp.is_relative_to(place.root) else [place.tmp])]
        options = [*shown.hidden(hide), *shown.writable(folders), *shown.read_only(read_only)]
        told = ["--info-fd", str(info)] if info is not None else []
        return self._command([*options, *told, "--chdir", str(cwd)], argv)

    def _command(self, options: Sequence[str], argv: Sequence[str]) -> tuple[str, ...]:
        seccomp = ["--seccomp", "9"] if self.filtered else []
        start = (*_WITH_FILTER, str(self.folder / _FILTER)) if self.filtered else ()
        become = ("setpriv", f"--reuid={AGENT_UID}", f"--regid={AGENT_UID}", "--clear-groups", "--inh-caps=-all", "--")
        inner = (*become, *argv) if self.own_user else argv
        system = [*_namespaces(own_user=self.own_user), *seccomp, *shown.system(), *shown.read_only(self.visible)]
        return (*start, self.program, *system, *shown.etc(self.folder), *options, *shown.closed(), "--", *inner)

    def hand_over(self, place: Place) -> None:
        """Make the place the agent's own. What we put there was ours; nothing may be at work in it."""
        if self.own_user:
            for folder in (place.root, place.repo, place.tree, place.home, place.tmp):
                with suppress(FileNotFoundError):
                    if folder.lstat().st_uid != AGENT_UID:
                        give(folder)

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
        self.hand_over(place)
        seen = [*read_only, *([] if mirror is None else [mirror / "objects"])]
        environment = {**plain_environment(place), **(env or {})}

        def wrapped(info: int | None = None) -> Sequence[str]:
            return (*_SHORT_LIMITS, *self.wrap(argv, place=place, cwd=place.root, read_only=seen, info=info))

        if self.kind == "bwrap":
            ended = short.in_bwrap(wrapped, environment, seconds)
        else:
            ended = short.supervised(wrapped(), environment, place.root, seconds)
        ended.args = tuple(argv)
        return ended


def choose(setting: Setting, home: Path, *, path: str = SYSTEM_PATH, visible: Sequence[Path] = ()) -> Sandbox:
    """The sandbox this machine can have, found by a real trial run.

    `home` is KUGETSU_HOME, where the sandbox keeps a few files of its own; `path` is where bwrap is looked for;
    `visible` is what the agent may see beside the system. Raises SandboxUnavailable when `bwrap` is demanded and
    does not work.
    """
    if setting == "none":
        return Sandbox("none", "The settings turn the sandbox off.")
    program = shutil.which("bwrap", path=path)
    trouble = "bubblewrap (bwrap) is not installed."
    if program is not None:
        unfiltered = _prepare(home.resolve() / FOLDER)
        for own_user in (True, False) if os.geteuid() == 0 else (False,):
            why = " ".join([_ALL_WELL, *_weaknesses(unfiltered, own_user=own_user)])
            box = Sandbox("bwrap", why, program, home.resolve() / FOLDER, own_user, not unfiltered, tuple(visible))
            trouble = _trial(box)
            if not trouble:
                return box
    if setting == "bwrap":
        raise SandboxUnavailable(f"KUGETSU_SANDBOX is bwrap, but {trouble} Right would be to cure that, or auto.")
    return Sandbox("none", f"Agents run without a sandbox: {trouble}")


def plain_environment(place: Place) -> dict[str, str]:
    """What any command in a place needs to run, and nothing of ours."""
    return {"HOME": str(place.home), "TMPDIR": str(place.tmp), "PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}


def _prepare(folder: Path) -> str:
    """Write the files that every sandbox needs; gives what keeps system calls from being filtered, or nothing."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    for name, text in shown.IDENTITY.items():
        _put(folder / name, text.encode())
    try:
        _put(folder / _FILTER, syscalls.program())
    except FilterUnavailable as error:
        return str(error)
    return ""


def _put(path: Path, content: bytes) -> None:
    """By rename: other workers may be starting agents with it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.chmod(0o644)
    draft.replace(path)


def _weaknesses(unfiltered: str, *, own_user: bool) -> Iterator[str]:
    if unfiltered:
        yield f"No system calls are filtered: {unfiltered}."
    if os.geteuid() == 0 and not own_user:
        yield "They have no user id of their own."
    if not confine.can_leave_abstract_sockets():
        yield "They can reach abstract Unix sockets: this kernel is older than Linux 6.12 or has no Landlock."


def _namespaces(*, own_user: bool) -> list[str]:
    options = "--unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try --die-with-parent --new-session"
    # A name that every program can look up.
    words = [*options.split(), "--hostname", "localhost"]
    if not own_user:
        words += ["--unshare-user", "--uid", str(AGENT_UID), "--gid", str(AGENT_UID)]
    if os.geteuid() == 0:
        # bwrap 0.8 started by root leaves every capability to the command, which could then mount and trace.
        words += ["--cap-drop", "ALL"]
    return words + (
        [word for name in _TO_BECOME_THE_AGENT for word in ("--cap-add", f"CAP_{name}")] if own_user else []
    )


def give(path: Path) -> None:
    """Makes the agent the owner of a file or of a whole folder, following no link."""
    os.chown(path, AGENT_UID, AGENT_UID, follow_symlinks=False)
    if stat.S_ISDIR(path.lstat().st_mode):
        for _, folders, files, number in os.fwalk(path, follow_symlinks=False):
            for name in (*folders, *files):
                os.chown(name, AGENT_UID, AGENT_UID, dir_fd=number, follow_symlinks=False)


def _trial(box: Sandbox) -> str:
    """What keeps this sandbox from working, or nothing."""

    def argv(info: int) -> Sequence[str]:
        return box._command(["--info-fd", str(info)], ["sh", "-c", f"test $(id -u) = {AGENT_UID}"])  # noqa: SLF001

    try:
        ended = short.in_bwrap(argv, {"PATH": SYSTEM_PATH}, _TRIAL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{box.program} cannot be started: {getattr(error, 'strerror', None) or 'it does not end'}."
    if ended.returncode == 0:
        return ""
    said = next(iter(ended.stderr.strip().splitlines()), f"it ended with code {ended.returncode}")
    return f"{box.program} does not work here: {said}."
