"""API: webhooks of repositories, organisations and the server (facts, section 7)."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.gitea.api import NO_CONTENT, Answer, ApiError, Call, Route, missing
from tests.fakes.gitea.api_repos import R
from tests.fakes.gitea.forge import NOBODY
from tests.fakes.gitea.gitrepo import Commit
from tests.fakes.gitea.pushes import Push
from tests.fakes.gitea.state import Hook, Repo, Target, User
from tests.fakes.gitea.webhooks import expand_events, payload_text

ADMIN = "user should be an owner or a collaborator with admin write of a repository"
TYPES = ("gitea", "gogs", "slack", "discord", "dingtalk", "telegram", "msteams", "feishu", "wechatwork", "packagist")


def _hooks(call: Call) -> list[Hook]:
    """The hooks of the path's repository or organisation, or of the server, for those who administrate it; 403."""
    if "repo" not in call.args and "org" not in call.args:
        if not call.user.is_admin:
            raise ApiError(403, "user should be the site admin")
        return call.forge.state.admin_hooks
    if "org" not in call.args:
        if not call.may("admin"):
            raise ApiError(403, ADMIN)
        return call.repo.hooks
    org, user = call.forge.state.users.get(call.args["org"].lower()), call.user
    if org is None or not org.is_org:
        raise missing()
    if not user.is_admin and user.login.lower() not in org.owners:
        raise ApiError(403, "Must be an organization owner")
    return call.forge.state.org_hooks[org.login.lower()]


def _one(call: Call) -> Hook:
    for hook in _hooks(call):
        if hook.id == call.number("id"):
            return hook
    raise missing()


def list_hooks(call: Call) -> Answer:
    return call.paged(_hooks(call), call.forge.shapes.hook, link=False)


def list_admin_hooks(call: Call) -> Answer:
    """The system's, not those for each new repository."""
    kept = [hook for hook in _hooks(call) if hook.target == "system"]
    return call.paged(kept, call.forge.shapes.hook, link=False)


def get_hook(call: Call) -> Answer:
    return Answer(200, call.forge.shapes.hook(_one(call)))


def create_hook(call: Call) -> Answer:
    """`active` is false unless said; a second hook for the same address is a second hook."""
    hooks = _hooks(call)
    config, kind = call.get("config", dict, {}), call.text("type")
    known = (*TYPES, "forgejo") if call.forge.dialect.forgejo else TYPES
    if kind not in known:
        raise ApiError(422, f"Invalid hook type: {kind}")
    state = call.forge.state
    hook = Hook(state.next_id("hook"), "", str(config.get("secret", "")), (), state.now(), state.now(), type=kind)
    hook.target = _target(call, config)
    _configure(hook, config, required=True)
    _replace(call, hook)
    hooks.append(hook)
    state.touch()
    return Answer(201, call.forge.shapes.hook(hook))


def _target(call: Call, config: Mapping[str, Any]) -> Target:
    """Whose hook it is. Without the word in its config, one of the server is copied into new repositories."""
    if "repo" in call.args:
        return "repository"
    if "org" in call.args:
        return "organization"
    return "system" if config.get("is_system_webhook") == "true" else "default"


def edit_hook(call: Call) -> Answer:
    """What is not sent is reset, but the secret stays as it is (facts, section 7)."""
    hook = _one(call)
    _configure(hook, call.get("config", dict, {}), required=False)
    _replace(call, hook)
    hook.updated_at = call.forge.state.now()
    call.forge.state.touch()
    return Answer(200, call.forge.shapes.hook(hook))


def _configure(hook: Hook, config: Mapping[str, Any], *, required: bool) -> None:
    missing_keys = [key for key in ("url", "content_type") if not config.get(key)]
    if required and missing_keys:
        raise ApiError(422, f"Missing config option: {missing_keys[0]}")
    content_type = str(config.get("content_type", hook.content_type))
    if content_type not in {"json", "form"}:
        raise ApiError(422, "Invalid content type")
    hook.url, hook.content_type = str(config.get("url", hook.url)), content_type


def _replace(call: Call, hook: Hook) -> None:
    hook.events = expand_events([str(event) for event in call.get("events", list, [])])
    hook.branch_filter = call.get("branch_filter", str, "")
    hook.authorization_header = call.get("authorization_header", str, "")
    hook.active = call.get("active", bool, default=hook.active if call.request.method == "PATCH" else False)
    hook.name = call.get("name", str, hook.name)


def delete_hook(call: Call) -> Answer:
    _hooks(call).remove(_one(call))
    call.forge.state.touch()
    return NO_CONTENT


def try_hook(call: Call) -> Answer:
    """A synthetic push; 404 where there is no commit (seen on 1.26.3). Gitea up to 1.27.0 sends nothing, but says well,
    when the hook does not want pushes.
    """
    hook, repo, forge = _one(call), call.repo, call.forge
    sha = repo.branch(repo.default_branch)
    if not sha:
        raise missing()
    if forge.dialect.forgejo or "push" in hook.events:
        commit = repo.git.commits(sha, limit=1)[0]
        payload = _test_push(call, repo, call.user, commit)
        forge.webhooks.send(hook, "push", payload)
    return NO_CONTENT


def _test_push(call: Call, repo: Repo, user: User, commit: Commit) -> bytes:
    ref = f"refs/heads/{repo.default_branch}"
    payload = Push(call.forge, repo, user).payload(ref, (commit.sha, commit.sha), [commit])
    sender = call.forge.shapes.user(user)
    payload |= {"repository": call.forge.shapes.repository(repo, NOBODY), "pusher": sender, "sender": sender}
    return payload_text(payload, call.forge.dialect)


NEW = "type config events active branch_filter authorization_header name"
EDIT = NEW.removeprefix("type ")


def _routes(path: str, scope: str) -> tuple[Route, ...]:
    return (
        Route("GET", f"{path}/hooks", list_hooks, scope),
        Route("POST", f"{path}/hooks", create_hook, scope, body=NEW),
        Route("GET", f"{path}/hooks/{{id}}", get_hook, scope),
        Route("PATCH", f"{path}/hooks/{{id}}", edit_hook, scope, body=EDIT),
        Route("DELETE", f"{path}/hooks/{{id}}", delete_hook, scope),
    )


ROUTES = (
    *_routes(R, "repository"),
    Route("POST", f"{R}/hooks/{{id}}/tests", try_hook, "repository", query="ref"),
    *_routes("/orgs/{org}", "organization"),
    Route("GET", "/admin/hooks", list_admin_hooks, "admin"),
    *_routes("/admin", "admin")[1:],
)
