"""Git over HTTP: `git http-backend` behind Gitea's rules (facts, section 5)."""

import re
import subprocess
from dataclasses import dataclass

from tests.fakes.gitea import access
from tests.fakes.gitea.api import Answer, Request
from tests.fakes.gitea.auth import Caller, Refused, authenticate
from tests.fakes.gitea.forge import Forge
from tests.fakes.gitea.gitrepo import git_environment
from tests.fakes.gitea.pushes import Push
from tests.fakes.gitea.state import Repo, User

SERVICES = "info/refs|git-upload-pack|git-receive-pack"
PATH = re.compile(rf"/(?P<name>[^/]+/[^/]+?)(?:\.git)?/(?P<service>{SERVICES})")
LIMIT = 120.0
ARCHIVED = "This repo is archived. You can view files and clone it, but cannot push or open issues/pull-requests."


@dataclass(frozen=True)
class Visit:
    """One request of a git client, let in."""

    request: Request
    repo: Repo
    service: str
    caller: Caller

    @property
    def pushes(self) -> bool:
        return "git-receive-pack" in {self.service, self.request.query.get("service")}


class GitHttp:
    """Serves the repositories to git clients."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge
        path = subprocess.run(["git", "--exec-path"], capture_output=True, check=True, text=True).stdout
        self._backend = f"{path.strip()}/git-http-backend"

    def answer(self, request: Request) -> tuple[Answer, User | None] | None:
        """The answer and who asked; None when this is no request of a git client."""
        found = PATH.fullmatch(request.path)
        if found is None:
            return None
        try:
            caller = authenticate(self.forge.state, request.headers, {})
        except Refused as refusal:
            return _text(401, str(refusal), challenge=True), None
        visit = self._let_in(request, found["name"], found["service"], caller)
        if isinstance(visit, Answer):
            return visit, caller.user
        return self._push(visit) if found["service"] == "git-receive-pack" else self._run(visit), caller.user

    def _let_in(self, request: Request, name: str, service: str, caller: Caller) -> Visit | Answer:
        repo = self.forge.state.repos.get(name.lower())
        write = "git-receive-pack" in {service, request.query.get("service")}
        if caller.user is None and (write or repo is None or repo.private):
            return _text(401, "Unauthorized", challenge=True)
        if repo is None or not access.may(repo, caller.user, "read"):
            return _text(404, "Repository not found")
        needs = write or repo.private
        if caller.token and needs and not access.scope_allows(caller.token, "repository", write=write):
            return _text(403, "Forbidden")
        if repo.archived and write:
            return _text(403, ARCHIVED)
        return Visit(request, repo, service, caller)

    def _push(self, visit: Visit) -> Answer:
        """Runs a push alone in its repository, then lets happen what follows from it."""
        with visit.repo.git.lock:
            before = visit.repo.git.refs()
            answer = self._run(visit)
            after = visit.repo.git.refs()
        if before != after and visit.caller.user:
            with self.forge.state.lock:
                Push(self.forge, visit.repo, visit.caller.user).follow(before, after)
        return answer

    def _run(self, visit: Visit) -> Answer:
        """One run of the CGI program."""
        done = subprocess.run(
            [self._backend],
            env=self._environment(visit),
            input=visit.request.raw,
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
        if done.returncode:
            self.forge.surprise(f"git http-backend: {done.stderr.decode(errors='replace')}")
        return _cgi(done.stdout)

    def _environment(self, visit: Visit) -> dict[str, str]:
        request, repo, user = visit.request, visit.repo, visit.caller.user
        query = "&".join(f"{name}={value}" for name, value in request.query.items())
        refusal = "" if access.may(repo, user, "write") else "User permission denied for writing."
        return git_environment(
            GIT_PROJECT_ROOT=str(repo.git.path),
            GIT_HTTP_EXPORT_ALL="1",
            PATH_INFO=f"/{visit.service}",
            REQUEST_METHOD=request.method,
            QUERY_STRING=query,
            REMOTE_USER=user.login if user else "",
            REMOTE_ADDR="127.0.0.1",
            CONTENT_TYPE=request.headers.get("content-type", ""),
            CONTENT_LENGTH=str(len(request.raw)),
            HTTP_CONTENT_ENCODING=request.headers.get("content-encoding", ""),
            GIT_PROTOCOL=request.headers.get("git-protocol", ""),
            GIT_CONFIG_COUNT="1",
            GIT_CONFIG_KEY_0="http.receivepack",
            GIT_CONFIG_VALUE_0="true",
            FAKE_REFUSAL=refusal,
            FAKE_PROTECTED=" ".join(f"refs/heads/{branch}" for branch in sorted(repo.protected)),
        )


def _cgi(output: bytes) -> Answer:
    """Reads what a CGI program wrote: headers, an empty line, the body."""
    head, _, body = output.partition(b"\r\n\r\n")
    lines = (line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    headers = dict(lines)
    status = int(headers.pop("Status", "200").split()[0])
    return Answer(status, body, headers)


def _text(status: int, message: str, *, challenge: bool = False) -> Answer:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return Answer(
        status, message.encode(), headers | ({"WWW-Authenticate": 'Basic realm="Gitea"'} if challenge else {})
    )
