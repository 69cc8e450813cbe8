"""The client on the fake Gitea and a real one: who may write, pull requests, and what each kind of trouble is."""

import pytest

from jobs.gitea import Allowed, Denied, Gitea, GiteaDown, GiteaMissing, GiteaRefused, GiteaRejected
from tests.contract.conftest import BOT, REPO
from tests.fakes.gitea import FakeGitea, Remark
from tests.forge_protocol import AnyGitea


def test_who_may_write_may(forge: AnyGitea, client: Gitea) -> None:
    assert client.permission(REPO, "ada") == "write"
    assert client.may_write(REPO, "ada") == Allowed()
    assert client.may_write(REPO, BOT) == Allowed()


def test_who_may_only_read_may_not(forge: AnyGitea, client: Gitea) -> None:
    answer = client.may_write(REPO, "rita")
    assert isinstance(answer, Denied)
    assert "read access" in answer.reason


def test_who_is_unknown_may_not(forge: AnyGitea, client: Gitea) -> None:
    assert isinstance(client.may_write(REPO, "nobody/../x"), Denied)
    assert isinstance(client.may_write(REPO, "mallory"), Denied)


def test_what_the_bot_may_not_know_is_no(forge: AnyGitea, client: Gitea) -> None:
    forge.let(REPO, BOT, "write")
    answer = client.may_write(REPO, "ada")
    assert isinstance(answer, Denied)
    assert "administrator" in answer.reason


def test_in_an_outage_nobody_is_told_no(fake: FakeGitea, client: Gitea) -> None:
    fake.fail("GET .*/permission", 503)
    with pytest.raises(GiteaDown):
        client.may_write(REPO, "ada")


def test_a_pull_request_is_made_once(forge: AnyGitea, client: Gitea, sent: list[str]) -> None:
    forge.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)

    assert client.open_pull(REPO, "kugetsu/issue-1", "main") is None
    made = client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "Closes #1")
    again = client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "Closes #1")

    assert made.number == again.number
    assert (made.title, made.body, made.head.ref, made.base.ref) == ("Fix it", "Closes #1", "kugetsu/issue-1", "main")
    assert len(forge.pulls_of(REPO)) == 1
    assert sent == [f"POST /api/v1/repos/{REPO}/pulls"]


def test_a_pull_request_made_in_between_is_adopted(forge: AnyGitea, client: Gitea) -> None:
    forge.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)
    number = forge.open_pull(REPO, "ada", "kugetsu/issue-1", title="By hand").number
    found = client.open_pull(REPO, "kugetsu/issue-1", "main")
    assert found is not None
    assert found.number == number
    assert client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "").title == "By hand"


def test_after_a_lost_answer_the_pull_request_is_found(fake: FakeGitea, client: Gitea) -> None:
    fake.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)
    fake.drop_response("POST .*/pulls")
    with pytest.raises(GiteaDown):
        client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "")
    client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "")
    assert len(fake.pulls_of(REPO)) == 1


def test_two_at_once_make_one_pull_request(fake: FakeGitea, client: Gitea) -> None:
    """409 is the answer to the second; it then finds what the first made."""
    fake.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)
    fake.fail("POST .*/pulls", 409, when="after")
    made = client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "")
    assert [pull.number for pull in fake.pulls_of(REPO)] == [made.number]


def test_a_review_has_a_text_a_verdict_and_a_place_among_the_comments(forge: AnyGitea, client: Gitea) -> None:
    forge.push(REPO, "topic", {"app.py": "one\ntwo\n"}, BOT)
    pull = forge.open_pull(REPO, BOT, "topic", title="Topic").number
    notes = [Remark("app.py", "this", new_position=2), Remark("app.py", "was", old_position=1)]
    made = forge.review(REPO, pull, "ada", "Not yet.", remarks=notes, state="REQUEST_CHANGES")

    (review,) = client.reviews(REPO, pull)

    assert (review.id, review.state, review.body) == (made.id, "REQUEST_CHANGES", "Not yet.")
    assert review.user is not None
    assert review.user.login == "ada"
    assert review.comment_id is not None
    assert client.has_comment(REPO, review.comment_id)
    client.react(REPO, review.comment_id, "eyes")
    found = client.review_comments(REPO, pull, review.id)
    assert {(note.body, note.path, note.position, note.original_position) for note in found} == {
        ("this", "app.py", 2, 0),
        ("was", "app.py", 0, 1),
    }
    assert all(note.diff_hunk.startswith("@@ -1") for note in found)


def test_a_review_comes_after_the_comments_made_before_it(forge: AnyGitea, client: Gitea) -> None:
    forge.push(REPO, "topic", {"app.py": "one\n"}, BOT)
    pull = forge.open_pull(REPO, BOT, "topic", title="Topic").number
    before = forge.comment(REPO, pull, "before", "ada")
    forge.review(REPO, pull, "ada", "a word")
    after = forge.comment(REPO, pull, "after", "ada")
    (review,) = client.reviews(REPO, pull)
    assert before.id < (review.comment_id or 0) < after.id


