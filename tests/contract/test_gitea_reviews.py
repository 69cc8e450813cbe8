"""The client on the fake Gitea and a real one: reviews with remarks on lines, and files attached to comments."""

import pytest

from jobs.gitea import Gitea, GiteaDown, GiteaMissing, GiteaRejected, LineComment, ReviewDraft
from jobs.gitea_http import repo_path
from models.wire import Review
from tests.contract.conftest import BOT, REPO
from tests.fakes.gitea import FakeGitea, Remark
from tests.forge_protocol import AnyGitea

MARK = "<!-- kugetsu job=1 part=review -->"
REMARKS = (LineComment("app.py", 2, "new", "Is this meant?"), LineComment("app.py", 1, "old", "This was needed."))


def a_pull(forge: AnyGitea) -> int:
    forge.push(REPO, "topic", {"app.py": "print(1)\nprint(2)\n"}, "ada")
    return forge.open_pull(REPO, "ada", "topic", title="A change").number


def draft(client: Gitea, n: int, body: str = f"All in all good.\n\n{MARK}") -> ReviewDraft:
    return ReviewDraft(body, client.pull(REPO, n).head.sha, REMARKS)


def test_a_review_is_one_request_with_all_its_remarks(forge: AnyGitea, client: Gitea, sent: list[str]) -> None:
    n = a_pull(forge)
    made = client.add_review(REPO, n, draft(client, n))
    assert sent == [f"POST /api/v1/repos/{REPO}/pulls/{n}/reviews"]
    assert (made.state, made.commit_id) == ("COMMENT", client.pull(REPO, n).head.sha)
    assert f"/pulls/{n}" in made.html_url
    (review,) = forge.reviews_of(REPO, n)
    assert (review.user.login, review.state, MARK in review.body) == (BOT, "COMMENT", True)
    seen = {(c.details["path"], c.details["new_position"], c.details["old_position"], c.body) for c in review.comments}
    assert seen == {("app.py", 2, 0, "Is this meant?"), ("app.py", 0, 1, "This was needed.")}


def test_the_remarks_of_a_review_are_read_back(forge: AnyGitea, client: Gitea) -> None:
    n = a_pull(forge)
    made = client.add_review(REPO, n, draft(client, n))
    found = {(each.path, each.position, each.original_position) for each in client.review_comments(REPO, n, made.id)}
    assert found == {("app.py", 2, 0), ("app.py", 0, 1)}


def test_ones_own_review_is_found_by_its_mark(forge: AnyGitea, client: Gitea) -> None:
    n, me = a_pull(forge), client.me().id
    forge.review(REPO, n, "ada", f"I quote {MARK}", remarks=[Remark("app.py", "Hm.", 1)])
    assert client.find_review(REPO, n, MARK, me) is None
    made = client.add_review(REPO, n, draft(client, n))
    found = client.find_review(REPO, n, MARK, me)
    assert found is not None
    assert found.id == made.id
    assert client.find_review(REPO, n, "<!-- another -->", me) is None


def test_after_a_lost_answer_the_review_is_found(fake: FakeGitea, client: Gitea) -> None:
    n, me = a_pull(fake), client.me().id
    wanted = draft(client, n)
    fake.drop_response("POST .*/reviews")
    with pytest.raises(GiteaDown):
        client.add_review(REPO, n, wanted)
    assert client.find_review(REPO, n, MARK, me) is not None


def test_a_review_may_stand_on_ones_own_pull_request(forge: AnyGitea, client: Gitea) -> None:
    forge.push(REPO, "topic", {"app.py": "print(1)\nprint(2)\n"}, BOT)
    n = forge.open_pull(REPO, BOT, "topic", title="Ours").number
    assert client.add_review(REPO, n, draft(client, n)).state == "COMMENT"


def test_a_closed_pull_request_takes_a_review_without_a_judgement(forge: AnyGitea, client: Gitea) -> None:
    n = a_pull(forge)
    forge.close(REPO, n, "ada")
    assert client.add_review(REPO, n, draft(client, n)).state == "COMMENT"
    with pytest.raises(GiteaRejected) as caught:
        client.send(Review, "POST", f"{repo_path(REPO)}/pulls/{n}/reviews", {"event": "APPROVED", "body": "Well done."})
    assert caught.value.status == 422


def test_an_issue_has_no_reviews(forge: AnyGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    with pytest.raises(GiteaMissing):
        list(client.reviews(REPO, n))


def test_a_file_is_attached_once(forge: AnyGitea, client: Gitea, sent: list[str]) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    comment = client.add_comment(REPO, n, "See below.").id
    assert client.attachments(REPO, comment) == ()
    made = client.ensure_attached(REPO, comment, "findings.md", "# Füße\n".encode())
    again = client.ensure_attached(REPO, comment, "findings.md", b"something else")
    assert (made.id, made.name, made.size) == (again.id, "findings.md", 9)
    assert [each.name for each in client.attachments(REPO, comment)] == ["findings.md"]
    assert sent.count(f"POST /api/v1/repos/{REPO}/issues/comments/{comment}/assets") == 1


def test_a_comment_that_is_gone_takes_no_file(forge: AnyGitea, client: Gitea) -> None:
    with pytest.raises(GiteaMissing):
        client.ensure_attached(REPO, 999_999, "findings.md", b"x")
