"""API: branches, files, commits and their statuses."""

import base64
import binascii
import mimetypes

from tests.fakes.gitea import access, pushes
from tests.fakes.gitea.api import NO_CONTENT, Answer, ApiError, Call, Route, missing
from tests.fakes.gitea.api_repos import R, repository
from tests.fakes.gitea.forge import OWNER
from tests.fakes.gitea.gitrepo import GitError
from tests.fakes.gitea.state import Status
from tests.fakes.gitea.wire import Json

STATES = ("error", "failure", "warning", "pending", "success", "skipped")


def _branch(call: Call, name: str, sha: str) -> Json:
    protected, pushes_ok = name in call.repo.protected, access.may(call.repo, call.caller.user, "write")
    return {
        "name": name,
        "commit": call.forge.shapes.pushed_commit(call.repo, call.repo.git.commits(sha, limit=1)[0]),
        "protected": protected,
        "required_approvals": 0,
        "enable_status_check": False,
        "status_check_contexts": [],
        "user_can_push": pushes_ok and not protected,
        "user_can_merge": pushes_ok,
        "effective_branch_protection_name": name if protected else "",
    }


def list_branches(call: Call) -> Answer:
    names = [ref.removeprefix("refs/heads/") for ref in call.repo.refs if ref.startswith("refs/heads/")]
    found = call.paged(sorted(names), lambda name: _branch(call, name, call.repo.refs[f"refs/heads/{name}"]))
    if not call.repo.refs:
        found.body = None  # seen; "null" is what goes over the wire
    return found


def get_branch(call: Call) -> Answer:
    name = call.args["branch"]
    sha = call.repo.branch(name)
    if sha is None:
        raise ApiError(404, f"branch does not exist [name: {name}]")
    return Answer(200, _branch(call, name, sha))


def create_branch(call: Call) -> Answer:
    """From a branch, tag or commit; 409 when the name is taken, 404 when the start is not there."""
    user, repo, name = call.writing("write"), call.repo, call.text("new_branch_name")
    if repo.branch(name):
        raise ApiError(409, "The branch already exists.")
    start = call.get("old_ref_name", str, "") or call.get("old_branch_name", str, "") or repo.default_branch
    sha = _sha(call, start)
    pushes.move_refs(call.forge, repo, user, lambda: repo.git.set_ref(f"refs/heads/{name}", sha))
    return Answer(201, _branch(call, name, sha))


def delete_branch(call: Call) -> Answer:
    user, repo, name = call.writing("write"), call.repo, call.args["branch"]
    if repo.branch(name) is None:
        raise missing()
    if name == repo.default_branch or name in repo.protected:
        raise ApiError(403, "can not delete default branch" if name == repo.default_branch else "branch protected")
    pushes.delete_branch(call.forge, repo, user, name)
    return NO_CONTENT