def test_who_closed_and_who_merged_stands_in_the_timeline(forge: AnyGitea, client: Gitea) -> None:
    issue = forge.open_issue(REPO, "rita", "Crash").number
    forge.push(REPO, "topic", {"app.py": "one\n"}, "ada")
    pull = forge.open_pull(REPO, BOT, "topic", title="Topic").number
    forge.close(REPO, issue, "rita")
    forge.merge(REPO, pull, "ada")
    for number, kind, by in ((issue, "close", "rita"), (pull, "merge_pull", "ada")):
        (entry,) = [entry for entry in client.timeline(REPO, number) if entry.type in {"close", "merge_pull"}]
        assert entry.user is not None
        assert (entry.type, entry.user.login) == (kind, by)
        assert client.issue(REPO, number).state == "closed"


def test_a_deleted_comment_is_not_there(forge: AnyGitea, client: Gitea) -> None:
    issue = forge.open_issue(REPO, "rita", "Crash").number
    comment = forge.comment(REPO, issue, "a word", "rita")
    assert client.has_comment(REPO, comment.id)
    forge.delete_comment(REPO, comment, "rita")
    assert not client.has_comment(REPO, comment.id)


def test_a_closed_pull_request_and_one_of_a_fork_are_not_ours(forge: AnyGitea, client: Gitea) -> None:
    forge.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)
    forge.close(REPO, forge.open_pull(REPO, "ada", "kugetsu/issue-1", title="Closed"), "ada")
    forge.user("rita")
    forge.fork(REPO, "rita")
    forge.push("rita/widgets", "kugetsu/issue-1", {"c": "d"}, "rita")
    foreign = forge.open_pull(REPO, "rita", "rita:kugetsu/issue-1", title="From a fork").number

    assert client.open_pull(REPO, "kugetsu/issue-1") is None
    assert client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Ours", "").number != foreign


def test_a_pull_request_is_edited(forge: AnyGitea, client: Gitea) -> None:
    forge.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)
    n = client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "Old").number

    edited = client.edit_pull(REPO, n, body="New")

    assert (edited.title, edited.body) == ("Fix it", "New")
    assert client.pull(REPO, n).body == "New"
    assert client.issue(REPO, n).is_pull


def test_a_pull_request_without_its_branch_cannot_be_made(forge: AnyGitea, client: Gitea) -> None:
    with pytest.raises((GiteaMissing, GiteaRejected)):
        client.ensure_pull(REPO, "kugetsu/none", "main", "Fix it", "")


def test_a_missing_issue_is_missing_even_where_the_server_says_500(forge: AnyGitea, client: Gitea) -> None:
    for look in (client.comments, client.timeline, client.issue, client.issue_labels):
        with pytest.raises(GiteaMissing):
            look(REPO, 99)
    with pytest.raises(GiteaMissing):
        client.add_comment(REPO, 99, "Hello")


def test_a_real_500_stays_an_outage(fake: FakeGitea, client: Gitea) -> None:
    n = fake.open_issue(REPO, "ada", "Crash").number
    fake.fail("GET .*/comments", 500)
    with pytest.raises(GiteaDown) as caught:
        client.comments(REPO, n)
    assert caught.value.status == 500


def test_a_repository_the_bot_cannot_see_is_missing(forge: AnyGitea, client: Gitea) -> None:
    forge.repo("acme/secret", files={"a": "b"}, private=True)
    with pytest.raises(GiteaMissing, match="/repos/acme/secret"):
        client.repo("acme/secret")


def test_an_archived_repository_rejects(forge: AnyGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    forge.archive(REPO)
    with pytest.raises(GiteaRejected) as caught:
        client.add_comment(REPO, n, "Hello")
    assert caught.value.status == 423


def test_a_missing_scope_is_named(forge: AnyGitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    with Gitea(forge.url, forge.token_for(BOT, scopes=["read:issue", "read:user"])) as client:
        with pytest.raises(GiteaRefused) as caught:
            client.add_comment(REPO, n, "Hello")
        assert caught.value.missing_scope == "write:issue"
        with pytest.raises(GiteaRefused, match="repository"):
            client.may_write(REPO, "ada")


def test_a_wrong_token_is_refused_and_not_shown(forge: AnyGitea) -> None:
    token = forge.token_for(BOT)
    forge.revoke(token)
    with Gitea(forge.url, token) as client, pytest.raises(GiteaRefused) as caught:
        client.me()
    assert (caught.value.status, caught.value.missing_scope) == (401, None)
    assert token not in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_down(fake: FakeGitea, client: Gitea, status: int) -> None:
    fake.fail("GET .*/user", status)
    with pytest.raises(GiteaDown) as caught:
        client.me()
    assert caught.value.status == status
    assert client.me().login == BOT


def test_nobody_listening_is_down(fake: FakeGitea, client: Gitea) -> None:
    client.me()
    fake.down()
    with pytest.raises(GiteaDown):
        client.me()
    fake.up()
    assert client.me().login == BOT


def test_a_silent_server_is_down(fake: FakeGitea) -> None:
    held = fake.hold("GET .*/user")
    with Gitea(fake.url, fake.token_for(BOT), timeout=0.2) as client, pytest.raises(GiteaDown):
        client.me()
    held.release()
    fake.settle()
