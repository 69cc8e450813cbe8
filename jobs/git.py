"""The one hole to git: every git process of the service is started by `git` below, and by nothing else.

A git process gets four things: arguments, a folder, an environment of its own, and a deadline. Nothing of the
service's environment reaches it, and no configuration but what stands here: no system or user file is read, no hook,
filesystem monitor, credential helper or automatic clean-up runs, and no transport is open unless it is asked for.
"""

import base64
import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote, urlsplit, urlunsplit

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
LOCAL: Final = 300.0
"""Seconds a command that only touches this disk may take."""

_GRACE: Final = 3.0
"""Seconds git gets to take its lock files away before it is killed."""

_OUTPUT_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of one stream that are read back; what is longer is no answer to any question asked here."""

_ENVIRONMENT: Final[Mapping[str, str]] = {
    "PATH": PATH,
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ALLOW_PROTOCOL": "",
}

_SETTINGS: Final[Mapping[str, str]] = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "credential.helper": "",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "init.defaultBranch": "main",
    # The folders are the service's own, whatever user a container or a restored backup left them to.
    "safe.directory": "*",
    # A redirect would carry the token to wherever the answer points.
    "http.followRedirects": "false",
    # Ends a transfer that hangs even when the worker that would have ended it is gone.
    "http.lowSpeedLimit": "100",
    "http.lowSpeedTime": "300",
}


@dataclass(frozen=True, slots=True)
class Access:
    """A repository on a server, and the token that opens it (None: anonymous).

    User and password in the address are dropped: they would show in argument lists.
    """

    url: str
    token: str | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """The address as git is given it."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def settings(self) -> dict[str, str]:
        """Git settings that carry the token, for this server only.

        Basic, because Gitea's LFS endpoints take nothing else; any user name does
        (https://docs.gitea.com/development/api-usage, and Gitea's `services/auth/basic.go`).
        """
        if self.token is None:
            return {}
        parts = urlsplit(self.address)
        return {f"http.{parts.scheme}://{parts.netloc}/.extraHeader": f"Authorization: Basic {self._basic()}"}

    def hide(self, text: str) -> str:
        """`text` without the token, in whatever form a server may have echoed it."""
        if not self.token:
            return text
        for secret in (self._basic(), quote(self.token, safe=""), self.token):
            text = text.replace(secret, "[secret removed]")
        return text

    def _basic(self) -> str:
        return base64.b64encode(f"kugetsu:{self.token}".encode()).decode()


class GitFailed(Exception):
    """Git ended with an error, or was ended because its time was up (`code` is None then)."""

    def __init__(self, argv: Sequence[str], code: int | None, stdout: str, stderr: str) -> None:
        ending = "ran out of time" if code is None else f"ended with {code}"
        super().__init__(f"{' '.join(argv)} {ending}\nstdout: {stdout.strip()}\nstderr: {stderr.strip()}")
        self.argv = tuple(argv)
        self.code = code
        self.stdout = stdout
        self.stderr = stderr


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything about one git process but its arguments."""

    cwd: Path
    git_dir: Path | None = None
    """The repository, named outright so that none is ever looked for. None only to make one."""
    deadline: float = LOCAL
    """Seconds until the process, and all it started, is ended."""
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes | IO[bytes] = b""
    access: Access | None = None
    """A server this one command may speak to. Without it no transport is open."""
    keep_open: tuple[int, ...] = ()
    """File descriptors git inherits: a lock stays taken for as long as git, even orphaned, still writes."""


def git(args: Sequence[str], run: Run) -> str:
    """Runs git and gives what it printed, as text. Raises GitFailed."""
    return git_bytes(args, run).decode("utf-8", "replace")


def git_bytes(args: Sequence[str], run: Run) -> bytes:
    """Runs git and gives what it printed. Raises GitFailed, whose texts never show the token of `run.access`."""
    argv = ["git", *args]
    # Files rather than pipes: a grandchild that outlives git cannot keep the reader waiting.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as held:
        source = _readable(run.stdin, held)
        code = _wait(argv, run, (source, out, err))
        stdout = _contents(out)
        if code == 0:
            return stdout
        hide = run.access.hide if run.access is not None else str
        texts = [hide(text.decode("utf-8", "replace")) for text in (stdout, _contents(err))]
    raise GitFailed(argv, code, *texts)


def _wait(argv: Sequence[str], run: Run, streams: tuple[IO[bytes], IO[bytes], IO[bytes]]) -> int | None:
    stdin, stdout, stderr = streams
    child = subprocess.Popen(
        argv,
        cwd=run.cwd,
        env=_environment(run),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=run.keep_open,
        start_new_session=True,
        umask=0o022,  # agents, who may be another user, borrow from the mirror
    )
    try:
        return child.wait(run.deadline)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if child.returncode is None:
            _end(child)


def _environment(run: Run) -> dict[str, str]:
    settings = dict(_SETTINGS)
    env = dict(_ENVIRONMENT)
    if run.access is not None:
        settings |= run.access.settings()
        env["GIT_ALLOW_PROTOCOL"] = "http:https"
    if run.git_dir is not None:
        env["GIT_DIR"] = str(run.git_dir)
    env["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (key, value) in enumerate(settings.items()):
        env[f"GIT_CONFIG_KEY_{number}"] = key
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    return env | dict(run.env)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends git and what it started: transports and packers are processes of their own, in git's session."""
    os.killpg(child.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _readable(source: bytes | IO[bytes], held: IO[bytes]) -> IO[bytes]:
    if not isinstance(source, bytes):
        return source
    held.write(source)
    held.seek(0)
    return held


def _contents(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read(_OUTPUT_LIMIT)