def _sha(call: Call, ref: str) -> str:
    """The commit that a branch, a tag or a commit's name means; 404."""
    try:
        return call.repo.git.line("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except GitError as problem:
        raise ApiError(404, f"object does not exist [id: {ref}, rel_path: ]") from problem


def _entry(call: Call, sha: str, path: str, kind: str, blob: str) -> Json:
    shapes, repo = call.forge.shapes, call.repo
    ref = call.request.query.get("ref") or repo.default_branch
    url = f"{shapes.api}/repos/{repo.full_name}/contents/{path}?ref={ref}"
    data = repo.git.file(sha, path) if kind == "blob" else None
    git_url = f"{shapes.api}/repos/{repo.full_name}/git/{kind}s/{blob}"
    page = f"{shapes.page(repo)}/src/branch/{ref}/{path}"
    return {
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": blob,
        "last_commit_sha": sha,
        "type": {"blob": "file", "tree": "dir", "commit": "submodule"}[kind],
        "size": len(data or b""),
        "encoding": "base64" if data is not None else None,
        "content": base64.b64encode(data).decode() if data is not None else None,
        "target": None,
        "url": url,
        "html_url": page,
        "git_url": git_url,
        "download_url": page.replace("/src/", "/raw/") if data is not None else None,
        "submodule_git_url": None,
        "_links": {"self": url, "git": git_url, "html": page},
    }


def get_contents(call: Call) -> Answer:
    """A file, or what lies in a folder."""
    path = call.args.get("path", "").strip("/")
    sha = _sha(call, call.request.query.get("ref") or call.repo.default_branch)
    folder, _, name = path.rpartition("/")
    try:
        listed = call.repo.git.tree(sha, folder)
        found = [(kind, blob) for kind, blob, other in listed if other == name]
        if not path or (found and found[0][0] == "tree"):
            inside, start = call.repo.git.tree(sha, path), f"{path}/" if path else ""
            shapes = [_entry(call, sha, start + other, kind, blob) for kind, blob, other in inside]
            return Answer(200, [shape | {"content": None, "encoding": None} for shape in shapes])
    except GitError as problem:
        raise missing() from problem
    if not found:
        raise missing()
    return Answer(200, _entry(call, sha, path, *found[0]))


def get_raw(call: Call) -> Answer:
    """A file's bytes; of a ref that is not there, what the default branch has (seen of 1.26.3)."""
    try:
        sha = _sha(call, call.request.query.get("ref") or call.repo.default_branch)
    except ApiError:
        sha = _sha(call, call.repo.default_branch)
    data = call.repo.git.file(sha, call.args["path"])
    if data is None:
        raise missing()
    kind = mimetypes.guess_type(call.args["path"])[0] or "text/plain; charset=utf-8"
    return Answer(200, data, {"Content-Type": kind})


def change_file(call: Call) -> Answer:
    """POST makes a file, PUT changes one (its `sha` must be the present one), DELETE deletes one."""
    user, repo, path = call.writing("write"), call.repo, call.args["path"]
    branch = call.get("branch", str, "") or repo.default_branch
    target, method = call.get("new_branch", str, "") or branch, call.request.method
    old = _blob(call, branch, path)
    if method == "POST" and old:
        raise ApiError(422, f"repository file already exists [path: {path}]")
    if method == "DELETE" and not old:
        raise missing()
    if method != "POST" and old and call.get("sha", str, "") != old:
        raise ApiError(422, f"sha does not match [given: {call.get('sha', str, '')}, expected: {old}]")
    data = None if method == "DELETE" else _content(call)
    message = call.get("message", str, "") or f"{'Delete' if data is None else 'Update'} {path}\n"
    made = pushes.push_files(call.forge, repo, user, branch=target, files={path: data}, message=message)
    content = None if data is None else _entry(call, made, path, "blob", _blob(call, target, path))
    return Answer(201 if method == "POST" else 200, _file_answer(call, made, content))


def _file_answer(call: Call, sha: str, content: Json | None) -> Json:
    commit = call.forge.shapes.commit(call.repo, call.repo.git.commits(sha, limit=1)[0])
    flat = {name: commit[name] for name in ("url", "sha", "created", "html_url", "parents")} | commit["commit"]
    return {"content": content, "commit": flat, "verification": None}


def _content(call: Call) -> bytes:
    try:
        return base64.b64decode(call.get("content", str, ""), validate=True)
    except binascii.Error as problem:
        raise ApiError(422, f"[content]: {problem}") from problem


def _blob(call: Call, branch: str, path: str) -> str:
    """The object of a file on a branch, "" when it is not there."""
    try:
        return call.repo.git.line("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}:{path}")
    except GitError:
        return ""


def list_commits(call: Call) -> Answer:
    if not call.repo.refs:
        raise ApiError(409, "Git Repository is empty.")
    sha = _sha(call, call.request.query.get("sha") or call.repo.default_branch)
    found = call.repo.git.commits(sha, limit=1000)
    return call.paged(found, lambda commit: call.forge.shapes.commit(call.repo, commit))


def get_commit(call: Call) -> Answer:
    commit = call.repo.git.commits(_sha(call, call.args["sha"]), limit=1)[0]
    return Answer(200, call.forge.shapes.commit(call.repo, commit))


def create_status(call: Call) -> Answer:
    """Announced since Gitea 1.23; Forgejo never does."""
    user, repo, forge = call.writing("write"), call.repo, call.forge
    state, sha = call.get("state", str, ""), _sha(call, call.args["sha"])
    if state not in STATES:
        raise ApiError(422, f"unknown state {state!r}")
    context, text = call.get("context", str, "") or "default", call.get("description", str, "")
    link, now = call.get("target_url", str, ""), forge.state.now()
    status = Status(forge.state.next_id("status"), sha, state, context, text, link, user, now)
    repo.statuses.append(status)
    if forge.dialect.gitea(23):
        forge.webhooks.emit(repo, "status", _status_event(call, status))
    forge.state.touch()
    return Answer(201, forge.shapes.status(repo, status))


def _status_event(call: Call, status: Status) -> Json:
    shapes, repo = call.forge.shapes, call.repo
    shape = shapes.status(repo, status)
    return {
        "commit": shapes.pushed_commit(repo, repo.git.commits(status.sha, limit=1)[0]),
        "context": status.context,
        "created_at": shape["created_at"],
        "description": status.description,
        "id": status.id,
        "repository": shapes.repository(repo, OWNER),
        "sender": shapes.user(status.creator),
        "sha": status.sha,
        "state": status.state,
        "target_url": status.target_url,
        "updated_at": shape["updated_at"],
    }


def _statuses(call: Call) -> list[Status]:
    """Newest first."""
    sha = _sha(call, call.args["sha"])
    return [status for status in reversed(call.repo.statuses) if status.sha == sha]


def list_statuses(call: Call) -> Answer:
    return call.paged(_statuses(call), lambda status: call.forge.shapes.status(call.repo, status))


def combined_status(call: Call) -> Answer:
    """The latest status of each context, and the worst of them."""
    latest: dict[str, Status] = {}
    for status in _statuses(call):
        latest.setdefault(status.context, status)
    states = [status.state for status in latest.values()]
    sha = _sha(call, call.args["sha"])
    url = f"{call.forge.shapes.api}/repos/{call.repo.full_name}/commits/{sha}"
    shape = {
        "state": min(states, key=STATES.index, default=""),
        "sha": sha,
        "total_count": len(latest),
        "statuses": [call.forge.shapes.status(call.repo, status) for status in latest.values()],
        "repository": repository(call, call.repo),
        "commit_url": url,
        "url": f"{url}/status",
    }
    return Answer(200, shape)


FILE = "content message branch new_branch sha from_path author committer dates signoff"
NEW_BRANCH = "new_branch_name old_ref_name old_branch_name"
STATUS = "state context description target_url"
ROUTES = (
    Route("GET", f"{R}/branches", list_branches, "repository"),
    Route("POST", f"{R}/branches", create_branch, "repository", body=NEW_BRANCH),
    Route("GET", f"{R}/branches/{{branch:.+}}", get_branch, "repository"),
    Route("DELETE", f"{R}/branches/{{branch:.+}}", delete_branch, "repository"),
    Route("GET", f"{R}/contents", get_contents, "repository", query="ref"),
    Route("GET", f"{R}/contents/{{path:.+}}", get_contents, "repository", query="ref"),
    *(
        Route(verb, f"{R}/contents/{{path:.+}}", change_file, "repository", body=FILE)
        for verb in ("POST", "PUT", "DELETE")
    ),
    Route("GET", f"{R}/raw/{{path:.+}}", get_raw, "repository", query="ref"),
    Route("GET", f"{R}/commits", list_commits, "repository", query="sha path stat verification files not"),
    Route("GET", f"{R}/git/commits/{{sha}}", get_commit, "repository", query="stat verification files"),
    Route("POST", f"{R}/statuses/{{sha}}", create_status, "repository", body=STATUS),
    Route("GET", f"{R}/statuses/{{sha}}", list_statuses, "repository", query="sort state"),
    Route("GET", f"{R}/commits/{{sha}}/statuses", list_statuses, "repository", query="sort state"),
    Route("GET", f"{R}/commits/{{sha}}/status", combined_status, "repository"),
)
