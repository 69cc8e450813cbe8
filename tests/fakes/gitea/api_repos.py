"""API: the server itself, people, repositories and who may do what in them."""

from tests.fakes.gitea import access
from tests.fakes.gitea.api import NO_CONTENT, Answer, ApiError, Call, Route, missing
from tests.fakes.gitea.state import Repo, User
from tests.fakes.gitea.wire import Json

R = "/repos/{owner}/{repo}"


def version(call: Call) -> Answer:
    return Answer(200, {"version": call.forge.dialect.version})


def settings(call: Call) -> Answer:
    return Answer(
        200,
        {
            "max_response_items": 50,
            "default_paging_num": 30,
            "default_git_trees_per_page": 1000,
            "default_max_blob_size": 10485760,
            "default_max_response_size": 104857600,
        },
    )


def me(call: Call) -> Answer:
    return Answer(200, call.forge.shapes.user(call.user, to_self=True))


def one_user(call: Call) -> Answer:
    return Answer(200, call.forge.shapes.user(_user(call, "user")))


def token_info(call: Call) -> Answer:
    """Which token this is (Gitea 1.27 and later)."""
    if call.caller.token is None:
        raise ApiError(401, "token is required")
    token = call.caller.token
    return Answer(200, {"id": token.id, "name": token.name, "scopes": list(token.scopes)})


def one_org(call: Call) -> Answer:
    org = _user(call, "org")
    if not org.is_org:
        raise missing()
    shape = {
        "id": org.id,
        "name": org.login,
        "full_name": org.full_name,
        "email": "",
        "avatar_url": "",
        "description": "",
        "website": "",
        "location": "",
        "visibility": "public",
        "repo_admin_change_team_access": False,
        "username": org.login,
    }
    return Answer(200, shape)


def repository(call: Call, repo: Repo) -> Json:
    """A repository with the caller's own rights."""
    return call.forge.shapes.repository(repo, access.permissions_of(repo, call.caller.user))


def one_repo(call: Call) -> Answer:
    return Answer(200, repository(call, call.repo))


def repo_by_id(call: Call) -> Answer:
    for repo in _all(call):
        if repo.id == call.number("id") and call.sees(repo):
            return Answer(200, repository(call, repo))
    raise missing()


def my_repos(call: Call) -> Answer:
    """The repositories that the caller owns or works in."""
    user = call.user
    mine = [repo for repo in _all(call) if repo.owner is user or _works_in(repo, user)]
    return call.paged(mine, lambda repo: repository(call, repo))


def _works_in(repo: Repo, user: User) -> bool:
    login = user.login.lower()
    return login in repo.collaborators or login in repo.owner.owners


def search_repos(call: Call) -> Answer:
    """All that the caller may see, as `{"ok": true, "data": […]}`."""
    word = call.request.query.get("q", "").lower()
    seen = [repo for repo in _all(call) if call.sees(repo) and word in repo.full_name.lower()]
    kept, headers = call.page(seen)
    return Answer(200, {"ok": True, "data": [repository(call, repo) for repo in kept]}, headers)


def org_repos(call: Call) -> Answer:
    org = _user(call, "org")
    seen = [repo for repo in _all(call) if repo.owner is org and call.sees(repo)]
    return call.paged(seen, lambda repo: repository(call, repo))


def _all(call: Call) -> list[Repo]:
    return list(call.forge.state.repos.values())


def permission(call: Call) -> Answer:
    """A person's level; others' only for a repository's or the site's administrator (facts, section 4.5)."""
    caller, asked = call.user, call.forge.state.users.get(call.args["user"].lower())
    if asked is not caller and not caller.is_admin and not call.may("admin"):
        raise ApiError(403, "Only admins can query all permissions, repo admins can query all repo permissions")
    if asked is None:
        raise ApiError(404, f"user does not exist [uid: 0, name: {call.args['user']}]")
    level = access.reported_level(call.repo, asked)
    return Answer(200, {"permission": level, "role_name": level, "user": call.forge.shapes.user(asked)})


def is_collaborator(call: Call) -> Answer:
    """204 for a direct collaborator only."""
    found = _user(call, "user", status=422)
    if found.login.lower() not in call.repo.collaborators:
        raise missing()
    return NO_CONTENT


def collaborators(call: Call) -> Answer:
    direct = [login for login, standing in call.repo.collaborators.items() if standing != "team-write"]
    people = [call.forge.state.user(login) for login in direct]
    return call.paged(people, lambda user: call.forge.shapes.user(user) or {})


def assignees(call: Call) -> Answer:
    """The people who can be assigned: access to write."""
    people = [user for user in call.forge.state.users.values() if access.may(call.repo, user, "write")]
    return Answer(200, [call.forge.shapes.user(user) for user in people if not user.is_org])


def _user(call: Call, name: str, *, status: int = 404) -> User:
    login = call.args[name]
    found = call.forge.state.users.get(login.lower())
    if found is None:
        raise ApiError(status, f"user redirect does not exist [name: {login}]")
    return found


ROUTES = (
    Route("GET", "/version", version),
    Route("GET", "/settings/api", settings),
    Route("GET", "/user", me, "user"),
    Route("GET", "/user/repos", my_repos, "user"),
    Route("GET", "/users/{user}", one_user, "user"),
    Route("GET", "/token", token_info, since=27, forgejo=False),
    Route("GET", "/orgs/{org}", one_org, "organization"),
    Route("GET", "/orgs/{org}/repos", org_repos, "organization"),
    Route("GET", "/repos/search", search_repos, "repository", query="q"),
    Route("GET", R, one_repo, "repository"),
    Route("GET", "/repositories/{id}", repo_by_id, "repository"),
    Route("GET", f"{R}/collaborators", collaborators, "repository"),
    Route("GET", f"{R}/collaborators/{{user}}", is_collaborator, "repository"),
    Route("GET", f"{R}/collaborators/{{user}}/permission", permission, "repository"),
    Route("GET", f"{R}/assignees", assignees, "repository"),
)
