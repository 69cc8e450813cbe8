"""Answers that no Gitea should give, and some that it does give: proxies' pages, redirects, nulls, endless lists."""

import json
import threading
from collections.abc import Callable, Iterator

import pytest

from jobs import gitea_http
from jobs.gitea import Gitea, GiteaDown, GiteaError, GiteaMissing, GiteaRefused, GiteaRejected
from models.wire import Comment, Issue, Label
from tests.fakes.answers import Reply, Server, answering

TOKEN = "0123456789abcdef0123456789abcdef01234567"
PAGE = b"<html><body>404 page not found</body></html>"
USER = b'{"id": 7, "login": "kugetsu"}'


@pytest.fixture
def server() -> Iterator[Server]:
    with answering() as made:
        yield made


@pytest.fixture
def client(server: Server) -> Iterator[Gitea]:
    with Gitea(server.url, TOKEN, timeout=5) as gitea:
        yield gitea


def test_the_token_goes_in_a_header_and_the_path_below_the_base(server: Server) -> None:
    server.says(body=USER)
    with Gitea(server.url + "/git/", TOKEN) as client:
        client.me()
    assert server.seen == [("GET", "/git/api/v1/user", f"token {TOKEN}", b"")]


def test_without_a_token_there_is_no_header(server: Server) -> None:
    server.says(body=b'{"version": "1.27.0"}')
    with Gitea(server.url, "") as client:
        assert client.version() == "1.27.0"
    assert server.seen[0][2] == ""


def test_our_own_proxy_settings_are_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server.says(body=USER)
    with Gitea(server.url, TOKEN) as client:
        assert client.me().id == 7


def comment_on(**urls: str) -> bytes:
    times = {"created_at": "2026-07-01T10:00:00+02:00", "updated_at": "0001-01-01T00:00:00Z"}
    return json.dumps({"id": 1, "body": "x", "user": {"id": 1, "login": "ada"}, **urls, **times}).encode()


def test_a_renamed_repository_is_followed_with_what_was_sent(server: Server, client: Gitea) -> None:
    made = comment_on(issue_url="https://h/acme/new/issues/1")
    moved = Reply(307, headers={"Location": "/api/v1/repos/acme/new/issues/1/comments"})
    server.answering = lambda _method, path: moved if "/old/" in path else Reply(201, made)

    client.add_comment("acme/old", 1, "Hello")

    assert server.seen[-1] == (
        "POST",
        "/api/v1/repos/acme/new/issues/1/comments",
        f"token {TOKEN}",
        b'{"body":"Hello"}',
    )


def test_no_other_server_is_asked(server: Server, client: Gitea) -> None:
    server.says(302, Location=server.url.replace("127.0.0.1", "localhost") + "/api/v1/user")
    with pytest.raises(GiteaDown, match="is redirected to http://localhost"):
        client.me()
    assert len(server.seen) == 1


def test_a_redirect_in_a_circle_ends(server: Server, client: Gitea) -> None:
    server.says(302, Location="/api/v1/user")
    with pytest.raises(GiteaDown, match="without end"):
        client.me()
    assert len(server.seen) == gitea_http.REDIRECTS + 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b'{"message":"not found","url":"x","errors":null}', GiteaMissing),
        (404, b"", GiteaMissing),
        (404, b"null", GiteaMissing),
        (404, PAGE, GiteaDown),
        (404, b"404 page not found\n", GiteaDown),
        (403, b"", GiteaRefused),
        (403, PAGE, GiteaDown),
        (401, b'{"message":"invalid username, password or token"}', GiteaRefused),
        (409, b'{"message":"exists"}', GiteaRejected),
        (422, b"{}", GiteaRejected),
        (423, b'{"message":"archived"}', GiteaRejected),
        (429, b'{"message":"slowly"}', GiteaDown),
        (500, b'{"message":""}', GiteaDown),
        (502, PAGE, GiteaDown),
        (304, b"", GiteaDown),
        (200, PAGE, GiteaDown),
        (200, b'{"id": 7, "log', GiteaDown),
        (200, b"\xff\xfe", GiteaDown),
        (200, b"null", GiteaDown),
        (200, b'{"id": 7}', GiteaDown),
    ],
)
def test_each_answer_means_one_thing(
    server: Server, client: Gitea, status: int, body: bytes, kind: type[GiteaError]
) -> None:
    server.says(status, body)
    with pytest.raises(GiteaError) as caught:
        client.me()
    assert type(caught.value) is kind
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("body", [PAGE, b"", b'{"id": 1, "bo', b"OK"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda gitea: gitea.edit_comment("acme/old", 1, "Done"),
        lambda gitea: gitea.react("acme/old", 1, "eyes"),
        lambda gitea: gitea.has_comment("acme/old", 1),
        lambda gitea: gitea.file("acme/old", ".kugetsu.toml"),
        lambda gitea: gitea.check_scopes(),
        lambda gitea: gitea.touch_labels("acme/old", 1),
    ],
    ids=["edit", "react", "look", "file", "scopes", "labels"],
)
def test_what_is_not_giteas_is_no_success(
    server: Server, client: Gitea, body: bytes, ask: Callable[[Gitea], object]
) -> None:
    """A proxy says 200 to anything, or breaks an answer off of which nobody knows the length."""
    server.says(200, body)
    with pytest.raises(GiteaDown):
        ask(client)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"type":"file","encoding":"base64","content":"dmVyaWZ5","target":null}', b"verify"),
        (b'{"type":"file","encoding":"base64","content":"","target":null}', b""),
        (b'{"type":"symlink","encoding":null,"content":null,"target":"other.toml"}', b"other.toml"),
        (b'[{"type":"file","encoding":null,"content":null}]', None),
        (b"[]", None),
    ],
    ids=["file", "nothing in it", "link", "folder", "no commit"],
)
def test_a_file_is_what_the_default_branch_has(server: Server, client: Gitea, body: bytes, text: bytes | None) -> None:
    server.says(200, body)
    assert client.file("acme/old", ".kugetsu.toml") == text


