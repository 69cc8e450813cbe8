"""API: pull requests, from opening to merging."""

from collections.abc import Sequence

from tests.fakes.gitea import access, labels, pulls, pushes
from tests.fakes.gitea.api import Answer, ApiError, Call, Route, missing
from tests.fakes.gitea.api_issues import EDIT, apply_edit, people_named
from tests.fakes.gitea.api_labels import chosen_labels
from tests.fakes.gitea.api_repos import R
from tests.fakes.gitea.gitrepo import Change
from tests.fakes.gitea.state import Issue, Pull, Repo
from tests.fakes.gitea.wire import Json
from tests.fakes.gitea.wire_issues import is_draft


def shape(call: Call, issue: Issue) -> Json:
    """A pull request with the caller's rights in its repositories."""
    return call.forge.shapes.pull(issue, access.permissions_of(issue.repo, call.caller.user))


def parts(issue: Issue) -> Pull:
    if issue.pull is None:
        raise missing()
    return issue.pull


def list_pulls(call: Call) -> Answer:
    """Newest first unless `sort` says else; Forgejo can filter by `base` and `head`."""
    query = call.request.query
    state, poster = query.get("state", "open"), query.get("poster", "").lower()
    base, head = query.get("base_branch") or query.get("base", ""), query.get("head", "")
    found: Sequence[Issue] = [issue for issue in call.repo.issues.values() if issue.pull]
    found = [issue for issue in found if state in {"all", issue.state}]
    found = [issue for issue in found if not poster or issue.user.login.lower() == poster]
    found = [issue for issue in found if not base or parts(issue).base_branch == base]
    found = [issue for issue in found if not head or parts(issue).head_branch == head.rpartition(":")[2]]
    wanted = {int(text) for text in query.get("labels", "").split(",") if text.isdigit()}
    found = [issue for issue in found if wanted <= {label.id for label in issue.labels}]
    rights = access.permissions_of(call.repo, call.caller.user)
    found = _sorted(found, query.get("sort", ""))
    return call.paged(found, lambda issue: call.forge.shapes.pull_in_list(issue, rights))


def _sorted(found: Sequence[Issue], how: str) -> Sequence[Issue]:
    if how == "recentupdate":
        return sorted(found, key=lambda issue: (issue.updated_at, issue.number), reverse=True)
    return sorted(found, key=lambda issue: issue.number, reverse=how != "oldest")


def get_pull(call: Call) -> Answer:
    return Answer(200, shape(call, call.pull))


def _ends(call: Call, head: str) -> tuple[Repo, str]:
    """The repository and branch that `branch` or `user:branch` names; 404."""
    owner, colon, branch = head.rpartition(":")
    if not colon or owner.lower() == call.repo.owner.login.lower():
        return call.repo, branch
    for repo in call.forge.state.repos.values():
        if repo.owner.login.lower() == owner.lower() and repo.parent is call.repo:
            return repo, branch
    raise missing()


def by_branches(call: Call) -> Answer:
    """Whichever the table gives first, in any state (facts, section 4.3)."""
    base, _, head = call.args["ends"].partition("/")
    repo, branch = _ends(call, head)
    for issue in call.repo.issues.values():
        pull = issue.pull
        if pull and (pull.head_repo, pull.head_branch, pull.base_branch) == (repo, branch, base):
            return Answer(200, shape(call, issue))
    raise missing()


def create_pull(call: Call) -> Answer:
    user = call.writing()
    head_repo, head = _ends(call, call.text("head"))
    base, title = call.text("base"), call.text("title")
    if head_repo is call.repo and head == base:
        raise ApiError(422, f"Invalid PullRequest: base and head are the same: {base}")
    if head_repo.branch(head) is None or call.repo.branch(base) is None:
        raise ApiError(404, "The target couldn't be found.")
    if not call.may("write") and not access.may(head_repo, user, "write"):
        raise ApiError(403, "user should be a collaborator of the base or have write access to the head")
    if other := pulls.open_for(call.repo, head_repo, head, base):
        raise ApiError(409, _second(call.repo, head_repo, other))
    draft = pulls.PullDraft(title, call.get("body", str, ""), base, head_repo, head)
    named, people = chosen_labels(call), people_named(call)
    issue = pulls.open_pull(call.forge, call.repo, user, draft, named=named, people=people)
    return Answer(201, shape(call, issue))


def _second(repo: Repo, head: Repo, other: Issue) -> str:
    pull = parts(other)
    ids = f"id: {pull.id}, issue_id: {other.id}, head_repo_id: {head.id}, base_repo_id: {repo.id}"
    branches = f"head_branch: {pull.head_branch}, base_branch: {pull.base_branch}"
    return f"pull request already exists for these targets [{ids}, {branches}]"


def edit_pull(call: Call) -> Answer:
    """Answers 201; a base that is gone is 404, one with a pull request of its own 409."""
    user, issue = call.writing(), call.pull
    apply_edit(call, issue, user)
    if "labels" in call.body and call.may("write"):
        labels.replace(call.forge, issue, user, chosen_labels(call))
    base = call.get("base", str, "")
    if base and base != parts(issue).base_branch:
        if call.repo.branch(base) is None:
            raise ApiError(404, "new base not exist")
        if pulls.open_for(call.repo, parts(issue).head_repo, parts(issue).head_branch, base):
            raise ApiError(409, "pull request already exists for this base")
        pulls.set_base(call.forge, issue, user, base)
    return Answer(201, shape(call, issue))


