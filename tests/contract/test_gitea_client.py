"""The client on the fake Gitea and a real one: issues, comments, reactions, labels, and the repetition of each."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from jobs.gitea import LABELS, Gitea, GiteaDown, GiteaMissing, GiteaRefused, GiteaRejected, LabelSpec
from tests.contract.conftest import BOT, REPO
from tests.fakes.gitea import FakeGitea
from tests.forge_protocol import AnyGitea


def test_it_learns_whom_and_what_it_speaks_to(forge: AnyGitea, client: Gitea) -> None:
    repo = client.repo(REPO)

    assert client.version()[0].isdigit()
    assert client.me().login == BOT
    assert (repo.full_name, repo.default_branch, repo.archived) == (REPO, "main", False)
    assert repo.permissions is not None
    assert repo.permissions.admin
    assert repo.clone_url.endswith("/acme/widgets.git")


def test_a_branch_is_its_commit_or_nothing(forge: AnyGitea, client: Gitea) -> None:
    sha = forge.push(REPO, "kugetsu/issue-7", {"a": "b"}, BOT)
    assert client.branch(REPO, "kugetsu/issue-7") == sha
    assert client.branch(REPO, "kugetsu/issue-8") is None


def test_a_file_is_read_from_the_default_branch(forge: AnyGitea, client: Gitea) -> None:
    forge.repo("acme/empty", collaborators={BOT: "write"})
    forge.push(
        REPO, "main", {".kugetsu.toml": "verify = 'true' # grüßt\n", "folder/a.txt": "", "odd name.txt": "x"}, "ada"
    )
    forge.push(REPO, "other", {"b.txt": "b"}, "ada")

    texts = [client.file(REPO, path) for path in (".kugetsu.toml", "folder/a.txt", "odd name.txt")]
    assert texts == ["verify = 'true' # grüßt\n".encode(), b"", b"x"]
    assert [client.file(REPO, path) for path in ("folder", "b.txt", "none.txt")] == [None] * 3
    assert client.file("acme/empty", ".kugetsu.toml") is None


def test_an_issue_is_read_with_its_labels(forge: AnyGitea, client: Gitea) -> None:
    forge.create_label(REPO, "kugetsu/code", exclusive=True)
    n = forge.open_issue(REPO, "ada", "Crash", "Look.", labels=["kugetsu/code"]).number

    issue = client.issue(REPO, n)

    assert (issue.number, issue.title, issue.body, issue.user.login) == (n, "Crash", "Look.", "ada")
    assert issue.label_names == ("kugetsu/code",)
    assert not issue.is_pull


def test_the_timeline_says_who_labelled(forge: AnyGitea, client: Gitea) -> None:
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


def test_a_long_timeline_is_read_to_its_end(forge: AnyGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    for count in range(120):
        forge.comment(REPO, n, f"word {count}", "ada")
    texts = [entry.body for entry in client.timeline(REPO, n) if entry.type == "comment"]
    assert texts == [f"word {count}" for count in range(120)]


def test_issues_are_found_by_label_and_by_time(forge: AnyGitea, client: Gitea) -> None:
    forge.create_label(REPO, "kugetsu/code", exclusive=True)
    marked = forge.open_issue(REPO, "ada", "One", labels=["kugetsu/code"]).number
    forge.open_issue(REPO, "ada", "Two")
    long_ago = datetime.now(UTC) - timedelta(days=400)

    assert [issue.number for issue in client.issues(REPO, label="kugetsu/code")] == [marked]
    # Gitea drops the filter for a label that does not exist, and would give everything.
    assert list(client.issues(REPO, label="kugetsu/review")) == []
    assert len(list(client.issues(REPO, state="all", since=long_ago))) == 2
    assert list(client.issues(REPO, since=datetime(2199, 1, 1, tzinfo=UTC))) == []


def test_more_issues_than_a_page_holds_are_all_found(forge: AnyGitea, client: Gitea) -> None:
    numbers = [forge.open_issue(REPO, "ada", f"Issue {count}").number for count in range(101)]
    assert sorted(issue.number for issue in client.issues(REPO)) == numbers


def test_a_comment_is_made_found_changed_and_read(forge: AnyGitea, client: Gitea) -> None:
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


def test_a_comment_that_is_gone_is_none(forge: AnyGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    made = client.add_comment(REPO, n, "Queued.")
    forge.delete_comment(REPO, made.id, "ada")

    assert client.comment(REPO, made.id) is None
    with pytest.raises(GiteaMissing):
        client.edit_comment(REPO, made.id, "Running.")


def test_comments_of_a_repository_since_a_time(forge: AnyGitea, client: Gitea) -> None:
    for title in ("One", "Two"):
        forge.comment(REPO, forge.open_issue(REPO, "ada", title), f"on {title}", "ada")
    long_ago = datetime.now(UTC) - timedelta(days=400)

    found = list(client.comments_since(REPO, long_ago))

    assert [(comment.issue_number, comment.body) for comment in found] == [(1, "on One"), (2, "on Two")]
    assert list(client.comments_since(REPO, datetime(2199, 1, 1, tzinfo=UTC))) == []


def test_reacting_twice_leaves_one_reaction(forge: AnyGitea, client: Gitea) -> None:
    issue = forge.open_issue(REPO, "ada", "Crash")
    entry = forge.comment(REPO, issue, "/kugetsu", "ada")
    for _ in range(2):
        client.react(REPO, entry.id, "eyes")
        client.react_issue(REPO, issue.number, "eyes")
    assert forge.reactions_of(REPO, entry) == [(BOT, "eyes")]
    assert forge.reactions_of(REPO, issue.number) == [(BOT, "eyes")]


def test_a_reaction_that_the_server_forbids_is_refused(forge: AnyGitea, client: Gitea) -> None:
    issue = forge.open_issue(REPO, "ada", "Crash")
    with pytest.raises(GiteaRefused) as caught:
        client.react_issue(REPO, issue.number, "banana")
    assert (caught.value.status, caught.value.missing_scope) == (403, None)


def test_the_labels_are_made_once(forge: AnyGitea, client: Gitea, sent: list[str]) -> None:
    forge.create_label(REPO, "kugetsu/code", "ffffff")

    first = client.ensure_labels(REPO)
    second = client.ensure_labels(REPO)

    assert first == second
    assert sorted(first) == sorted(spec.name for spec in LABELS) == forge.label_names(REPO)
    assert not first["kugetsu/code"].exclusive
    assert first["kugetsu/done"].exclusive
    assert len(sent) == len(LABELS) - 1


def test_of_two_labels_with_one_name_the_older_is_used(forge: AnyGitea, client: Gitea) -> None:
    older = forge.create_label(REPO, "kugetsu/done")
    forge.create_label(REPO, "kugetsu/done")
    assert client.ensure_labels(REPO)["kugetsu/done"].id == older.id


def test_more_labels_than_a_page_holds_are_all_seen(forge: AnyGitea, client: Gitea) -> None:
    for count in range(101):
        forge.create_label(REPO, f"label-{count:03}")
    assert len(client.repo_labels(REPO)) == 101


def test_taking_a_job_is_one_label_call(forge: AnyGitea, client: Gitea, sent: list[str]) -> None:
    client.ensure_labels(REPO)
    n = forge.open_issue(REPO, "ada", "Crash", labels=["kugetsu/code"]).number
    sent.clear()

    client.put_label(REPO, n, "kugetsu/running")

    assert forge.labels_of(REPO, n) == ["kugetsu/running"]
    assert sent == [f"POST /api/v1/repos/{REPO}/issues/{n}/labels"]


def test_a_label_that_is_there_costs_no_call(forge: AnyGitea, client: Gitea, sent: list[str]) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    client.put_label(REPO, n, "kugetsu/running")
    sent.clear()
    client.put_label(REPO, n, "kugetsu/running")
    assert sent == []


def test_labels_made_without_the_flag_are_coped_with(forge: AnyGitea, client: Gitea) -> None:
    for name in ("kugetsu/code", "kugetsu/queued", "kugetsu/done", "bug"):
        forge.create_label(REPO, name)
    n = forge.open_issue(REPO, "ada", "Crash", labels=["kugetsu/code", "kugetsu/queued", "bug"]).number

    client.put_label(REPO, n, "kugetsu/done")

    assert forge.labels_of(REPO, n) == ["bug", "kugetsu/done"]


def test_a_label_nobody_made_is_made(forge: AnyGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    client.put_label(REPO, n, "kugetsu/translate")
    assert forge.labels_of(REPO, n) == ["kugetsu/translate"]
    assert [label.exclusive for label in client.issue_labels(REPO, n)] == [True]


def test_a_label_call_cut_off_half_way_is_finished_by_the_next(fake: FakeGitea, client: Gitea) -> None:
    for name in ("kugetsu/code", "kugetsu/done"):
        fake.create_label(REPO, name)
    n = fake.open_issue(REPO, "ada", "Crash", labels=["kugetsu/code"]).number
    fake.drop_response("POST .*/labels")

    with pytest.raises(GiteaDown):
        client.put_label(REPO, n, "kugetsu/done")
    client.put_label(REPO, n, "kugetsu/done")

    assert fake.labels_of(REPO, n) == ["kugetsu/done"]


def test_a_label_with_a_bad_colour_is_rejected(forge: AnyGitea, client: Gitea) -> None:
    with pytest.raises(GiteaRejected) as caught:
        client.create_label(REPO, LabelSpec("kugetsu/odd", "no colour", ""))
    assert caught.value.status == 422


def test_under_its_old_name_a_renamed_repository_gives_and_takes_the_same(forge: AnyGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    written = [forge.comment(REPO, n, f"comment {number}", "ada").id for number in range(51)]
    renamed = forge.rename(REPO, "gadgets")

    assert client.repo(REPO).full_name == renamed
    assert [comment.id for comment in client.comments_since(REPO, datetime(2020, 1, 1, tzinfo=UTC))] == written
    made = client.add_comment(REPO, n, "said under the old name")
    assert [comment.id for comment in forge.comments_of(renamed, n, BOT)] == [made.id]


def test_what_is_edited_or_deleted_leaves_the_time_of_its_issue(forge: AnyGitea, client: Gitea) -> None:
    n = forge.open_issue(REPO, "ada", "Crash").number
    kept, gone = forge.comment(REPO, n, "One.", "ada"), forge.comment(REPO, n, "Two.", "ada")
    before = client.issue(REPO, n).updated_at
    assert before is not None
    while datetime.now(UTC) < before + timedelta(seconds=1.1):
        time.sleep(0.05)
    forge.edit_comment(REPO, kept, "One, in other words.", "ada")
    forge.delete_comment(REPO, gone, "ada")
    assert [comment.body for comment in client.comments(REPO, n)] == ["One, in other words."]
    assert client.issue(REPO, n).updated_at == before
