"""API: issues, their timeline, reactions and assignees."""

from collections.abc import Callable, Sequence
from datetime import datetime

from tests.fakes.gitea import issues
from tests.fakes.gitea.api import NO_CONTENT, Answer, ApiError, Call, Route, missing
from tests.fakes.gitea.api_labels import chosen_labels
from tests.fakes.gitea.api_repos import R
from tests.fakes.gitea.state import Entry, Issue, User

ALLOWED_REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")


def moment(call: Call, name: str) -> datetime | None:
    """A time of the query; 422 when it cannot be read."""
    if not (text := call.request.query.get(name)):
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as problem:
        raise ApiError(422, f"parsing time {text!r}: {problem}") from problem
    if when.tzinfo is None:
        raise ApiError(422, f"parsing time {text!r}: no zone")
    return when


def within(call: Call) -> Callable[[Issue | Entry], bool]:
    """Whether something was updated in the time asked for; both ends count."""
    since, before = moment(call, "since"), moment(call, "before")
    return lambda item: not (since and item.updated_at < since) and not (before and item.updated_at > before)


def list_issues(call: Call) -> Answer:
    """The newest first. Unknown label names are dropped, so that an unknown one alone filters nothing."""
    query = call.request.query
    found: Sequence[Issue] = sorted(call.repo.issues.values(), key=lambda issue: -issue.number)
    in_time, state, kind = within(call), query.get("state", "open"), query.get("type", "")
    found = [issue for issue in found if in_time(issue) and state in {"all", issue.state}]
    found = [issue for issue in found if kind in {"", "pulls" if issue.pull else "issues"}]
    known = {label.name for label in call.repo.labels}
    wanted = known & {name.strip() for name in query.get("labels", "").split(",")}
    found = [issue for issue in found if wanted <= {label.name for label in issue.labels}]
    found = [issue for issue in found if _is_by(issue, query) and _says(issue, query.get("q", ""))]
    return call.paged(found, call.forge.shapes.issue)


def _is_by(issue: Issue, query: dict[str, str]) -> bool:
    author, assignee = query.get("created_by", ""), query.get("assigned_by", "")
    if author and issue.user.login.lower() != author.lower():
        return False
    return not assignee or assignee.lower() in {user.login.lower() for user in issue.assignees}


def _says(issue: Issue, word: str) -> bool:
    return word.lower() in f"{issue.title}\n{issue.body}".lower()


def get_issue(call: Call) -> Answer:
    return Answer(200, call.forge.shapes.issue(call.issue))


def create_issue(call: Call) -> Answer:
    """Labels and assignees of somebody who may not write are dropped without a word."""
    user, writer = call.writing(), call.may("write")
    title, body = call.text("title"), call.get("body", str, "")
    wanted = chosen_labels(call) if writer else []
    people = people_named(call) if writer else []
    issue = issues.open_issue(call.forge, call.repo, user, issues.Draft(title, body, wanted, people))
    if writer and call.get("closed", bool, default=False):
        issues.set_open(call.forge, issue, user, is_open=False)
    return Answer(201, call.forge.shapes.issue(issue))


def edit_issue(call: Call) -> Answer:
    """Its author or a writer may; answers 201."""
    user, issue = call.writing(), call.issue
    apply_edit(call, issue, user)
    return Answer(201, call.forge.shapes.issue(issue))


def apply_edit(call: Call, issue: Issue, user: User) -> None:
    """What PATCH of an issue and of a pull request have in common."""
    if issue.user is not user and not call.may("write"):
        raise ApiError(403, silent=True)
    if call.get("content_version", int, issue.content_version) != issue.content_version:
        raise ApiError(409, "content version mismatch")
    state = call.get("state", str, "")
    if state not in {"", "open", "closed"}:
        raise ApiError(422, f"unknown state: {state}")
    title, body = call.body.get("title") or None, call.body.get("body")
    issues.edit(call.forge, issue, user, title=title, body=body)
    if "assignees" in call.body and call.may("write"):
        issues.assign(call.forge, issue, user, people_named(call))
    if state:
        issues.set_open(call.forge, issue, user, is_open=state == "open")


def people_named(call: Call) -> list[User]:
    """The people of `assignees`; 422 for one whom nobody knows."""
    names = call.get("assignees", list, [])
    unknown = [name for name in names if str(name).lower() not in call.forge.state.users]
    if unknown:
        raise ApiError(422, f"Assignee does not exist: [name: {unknown[0]}]")
    return [call.forge.state.user(name) for name in names]


def add_assignees(call: Call) -> Answer:
    user, issue = call.writing("write"), call.issue
    issues.assign(call.forge, issue, user, list(dict.fromkeys([*issue.assignees, *people_named(call)])))
    return Answer(201, call.forge.shapes.issue(issue))


