"""API: comments of issues and pull requests, and attachments."""

from email import policy
from email.parser import BytesParser

from tests.fakes.gitea import issues
from tests.fakes.gitea.api import NO_CONTENT, Answer, ApiError, Call, Route, missing
from tests.fakes.gitea.api_issues import C, I, find_entry, issue_or_500, within
from tests.fakes.gitea.api_repos import R
from tests.fakes.gitea.state import Entry, Issue, User

NO_SUCH_COMMENT = Answer(404, b"null")
"""Where files of a comment are asked for. Elsewhere the body says what is missing."""


def list_comments(call: Call) -> Answer:
    """All of them, oldest first, never in pages; 500 and not 404 when there is no such issue."""
    issue, in_time = issue_or_500(call), within(call)
    found = [entry for entry in issue.comments if in_time(entry)]
    headers = {"X-Total-Count": str(len(found)), "Access-Control-Expose-Headers": "X-Total-Count"}
    return Answer(200, [call.forge.shapes.comment(issue, entry) for entry in found], headers)


def repo_comments(call: Call) -> Answer:
    """Comments of all issues and pull requests, oldest first, by the time of their last change."""
    in_time = within(call)
    pairs = [(issue, entry) for issue in call.repo.issues.values() for entry in issue.comments]
    found = sorted((pair for pair in pairs if in_time(pair[1])), key=lambda pair: pair[1].id)
    return call.paged(found, lambda pair: call.forge.shapes.comment(*pair), link=False)


def add_comment(call: Call) -> Answer:
    user, text = call.writing(), call.text("body")
    issue = issue_or_500(call)
    if issue.is_locked and not call.may("write"):
        raise ApiError(403, "comment is not allowed on a locked issue")
    entry = issues.comment(call.forge, issue, user, text)
    return Answer(201, call.forge.shapes.comment(issue, entry))


def get_comment(call: Call) -> Answer:
    """204 for an inline comment of a review: it is there, but no plain comment."""
    issue, entry = find_entry(call)
    if entry.type != "comment":
        return NO_CONTENT
    return Answer(200, call.forge.shapes.comment(issue, entry))


def _own(call: Call, entry: Entry) -> User:
    """The caller, who wrote this or may write here; else 403."""
    user = call.writing()
    if entry.user is not user and not call.may("write"):
        raise ApiError(403, "user should have permission to edit comment")
    return user


def edit_comment(call: Call) -> Answer:
    issue, entry = find_entry(call)
    user = _own(call, entry)
    text = call.text("body")
    if entry.type not in {"comment", "code"}:
        return NO_CONTENT
    issues.edit_comment(call.forge, issue, entry, user, text=text)
    return Answer(200, call.forge.shapes.comment(issue, entry))


def delete_comment(call: Call) -> Answer:
    issue, entry = find_entry(call)
    user = _own(call, entry)
    if entry.type != "comment":
        return NO_CONTENT
    issues.delete_comment(call.forge, issue, entry, user)
    return NO_CONTENT


def _attach(call: Call, on: Issue | Entry) -> Answer:
    call.writing()
    name, data = _upload(call)
    asset = issues.attach(call.forge, on, call.request.query.get("name") or name, data)
    return Answer(201, call.forge.shapes.attachment(asset))


def _upload(call: Call) -> tuple[str, bytes]:
    """The file of a multipart body; 400 when there is none of the right name."""
    kind = call.request.headers.get("content-type", "")
    head = f"Content-Type: {kind}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + call.request.raw)
    for part in message.iter_parts() if message.is_multipart() else ():
        if part.get_param("name", header="content-disposition") == "attachment":
            data = part.get_payload(decode=True)
            return part.get_filename() or "file", data if isinstance(data, bytes) else b""
    raise ApiError(400, "http: no such file")


def attach_issue(call: Call) -> Answer:
    return _attach(call, call.issue)


def attach_comment(call: Call) -> Answer:
    entry = _comment(call)
    return NO_SUCH_COMMENT if entry is None else _attach(call, entry)


def _assets(call: Call, on: Issue | Entry) -> Answer:
    return Answer(200, [call.forge.shapes.attachment(asset) for asset in on.attachments])


def issue_assets(call: Call) -> Answer:
    return _assets(call, call.issue)


def comment_assets(call: Call) -> Answer:
    entry = _comment(call)
    return NO_SUCH_COMMENT if entry is None else _assets(call, entry)


def _comment(call: Call) -> Entry | None:
    try:
        return find_entry(call)[1]
    except ApiError:
        return None


def one_asset(call: Call) -> Answer:
    for asset in call.issue.attachments:
        if asset.id == call.number("asset"):
            return Answer(200, call.forge.shapes.attachment(asset))
    raise missing()


ROUTES = (
    Route("GET", f"{R}/issues/comments", repo_comments, "issue", query="since before"),
    Route("GET", f"{I}/comments", list_comments, "issue", query="since before"),
    Route("POST", f"{I}/comments", add_comment, "issue", body="body"),
    Route("GET", C, get_comment, "issue"),
    Route("PATCH", C, edit_comment, "issue", body="body"),
    Route("DELETE", C, delete_comment, "issue"),
    Route("GET", f"{I}/assets", issue_assets, "issue"),
    Route("POST", f"{I}/assets", attach_issue, "issue", query="name", multipart=True),
    Route("GET", f"{I}/assets/{{asset}}", one_asset, "issue"),
    Route("GET", f"{C}/assets", comment_assets, "issue"),
    Route("POST", f"{C}/assets", attach_comment, "issue", query="name", multipart=True),
)
