"""A git server on loopback: real repositories behind git's own HTTP backend, opened by a token.

What people do to the repositories is done to them directly; what the service does comes over HTTP, where it can be
refused, held or failed.
"""

import base64
import gzip
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

PERSON = {
    "GIT_AUTHOR_NAME": "A Person",
    "GIT_AUTHOR_EMAIL": "person@example.test",
    "GIT_COMMITTER_NAME": "A Person",
    "GIT_COMMITTER_EMAIL": "person@example.test",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",  # a place belongs to the agent
    "GIT_CONFIG_VALUE_0": "*",
    "HOME": "/nonexistent",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
}


def person_git(*args: str | Path, cwd: Path, stdin: str = "", index: Path | None = None) -> str:
    """Runs git as a person would, with a name and no configuration."""
    env = PERSON if index is None else PERSON | {"GIT_INDEX_FILE": str(index)}
    done = subprocess.run(
        ["git", *args], cwd=cwd, env=env, input=stdin, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"git {args} ended with {done.returncode}: {done.stderr}"
    return done.stdout.strip()


@dataclass
class GitRemote:
    """Serves the bare repositories below `root`, `OWNER/NAME.git`."""

    root: Path
    token: str = "a-token-that-opens-the-repository"
    requests: list[str] = field(default_factory=list)
    """Method and path of each request, in order."""
    answer_with: int | None = None
    """A status every request gets instead of an answer."""

    def __post_init__(self) -> None:
        """Nothing is served before `with`."""
        self._gate = threading.Event()
        self._gate.set()
        self._waiting = threading.Event()
        self._held: Callable[[str], bool] = lambda _: False

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, repo: str) -> str:
        """The clone address, without credentials."""
        return f"http://127.0.0.1:{self._server.server_port}/{repo}.git"

    def path(self, repo: str) -> Path:
        """The bare repository on disk."""
        return self.root / f"{repo}.git"

    def create(self, repo: str, files: Mapping[str, str] | None = None) -> None:
        """A new repository; empty without `files`."""
        self.path(repo).parent.mkdir(parents=True, exist_ok=True)
        person_git("init", "--quiet", "--bare", "--initial-branch=main", self.path(repo), cwd=self.root)
        if files is not None:
            self.commit(repo, "main", files)

    def commit(
        self, repo: str, branch: str, files: Mapping[str, str], *, start: str | None = None, message: str = "By hand"
    ) -> str:
        """A person's push to a branch: a commit that writes `files`, on top of the branch, else of `start`."""
        path, index = self.path(repo), self.root / f"index-{os.urandom(4).hex()}"
        parent = self.tip(repo, branch) or start
        if parent:
            person_git("read-tree", parent, cwd=path, index=index)
        for name, text in files.items():
            blob = person_git("hash-object", "-w", "--stdin", cwd=path, stdin=text)
            person_git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", cwd=path, index=index)
        tree = person_git("write-tree", cwd=path, index=index)
        parents = ["-p", parent] if parent else []
        commit = person_git("commit-tree", tree, *parents, "-m", message, cwd=path)
        person_git("update-ref", f"refs/heads/{branch}", commit, cwd=path)
        return commit

    def tip(self, repo: str, branch: str) -> str | None:
        """The branch's commit."""
        args = ["git", "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"]
        done = subprocess.run(args, cwd=self.path(repo), env=PERSON, capture_output=True, text=True, check=False)
        return done.stdout.strip() or None

    def git(self, repo: str, *args: str) -> str:
        """Git in the repository on the server."""
        return person_git(*args, cwd=self.path(repo))

    @contextmanager
    def held(self, part: str) -> Iterator[threading.Event]:
        """Requests whose path and query contain `part` wait until the end of the block; the event says one does."""
        self._waiting.clear()
        self._gate.clear()
        self._held = lambda path: part in path
        try:
            yield self._waiting
        finally:
            self._held = lambda _: False
            self._gate.set()

    def pass_gate(self, path: str) -> None:
        """Waits here while requests of this kind are held."""
        if self._held(path):
            self._waiting.set()
            assert self._gate.wait(60), f"{path} was held for a minute and never let go"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, remote: GitRemote) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.remote = remote


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Says nothing: `requests` remembers."""

    def _serve(self) -> None:
        remote = self.server.remote
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        remote.requests.append(f"{self.command} {self.path}")
        remote.pass_gate(self.path)
        if remote.answer_with is not None:
            self._answer(remote.answer_with, [], b"")
        elif not self._authorised(remote.token):
            self._answer(401, [("WWW-Authenticate", 'Basic realm="test"')], b"")
        else:
            self._backend(remote, body)

    def _authorised(self, token: str) -> bool:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        return kind == "Basic" and base64.b64decode(value).decode().partition(":")[2] == token

    def _backend(self, remote: GitRemote, body: bytes) -> None:
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        path, _, query = self.path.partition("?")
        env = PERSON | {
            "GIT_PROJECT_ROOT": str(remote.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "kugetsu",
            "REMOTE_ADDR": "127.0.0.1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], env=env, input=body, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [line.partition(": ") for line in head.decode().split("\r\n")]
        status = next((value for name, _, value in fields if name == "Status"), "200")
        headers = [(name, value) for name, _, value in fields if name != "Status"]
        self._answer(int(status.split()[0]), headers, content)

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