def remove_assignees(call: Call) -> Answer:
    user, issue, gone = call.writing("write"), call.issue, people_named(call)
    issues.assign(call.forge, issue, user, [person for person in issue.assignees if person not in gone])
    return Answer(200, call.forge.shapes.issue(issue))


def issue_or_500(call: Call) -> Issue:
    """The issue of the path; some handlers take it for a failure of the server that it is not there (seen)."""
    issue = call.repo.issues.get(call.number("index"))
    if issue is None:
        raise ApiError(500, "")
    return issue


def timeline(call: Call) -> Answer:
    """Everything but inline comments, oldest first; X-Total-Count is the size of this page only."""
    issue, in_time = issue_or_500(call), within(call)
    entries = [entry for entry in issue.entries if in_time(entry)]
    kept, headers = call.page(entries, link=False)
    headers["X-Total-Count"] = str(len(kept))
    return Answer(200, [call.forge.shapes.timeline_entry(issue, entry) for entry in kept], headers)


def _reactions(call: Call, on: Issue | Entry) -> Answer:
    """Gitea writes `null` when there are none."""
    kept, headers = call.page(on.reactions, link=False)
    return Answer(200, [call.forge.shapes.reaction(item) for item in kept] or None, headers)


def _react(call: Call, issue: Issue, on: Issue | Entry) -> Answer:
    user, content = call.writing(), call.get("content", str, "")
    if issue.is_locked and not call.may("write"):
        raise ApiError(403, "no permission to change reaction")
    if content not in ALLOWED_REACTIONS:
        raise ApiError(403, f"'{content}' is not an allowed reaction")
    reaction, new = issues.react(call.forge, on, user, content)
    return Answer(201 if new else 200, call.forge.shapes.reaction(reaction))


def _unreact(call: Call, on: Issue | Entry) -> Answer:
    issues.unreact(call.forge, on, call.writing(), call.get("content", str, ""))
    return Answer(call.forge.dialect.removed_reaction, empty=True)


def find_entry(call: Call) -> tuple[Issue, Entry]:
    """The comment of the path, plain or inline, with its issue; 404."""
    number = call.number("id")
    for issue in call.repo.issues.values():
        inline = [entry for review in (issue.pull.reviews if issue.pull else ()) for entry in review.comments]
        for entry in [*issue.entries, *inline]:
            if entry.id == number:
                return issue, entry
    raise missing()


def issue_reactions(call: Call) -> Answer:
    return _reactions(call, call.issue)


def react_issue(call: Call) -> Answer:
    return _react(call, call.issue, call.issue)


def unreact_issue(call: Call) -> Answer:
    return _unreact(call, call.issue)


def comment_reactions(call: Call) -> Answer:
    return _reactions(call, find_entry(call)[1])


def react_comment(call: Call) -> Answer:
    return _react(call, *find_entry(call))


def unreact_comment(call: Call) -> Answer:
    return _unreact(call, find_entry(call)[1])


def lock(call: Call) -> Answer:
    """Locks or unlocks; for a repository's administrators."""
    call.writing("admin")
    call.issue.is_locked = call.request.method == "PUT"
    call.forge.note(call.issue, "lock" if call.issue.is_locked else "unlock", call.user)
    return NO_CONTENT


I = f"{R}/issues/{{index}}"  # noqa: E741 - reads like R in the table below
C = f"{R}/issues/comments/{{id}}"
EDIT = "title body state assignee assignees milestone due_date unset_due_date content_version ref"
FILTERS = "state type labels q since before created_by assigned_by mentioned_by milestones"
ROUTES = (
    Route("GET", f"{R}/issues", list_issues, "issue", query=FILTERS),
    Route("POST", f"{R}/issues", create_issue, "issue", body="title body labels assignees milestone closed"),
    Route("GET", I, get_issue, "issue"),
    Route("PATCH", I, edit_issue, "issue", body=EDIT),
    Route("GET", f"{I}/timeline", timeline, "issue", query="since before"),
    Route("GET", f"{I}/reactions", issue_reactions, "issue"),
    Route("POST", f"{I}/reactions", react_issue, "issue", body="content"),
    Route("DELETE", f"{I}/reactions", unreact_issue, "issue", body="content"),
    Route("GET", f"{C}/reactions", comment_reactions, "issue"),
    Route("POST", f"{C}/reactions", react_comment, "issue", body="content"),
    Route("DELETE", f"{C}/reactions", unreact_comment, "issue", body="content"),
    Route("POST", f"{I}/assignees", add_assignees, "issue", body="assignees", since=27, forgejo=False),
    Route("DELETE", f"{I}/assignees", remove_assignees, "issue", body="assignees", since=27, forgejo=False),
    Route("PUT", f"{I}/lock", lock, "issue", body="lock_reason", since=24, forgejo=False),
    Route("DELETE", f"{I}/lock", lock, "issue", since=24, forgejo=False),
)