def test_a_file_that_is_too_large_to_be_shown_is_not_an_empty_one(server: Server, client: Gitea) -> None:
    server.says(200, b'{"type":"file","encoding":null,"content":null,"target":null}')
    with pytest.raises(GiteaRejected, match="too large"):
        client.file("acme/old", ".kugetsu.toml")


@pytest.mark.parametrize(
    "message",
    [
        "token does not have at least one of required scope(s), required=[write:issue], token scope=read:issue",
        "token does not have at least one of required scope(s): [write:issue]",
    ],
)
def test_the_missing_scope_is_read_from_every_version(server: Server, client: Gitea, message: str) -> None:
    server.says(403, json.dumps({"message": message}).encode())
    with pytest.raises(GiteaRefused, match="lacks the scope write:issue") as caught:
        client.me()
    assert caught.value.missing_scope == "write:issue"


def test_an_answer_without_end_is_broken_off(server: Server, client: Gitea, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitea_http, "ANSWER_BYTES", 100_000)
    server.answering = lambda _method, _path: Reply(200, iter(lambda: b"x" * 10_000, b""))
    with pytest.raises(GiteaDown, match="longer than 100000 bytes"):
        client.me()


def test_an_answer_that_drips_is_broken_off(server: Server, client: Gitea, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitea_http, "EXCHANGE_SECONDS", 0.1)
    pause = threading.Event()
    server.answering = lambda _method, _path: Reply(200, iter(lambda: b"" if pause.wait(0.02) else b" ", b""))
    with pytest.raises(GiteaDown, match="took longer than"):
        client.me()
    pause.set()


def test_an_empty_list_may_be_null(server: Server, client: Gitea) -> None:
    server.says(body=b"null")
    assert client.comments("a/b", 1) == []
    assert client.timeline("a/b", 1) == []
    assert client.repo_labels("a/b") == []
    assert client.issue_labels("a/b", 1) == ()


def labels(*ids: int) -> bytes:
    return json.dumps([{"id": each, "name": f"kugetsu/{each}"} for each in ids]).encode()


def test_an_item_that_gitea_could_not_load_is_left_out(server: Server, client: Gitea) -> None:
    server.says(body=b'[null, {"id": 1, "name": "bug"}]')
    assert [label.name for label in client.issue_labels("a/b", 1)] == ["bug"]


def test_a_list_ends_where_its_links_end(server: Server, client: Gitea) -> None:
    following = {"Link": '<http://x/?page=2>; rel="next",<http://x/?page=2>; rel="last"'}
    last = {"Link": '<http://x/?page=1>; rel="first"'}
    server.answering = lambda _method, path: (
        Reply(200, labels(1), following) if "page=1&" in path else Reply(200, labels(2), last)
    )
    assert [label.id for label in client.repo_labels("a/b")] == [1, 2]
    assert len(server.seen) == 2


def test_a_list_without_headers_ends_with_an_empty_page(server: Server, client: Gitea) -> None:
    server.answering = lambda _method, path: Reply(200, b"[]" if "page=3&" in path else labels(1, 2))
    assert len(client.repo_labels("a/b")) == 4


def test_a_list_that_grows_shorter_while_it_is_read_is_to_be_read_anew(server: Server, client: Gitea) -> None:
    def answer(_method: str, path: str) -> Reply:
        first = "page=1&" in path
        return Reply(200, labels(1, 2) if first else labels(4), {"X-Total-Count": "4" if first else "3"})

    server.answering = answer
    with pytest.raises(GiteaDown, match="grew shorter"):
        client.repo_labels("a/b")