def is_merged(call: Call) -> Answer:
    return Answer(204 if parts(call.pull).merged else 404, empty=True)


def merge(call: Call) -> Answer:
    """405 when it is not allowed, 409 when the branches (or the head named) do not fit."""
    user, issue = call.writing(), call.pull
    how = call.text("do")
    if how not in pulls.MERGE_STYLES:
        raise ApiError(422, f"[Do]: In: unknown merge style {how}")
    _check_mergeable(call, issue)
    title = call.get("merge_title_field", str, "") or call.get("mergetitlefield", str, "")
    text = call.get("merge_message_field", str, "") or call.get("mergemessagefield", str, "")
    delete = call.get("delete_branch_after_merge", bool, default=False)
    message = f"{title}\n\n{text}" if title and text else title or text
    try:
        pushes.merge_pull(call.forge, issue, user, how=how, message=message, delete=delete)
    except pulls.Conflict as conflict:
        raise ApiError(409, str(conflict)) from conflict
    return Answer(200, empty=True)


def _check_mergeable(call: Call, issue: Issue) -> None:
    pull, repo = parts(issue), call.repo
    if not call.may("write"):
        raise ApiError(405, "User not allowed to merge PR")
    if issue.state == "closed" or is_draft(issue):
        raise ApiError(405, "Work in progress PRs cannot be merged" if is_draft(issue) else "")
    if pull.base_branch in repo.protected and not call.may("admin"):
        raise ApiError(405, "Not all required status checks successful")
    if call.get("head_commit_id", str, "") not in {"", pull.head_sha}:
        raise ApiError(409, "head out of date")


def files(call: Call) -> Answer:
    pull, git = parts(call.pull), call.repo.git
    return call.paged(git.changes(pull.merge_base, pull.head_sha), lambda change: _file(call, change))


def _file(call: Call, change: Change) -> Json:
    sha = parts(call.pull).head_sha
    page = call.forge.shapes.page(call.repo)
    contents = f"{call.forge.shapes.api}/repos/{call.repo.full_name}/contents/{change.path}?ref={sha}"
    renamed = {"previous_filename": change.previous} if change.previous else {}
    return {
        "filename": change.path,
        **renamed,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "html_url": f"{page}/src/commit/{sha}/{change.path}",
        "contents_url": contents,
        "raw_url": f"{page}/raw/commit/{sha}/{change.path}",
    }


def diff(call: Call) -> Answer:
    """`N.diff` or `N.patch` as text."""
    pull, git = parts(call.pull), call.repo.git
    if call.args["form"] == "patch":
        text = git.run("format-patch", "--stdout", f"{pull.merge_base}..{pull.head_sha}")
    else:
        text = git.diff(pull.merge_base, pull.head_sha).encode()
    return Answer(200, text, {"Content-Type": "text/plain; charset=utf-8"})


def commits(call: Call) -> Answer:
    pull, repo = parts(call.pull), call.repo
    found = repo.git.commits(f"{pull.merge_base}..{pull.head_sha}", limit=500)
    return call.paged(found, lambda commit: call.forge.shapes.commit(repo, commit))


def of_commit(call: Call) -> Answer:
    """The pull request that a merge commit came from."""
    for issue in call.repo.issues.values():
        if issue.pull and issue.pull.merge_commit_sha == call.args["sha"]:
            return Answer(200, shape(call, issue))
    raise missing()


P = f"{R}/pulls/{{index}}"
NEW = "head base title body labels assignees assignee milestone due_date reviewers team_reviewers allow_maintainer_edit"
MERGE = (
    "do merge_title_field merge_message_field mergetitlefield mergemessagefield head_commit_id"
    " delete_branch_after_merge merge_when_checks_succeed force_merge"
)
ROUTES = (
    Route("GET", f"{R}/pulls", list_pulls, "repository", query="state sort poster base_branch base head labels"),
    Route("POST", f"{R}/pulls", create_pull, "repository", body=NEW),
    Route("GET", f"{R}/pulls/{{index:\\d+}}.{{form:diff|patch}}", diff, "repository", query="binary"),
    Route("GET", P, get_pull, "repository"),
    Route("PATCH", P, edit_pull, "repository", body=f"{EDIT} base labels allow_maintainer_edit"),
    Route("GET", f"{P}/files", files, "repository", query="skip-to whitespace"),
    Route("GET", f"{P}/commits", commits, "repository", query="verification files"),
    Route("GET", f"{P}/merge", is_merged, "repository"),
    Route("POST", f"{P}/merge", merge, "repository", body=MERGE),
    Route("GET", f"{R}/commits/{{sha}}/pull", of_commit, "repository", since=22),
)
# Must come after the reviews' routes, which it would swallow.
LAST = (Route("GET", f"{R}/pulls/{{ends:[^/]+/.+}}", by_branches, "repository", since=22),)
