"""The client against the fake Gitea, in each dialect: every verb, its repetition, and what it does in trouble."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from jobs.gitea import (
    LABELS,
    Allowed,
    Denied,
    Gitea,
    GiteaDown,
    GiteaMissing,
    GiteaRefused,
    GiteaRejected,
    LabelSpec,
)
from tests.fakes.gitea import Exchange, FakeGitea

REPO = "acme/widgets"
BOT = "kugetsu"
DIALECTS: list[tuple[Literal["gitea", "forgejo"], str | None]] = [
    ("gitea", "1.27.0"),
    ("gitea", "1.22.6"),
    ("forgejo", None),
]


@pytest.fixture(params=DIALECTS, ids=["gitea-1.27", "gitea-1.22", "forgejo"])
def forge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeGitea]:
    flavour, version = request.param
    with FakeGitea(tmp_path / "gitea", flavour=flavour, version=version) as server:
        server.repo(REPO, files={"app.py": "print()\n"}, collaborators={BOT: "admin", "ada": "write", "rita": "read"})
        yield server
        assert server.unexpected == []


@pytest.fixture
def client(forge: FakeGitea) -> Iterator[Gitea]:
    with Gitea(forge.url, forge.token_for(BOT)) as gitea:
        yield gitea


def asked(forge: FakeGitea, method: str) -> list[Exchange]:
    return [exchange for exchange in forge.requests if exchange.method == method]


def writes(forge: FakeGitea) -> list[str]:
    """What was sent that is not a GET, as "METHOD path"."""
    return [f"{each.method} {each.path}" for each in forge.requests if each.method != "GET"]


def test_it_learns_whom_and_what_it_speaks_to(forge: FakeGitea, client: Gitea) -> None:
    repo = client.repo(REPO)

    assert client.version()[0].isdigit()
    assert client.me().login == BOT
    assert (repo.full_name, repo.default_branch, repo.archived) == (REPO, "main", False)
    assert repo.permissions is not None
    assert repo.permissions.admin
    assert repo.clone_url.endswith("/acme/widgets.git")


def test_a_branch_is_its_commit_or_nothing(forge: FakeGitea, client: Gitea) -> None:
    sha = forge.push(REPO, "kugetsu/issue-7", {"a": "b"}, BOT)
    assert client.branch(REPO, "kugetsu/issue-7") == sha
    assert client.branch(REPO, "kugetsu/issue-8") is None


def test_an_issue_is_read_with_its_labels(forge: FakeGitea, client: Gitea) -> None:
    forge.create_label(REPO, "kugetsu/code", exclusive=True)
    n = forge.open_issue(REPO, "ada", "Crash", "Look.", labels=["kugetsu/code"]).number

    issue = client.issue(REPO, n)

    assert (issue.number, issue.title, issue.body, issue.user.login) == (n, "Crash", "Look.", "ada")
    assert issue.label_names == ("kugetsu/code",)
    assert not issue.is_pull


def test_the_timeline_says_who_labelled(forge: FakeGitea, client: Gitea) -> None:
    forge.create_label(REPO, "kugetsu/code", exclusive=True)
    n = forge.open_issue(REPO, "rita", "Crash").number
    forge.label(REPO, n, "kugetsu/code", "ada")
    forge.unlabel(REPO, n, "kugetsu/code", "ada")
    forge.label(REPO, n, "kugetsu/code", BOT)

    rows = [entry for entry in client.timeline(REPO, n) if entry.type == "label"]

    assert [(row.user and row.user.login, row.adds_label) for row in rows] == [
        ("ada", True),
        ("ada", False),
        (BOT, True),
    ]
    assert all(row.label and row.label.name == "kugetsu/code" for row in rows)


def test_a_long_timeline_is_read_to_its_end(forge: FakeGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    for count in range(120):
        forge.comment(REPO, n, f"word {count}", "ada")
    texts = [entry.body for entry in client.timeline(REPO, n) if entry.type == "comment"]
    assert texts == [f"word {count}" for count in range(120)]


def test_issues_are_found_by_label_and_by_time(forge: FakeGitea, client: Gitea) -> None:
    forge.create_label(REPO, "kugetsu/code", exclusive=True)
    marked = forge.open_issue(REPO, "ada", "One", labels=["kugetsu/code"]).number
    forge.open_issue(REPO, "ada", "Two")
    long_ago = datetime.now(UTC) - timedelta(days=400)

    assert [issue.number for issue in client.issues(REPO, label="kugetsu/code")] == [marked]
    # Gitea drops the filter for a label that does not exist, and would give everything.
    assert list(client.issues(REPO, label="kugetsu/review")) == []
    assert len(list(client.issues(REPO, state="all", since=long_ago))) == 2
    assert list(client.issues(REPO, since=datetime(2199, 1, 1, tzinfo=UTC))) == []


def test_more_issues_than_a_page_holds_are_all_found(forge: FakeGitea, client: Gitea) -> None:
    numbers = [forge.open_issue(REPO, "ada", f"Issue {count}").number for count in range(101)]
    assert sorted(issue.number for issue in client.issues(REPO)) == numbers


def test_a_comment_is_made_found_changed_and_read(forge: FakeGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    marker = "<!-- kugetsu job=1 part=status -->"
    forge.comment(REPO, n, f"> {marker}\nquoted", "ada")
    me = client.me().id

    assert client.find_comment(REPO, n, marker, me) is None
    made = client.add_comment(REPO, n, f"Queued.\n{marker}")
    found = client.find_comment(REPO, n, marker, me)
    client.edit_comment(REPO, made.id, f"Running.\n{marker}")
    read = client.comment(REPO, made.id)

    assert found is not None
    assert found.id == made.id
    assert read is not None
    assert read.body == f"Running.\n{marker}"
    assert read.issue_number == n
    assert [comment.user.login for comment in client.comments(REPO, n)] == ["ada", BOT]


def test_a_comment_that_is_gone_is_none(forge: FakeGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    made = client.add_comment(REPO, n, "Queued.")
    forge.delete_comment(REPO, made.id, "ada")

    assert client.comment(REPO, made.id) is None
    with pytest.raises(GiteaMissing):
        client.edit_comment(REPO, made.id, "Running.")


def test_comments_of_a_repository_since_a_time(forge: FakeGitea, client: Gitea) -> None:
    for title in ("One", "Two"):
        forge.comment(REPO, forge.open_issue(REPO, "ada", title), f"on {title}", "ada")
    long_ago = datetime.now(UTC) - timedelta(days=400)

    found = list(client.comments_since(REPO, long_ago))

    assert [(comment.issue_number, comment.body) for comment in found] == [(1, "on One"), (2, "on Two")]
    assert list(client.comments_since(REPO, datetime(2199, 1, 1, tzinfo=UTC))) == []


def test_reacting_twice_leaves_one_reaction(forge: FakeGitea, client: Gitea) -> None:
    issue = forge.open_issue(REPO, "ada", "Crash")
    entry = forge.comment(REPO, issue, "/kugetsu", "ada")
    for _ in range(2):
        client.react(REPO, entry.id, "eyes")
        client.react_issue(REPO, issue.number, "eyes")
    assert forge.reactions_of(REPO, entry) == [(BOT, "eyes")]
    assert forge.reactions_of(REPO, issue.number) == [(BOT, "eyes")]


def test_a_reaction_that_the_server_forbids_is_refused(forge: FakeGitea, client: Gitea) -> None:
    issue = forge.open_issue(REPO, "ada", "Crash")
    with pytest.raises(GiteaRefused) as caught:
        client.react_issue(REPO, issue.number, "banana")
    assert (caught.value.status, caught.value.missing_scope) == (403, None)


def test_the_labels_are_made_once(forge: FakeGitea, client: Gitea) -> None:
    forge.create_label(REPO, "kugetsu/code", "ffffff")

    first = client.ensure_labels(REPO)
    second = client.ensure_labels(REPO)

    assert first == second
    assert sorted(first) == sorted(spec.name for spec in LABELS) == forge.label_names(REPO)
    assert not first["kugetsu/code"].exclusive
    assert first["kugetsu/done"].exclusive
    assert len(asked(forge, "POST")) == len(LABELS) - 1


def test_of_two_labels_with_one_name_the_older_is_used(forge: FakeGitea, client: Gitea) -> None:
    older = forge.create_label(REPO, "kugetsu/done")
    forge.create_label(REPO, "kugetsu/done")
    assert client.ensure_labels(REPO)["kugetsu/done"].id == older.id


def test_more_labels_than_a_page_holds_are_all_seen(forge: FakeGitea, client: Gitea) -> None:
    for count in range(101):
        forge.create_label(REPO, f"label-{count:03}")
    assert len(client.repo_labels(REPO)) == 101


def test_taking_a_job_is_one_label_call(forge: FakeGitea, client: Gitea) -> None:
    client.ensure_labels(REPO)
    n = forge.open_issue(REPO, "ada", "Crash", labels=["kugetsu/code"]).number
    forge.requests.clear()

    client.put_label(REPO, n, "kugetsu/running")

    assert forge.labels_of(REPO, n) == ["kugetsu/running"]
    assert writes(forge) == [f"POST /api/v1/repos/{REPO}/issues/{n}/labels"]


def test_a_label_that_is_there_costs_no_call(forge: FakeGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    client.put_label(REPO, n, "kugetsu/running")
    forge.requests.clear()
    client.put_label(REPO, n, "kugetsu/running")
    assert writes(forge) == []


def test_labels_made_without_the_flag_are_coped_with(forge: FakeGitea, client: Gitea) -> None:
    for name in ("kugetsu/code", "kugetsu/queued", "kugetsu/done", "bug"):
        forge.create_label(REPO, name)
    n = forge.open_issue(REPO, "ada", "Crash", labels=["kugetsu/code", "kugetsu/queued", "bug"]).number

    client.put_label(REPO, n, "kugetsu/done")

    assert forge.labels_of(REPO, n) == ["bug", "kugetsu/done"]


def test_a_label_nobody_made_is_made(forge: FakeGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    client.put_label(REPO, n, "kugetsu/translate")
    assert forge.labels_of(REPO, n) == ["kugetsu/translate"]
    assert [label.exclusive for label in client.issue_labels(REPO, n)] == [True]


def test_a_label_call_cut_off_half_way_is_finished_by_the_next(forge: FakeGitea, client: Gitea) -> None:
    for name in ("kugetsu/code", "kugetsu/done"):
        forge.create_label(REPO, name)
    n = forge.open_issue(REPO, "ada", "Crash", labels=["kugetsu/code"]).number
    forge.drop_response("POST .*/labels")

    with pytest.raises(GiteaDown):
        client.put_label(REPO, n, "kugetsu/done")
    client.put_label(REPO, n, "kugetsu/done")

    assert forge.labels_of(REPO, n) == ["kugetsu/done"]


def test_a_label_with_a_bad_colour_is_rejected(forge: FakeGitea, client: Gitea) -> None:
    with pytest.raises(GiteaRejected) as caught:
        client.create_label(REPO, LabelSpec("kugetsu/odd", "no colour", ""))
    assert caught.value.status == 422


def test_who_may_write_may(forge: FakeGitea, client: Gitea) -> None:
    assert client.permission(REPO, "ada") == "write"
    assert client.may_write(REPO, "ada") == Allowed()
    assert client.may_write(REPO, BOT) == Allowed()


def test_who_may_only_read_may_not(forge: FakeGitea, client: Gitea) -> None:
    answer = client.may_write(REPO, "rita")
    assert isinstance(answer, Denied)
    assert "read access" in answer.reason


def test_who_is_unknown_may_not(forge: FakeGitea, client: Gitea) -> None:
    assert isinstance(client.may_write(REPO, "nobody/../x"), Denied)
    assert isinstance(client.may_write(REPO, "mallory"), Denied)


def test_what_the_bot_may_not_know_is_no(forge: FakeGitea, client: Gitea) -> None:
    forge.let(REPO, BOT, "write")
    answer = client.may_write(REPO, "ada")
    assert isinstance(answer, Denied)
    assert "administrator" in answer.reason


def test_in_an_outage_nobody_is_told_no(forge: FakeGitea, client: Gitea) -> None:
    forge.fail("GET .*/permission", 503)
    with pytest.raises(GiteaDown):
        client.may_write(REPO, "ada")


def test_a_pull_request_is_made_once(forge: FakeGitea, client: Gitea) -> None:
    forge.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)

    assert client.open_pull(REPO, "kugetsu/issue-1", "main") is None
    made = client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "Closes #1")
    again = client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "Closes #1")

    assert made.number == again.number
    assert (made.title, made.body, made.head.ref, made.base.ref) == ("Fix it", "Closes #1", "kugetsu/issue-1", "main")
    assert len(forge.pulls_of(REPO)) == 1
    assert len(asked(forge, "POST")) == 1


def test_a_pull_request_made_in_between_is_adopted(forge: FakeGitea, client: Gitea) -> None:
    forge.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)
    number = forge.open_pull(REPO, "ada", "kugetsu/issue-1", title="By hand").number
    found = client.open_pull(REPO, "kugetsu/issue-1", "main")
    assert found is not None
    assert found.number == number
    assert client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "").title == "By hand"


def test_after_a_lost_answer_the_pull_request_is_found(forge: FakeGitea, client: Gitea) -> None:
    forge.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)
    forge.drop_response("POST .*/pulls")
    with pytest.raises(GiteaDown):
        client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "")
    client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "")
    assert len(forge.pulls_of(REPO)) == 1


def test_two_at_once_make_one_pull_request(forge: FakeGitea, client: Gitea) -> None:
    """409 is the answer to the second; it then finds what the first made."""
    forge.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)
    forge.fail("POST .*/pulls", 409, when="after")
    made = client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "")
    assert [pull.number for pull in forge.pulls_of(REPO)] == [made.number]


def test_a_closed_pull_request_and_one_of_a_fork_are_not_ours(forge: FakeGitea, client: Gitea) -> None:
    forge.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)
    forge.close(REPO, forge.open_pull(REPO, "ada", "kugetsu/issue-1", title="Closed"), "ada")
    forge.user("rita")
    forge.fork(REPO, "rita")
    forge.push("rita/widgets", "kugetsu/issue-1", {"c": "d"}, "rita")
    foreign = forge.open_pull(REPO, "rita", "rita:kugetsu/issue-1", title="From a fork").number

    assert client.open_pull(REPO, "kugetsu/issue-1") is None
    assert client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Ours", "").number != foreign


def test_a_pull_request_is_edited(forge: FakeGitea, client: Gitea) -> None:
    forge.push(REPO, "kugetsu/issue-1", {"a": "b"}, BOT)
    n = client.ensure_pull(REPO, "kugetsu/issue-1", "main", "Fix it", "Old").number

    edited = client.edit_pull(REPO, n, body="New")

    assert (edited.title, edited.body) == ("Fix it", "New")
    assert client.pull(REPO, n).body == "New"
    assert client.issue(REPO, n).is_pull


def test_a_pull_request_without_its_branch_cannot_be_made(forge: FakeGitea, client: Gitea) -> None:
    with pytest.raises((GiteaMissing, GiteaRejected)):
        client.ensure_pull(REPO, "kugetsu/none", "main", "Fix it", "")


def test_a_missing_issue_is_missing_even_where_the_server_says_500(forge: FakeGitea, client: Gitea) -> None:
    for look in (client.comments, client.timeline, client.issue, client.issue_labels):
        with pytest.raises(GiteaMissing):
            look(REPO, 99)
    with pytest.raises(GiteaMissing):
        client.add_comment(REPO, 99, "Hello")


def test_a_real_500_stays_an_outage(forge: FakeGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    forge.fail("GET .*/comments", 500)
    with pytest.raises(GiteaDown) as caught:
        client.comments(REPO, n)
    assert caught.value.status == 500


def test_a_repository_the_bot_cannot_see_is_missing(forge: FakeGitea, client: Gitea) -> None:
    forge.repo("acme/secret", files={"a": "b"}, private=True)
    with pytest.raises(GiteaMissing, match="/repos/acme/secret"):
        client.repo("acme/secret")


def test_an_archived_repository_rejects(forge: FakeGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    forge.archive(REPO)
    with pytest.raises(GiteaRejected) as caught:
        client.add_comment(REPO, n, "Hello")
    assert caught.value.status == 423


def test_a_missing_scope_is_named(forge: FakeGitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    with Gitea(forge.url, forge.token_for(BOT, scopes=["read:issue", "read:user"])) as client:
        with pytest.raises(GiteaRefused) as caught:
            client.add_comment(REPO, n, "Hello")
        assert caught.value.missing_scope == "write:issue"
        with pytest.raises(GiteaRefused, match="repository"):
            client.may_write(REPO, "ada")


def test_a_wrong_token_is_refused_and_not_shown(forge: FakeGitea) -> None:
    token = forge.token_for(BOT)
    forge.revoke(token)
    with Gitea(forge.url, token) as client, pytest.raises(GiteaRefused) as caught:
        client.me()
    assert (caught.value.status, caught.value.missing_scope) == (401, None)
    assert token not in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_down(forge: FakeGitea, client: Gitea, status: int) -> None:
    forge.fail("GET .*/user", status)
    with pytest.raises(GiteaDown) as caught:
        client.me()
    assert caught.value.status == status
    assert client.me().login == BOT


def test_nobody_listening_is_down(forge: FakeGitea, client: Gitea) -> None:
    client.me()
    forge.down()
    with pytest.raises(GiteaDown):
        client.me()
    forge.up()
    assert client.me().login == BOT


def test_a_silent_server_is_down(forge: FakeGitea) -> None:
    held = forge.hold("GET .*/user")
    with Gitea(forge.url, forge.token_for(BOT), timeout=0.2) as client, pytest.raises(GiteaDown):
        client.me()
    held.release()
    forge.settle()