def test_a_server_that_repeats_itself_is_left(server: Server, client: Gitea, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gitea_http, "PAGES", 5)
    server.says(body=labels(1))
    with pytest.raises(GiteaDown, match="has no end"):
        client.repo_labels("a/b")


def test_an_empty_page_does_not_end_a_timeline(server: Server, client: Gitea) -> None:
    """A page full of review line comments arrives empty, and X-Total-Count is only the size of this page."""
    row = b'[{"id":%d,"type":"label","body":"1","created_at":"2026-07-01T10:00:00Z","user":null,"label":null}]'
    pages = {1: b"null", 2: row % 1, 3: b"null", 4: row % 2}

    def answer(_method: str, path: str) -> Reply:
        number = int(path.partition("page=")[2].partition("&")[0])
        return Reply(200, pages.get(number, b"null"), {"X-Total-Count": "1"})

    server.answering = answer
    assert [entry.id for entry in client.timeline("a/b", 1)] == [1, 2]


def test_a_review_comment_is_no_comment(server: Server, client: Gitea) -> None:
    server.says(204)
    assert client.comment("a/b", 5) is None


def test_a_branch_without_a_commit_is_none(server: Server, client: Gitea) -> None:
    server.says(body=b'{"name": "main", "commit": null}')
    assert client.branch("a/b", "main") is None


def test_a_label_deleted_while_it_is_put_on_is_tried_again(server: Server, client: Gitea) -> None:
    """Ids that Gitea does not know are ignored with a 200."""
    known = json.dumps([{"id": 5, "name": "kugetsu/done"}]).encode()
    server.answering = lambda _method, path: Reply(
        200, labels(1) if "/issues/" in path else known, {"X-Total-Count": "1"}
    )
    with pytest.raises(GiteaDown, match="vanished"):
        client.put_label("a/b", 1, "kugetsu/done")


@pytest.mark.parametrize(("status", "accepted"), [(204, True), (404, True), (422, True), (409, False)])
def test_a_label_deleted_meanwhile_is_off(server: Server, client: Gitea, status: int, accepted: bool) -> None:
    server.answering = lambda method, _path: Reply(status) if method == "DELETE" else Reply(200, labels(1, 2))
    if accepted:
        client.put_label("a/b", 1, "kugetsu/2")
    else:
        with pytest.raises(GiteaRejected):
            client.put_label("a/b", 1, "kugetsu/2")
    assert [(method, path) for method, path, *_ in server.seen] == [
        ("GET", "/api/v1/repos/a/b/issues/1/labels"),
        ("DELETE", "/api/v1/repos/a/b/issues/1/labels/1"),
    ]


@pytest.mark.parametrize("token", ["two words", "line\nend", "ünï"])
def test_a_token_that_is_none_is_not_sent_nor_shown(token: str) -> None:
    with pytest.raises(ValueError, match="characters") as caught:
        Gitea("http://127.0.0.1:9", token)
    assert token not in str(caught.value)


@pytest.mark.parametrize("repo", ["", "acme", "acme/", "/x", "a/b/c", "../x", "a/..", "./b"])
def test_what_is_no_repository_is_not_asked_for(client: Gitea, server: Server, repo: str) -> None:
    with pytest.raises(ValueError, match="is not owner/name"):
        client.repo(repo)
    assert server.seen == []


def test_odd_names_stay_within_their_part_of_the_path(server: Server, client: Gitea) -> None:
    server.says(404)
    client.branch("a/b c", "x?y#z/ä%2e")
    assert server.seen[0][1] == "/api/v1/repos/a/b%20c/branches/x%3Fy%23z/%C3%A4%252e"


@pytest.mark.parametrize(
    ("issue_url", "pull_url", "number"),
    [
        ("https://h/git/a/b/issues/12", "", 12),
        ("", "https://h/a/b/pulls/13", 13),
        ("https://h/a/b/issues/14#issuecomment-1", "", 14),
        ("", "", None),
        ("https://h/a/b/issues/x", "", None),
    ],
)
def test_a_comment_knows_its_issue(
    server: Server, client: Gitea, issue_url: str, pull_url: str, number: int | None
) -> None:
    server.says(body=comment_on(issue_url=issue_url, pull_request_url=pull_url))
    comment = client.comment("a/b", 1)
    assert isinstance(comment, Comment)
    assert comment.issue_number == number


def test_nulls_where_go_has_none(server: Server, client: Gitea) -> None:
    server.says(body=b'{"number":1,"title":"t","user":{"id":1,"login":"a"},"labels":null,"pull_request":null}')
    issue = client.issue("a/b", 1)
    assert issue == Issue(number=1, title="t", user=issue.user, labels=None)
    assert issue.label_names == ()
    assert Label(1, "x").exclusive is False
