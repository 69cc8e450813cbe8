"""API: reviews of pull requests and their inline comments."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.gitea import pulls
from tests.fakes.gitea.api import NO_CONTENT, Answer, ApiError, Call, Route, missing
from tests.fakes.gitea.api_issues import find_entry
from tests.fakes.gitea.api_pulls import P, parts
from tests.fakes.gitea.state import Review, User

EVENTS = {"": "PENDING", "PENDING": "PENDING", "COMMENT": "COMMENT"}
EVENTS |= {"APPROVED": "APPROVED", "REQUEST_CHANGES": "REQUEST_CHANGES"}


def _review(call: Call) -> Review:
    for review in parts(call.pull).reviews:
        if review.id == call.number("id") and (review.state != "PENDING" or review.user is call.caller.user):
            return review
    raise missing()


def list_reviews(call: Call) -> Answer:
    """What is pending only its author sees."""
    seen = [item for item in parts(call.pull).reviews if item.state != "PENDING" or item.user is call.caller.user]
    return call.paged(seen, lambda review: call.forge.shapes.review(call.pull, review))


def get_review(call: Call) -> Answer:
    return Answer(200, call.forge.shapes.review(call.pull, _review(call)))


def create_review(call: Call) -> Answer:
    """Answers 200; 422 when there is nothing in it, or a judgement on one's own or a closed pull request.
    A mere comment is taken there, too.
    """
    user, issue = call.writing(), call.pull
    state = EVENTS.get(call.get("event", str, ""))
    if state is None:
        raise ApiError(422, "[Event]: unknown")
    body, remarks = call.get("body", str, ""), [_remark(item) for item in call.get("comments", list, [])]
    _check(call, state, user)
    if not body.strip() and (state in {"REQUEST_CHANGES", "PENDING"} or (state == "COMMENT" and not remarks)):
        raise ApiError(422, f"review event {state} requires a body or a comment")
    made = pulls.review(call.forge, issue, user, state, body=body, remarks=remarks)
    made.commit_id = call.get("commit_id", str, "") or made.commit_id
    return Answer(200, call.forge.shapes.review(issue, made))


def _check(call: Call, state: str, user: User) -> None:
    if state not in {"APPROVED", "REQUEST_CHANGES"}:
        return
    if call.pull.user is user:
        raise ApiError(422, f"{'approve' if state == 'APPROVED' else 'reject'} your own pull is not allowed")
    if call.pull.state == "closed":
        raise ApiError(422, "can't submit review for a closed or merged PR")


def _remark(item: Mapping[str, Any]) -> pulls.Remark:
    fields = {name.lower(): value for name, value in item.items()}
    positions = (fields.get("new_position") or 0, fields.get("old_position") or 0)
    return pulls.Remark(str(fields.get("path", "")), str(fields.get("body", "")), *positions)


def submit_review(call: Call) -> Answer:
    """Publishes a pending review."""
    user, review = call.writing(), _review(call)
    state = EVENTS.get(call.get("event", str, ""))
    if review.state != "PENDING" or state in {None, "PENDING"}:
        raise ApiError(422, "only pending reviews can be submitted, and not as pending")
    _check(call, state or "", user)
    review.state, review.body = state or "", call.get("body", str, review.body)
    pulls.publish(call.forge, call.pull, review)
    return Answer(200, call.forge.shapes.review(call.pull, review))


def delete_review(call: Call) -> Answer:
    user, review = call.writing(), _review(call)
    if review.user is not user and not call.may("admin"):
        raise ApiError(403, "")
    parts(call.pull).reviews.remove(review)
    call.forge.state.touch()
    return NO_CONTENT


def review_comments(call: Call) -> Answer:
    review = _review(call)
    return Answer(200, [call.forge.shapes.review_comment(call.pull, review, entry) for entry in review.comments])


def reply(call: Call) -> Answer:
    """Answers an inline comment (Gitea 1.27 and later)."""
    user, text = call.writing(), call.text("body")
    _, entry = find_entry(call)
    review = pulls.holding(call.pull, entry.id)
    if review is None:
        raise missing()
    made = pulls.reply(call.forge, call.pull, review, user, to=entry, text=text)
    return Answer(201, call.forge.shapes.review_comment(call.pull, review, made))


ROUTES = (
    Route("GET", f"{P}/reviews", list_reviews, "repository"),
    Route("POST", f"{P}/reviews", create_review, "repository", body="event body commit_id comments"),
    Route("GET", f"{P}/reviews/{{id}}", get_review, "repository"),
    Route("POST", f"{P}/reviews/{{id}}", submit_review, "repository", body="event body"),
    Route("DELETE", f"{P}/reviews/{{id}}", delete_review, "repository"),
    Route("GET", f"{P}/reviews/{{id}}/comments", review_comments, "repository"),
    Route("POST", f"{P}/comments/{{id}}/replies", reply, "repository", body="body", since=27, forgejo=False),
)
