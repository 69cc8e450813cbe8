import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from models.events import Closed, CommentAdded, Event, Ignored, LabelsChanged, Person, Reopened, Reviewed
from models.payloads import Malformed, event_type_of, parse
from tests.unit.deliveries import FOLDER, recorded
from webhook.body import text_of

CAPTURED = Path(__file__).parents[2].parent / "shared" / "gitea" / "captured"
"""What other projects captured of real servers: no part of this repository, read where it lies beside it."""

COMMENT = "issue_comment-created"

HEARD = {
    "issues-opened-with-labels",
    "issues-label_updated-on-open",
    "issues-label_updated",
    "issues-label_updated-removed",
    "issues-label_updated-org-label",
    "issues-label_updated-replaced-empty",
    "issues-label_updated-by-bot",
    "issues-label_cleared",
    "pull_request-label_updated",
    "pull_request-label_cleared",
    "issue_comment-created",
    "issue_comment-created-form",
    "issue_comment-created-by-reader",
    "issue_comment-created-by-bot",
    "issue_comment-edited",
    "issue_comment-created-on-pull",
    "issue_comment-created-on-pull-gitea-1.22",
    "issue_comment-edited-on-pull",
    "issues-closed",
    "issues-closed-by-commit",
    "issues-reopened",
    "pull_request-closed",
    "pull_request-closed-head-repo-deleted",
    "pull_request-merged",
    "pull_request-reopened",
    "pull_request_approved-reviewed",
    "pull_request_comment-reviewed",
    "pull_request_rejected-reviewed",
}
"""Every recorded delivery that is not ignored."""


def event_of(name: str) -> Event:
    delivery = recorded()[name]
    headers = Headers(delivery.headers)
    return parse(event_type_of(headers), text_of(headers, delivery.body))


def comment_of(name: str) -> CommentAdded:
    event = event_of(name)
    assert isinstance(event, CommentAdded)
    return event


def labels_of(name: str) -> LabelsChanged:
    event = event_of(name)
    assert isinstance(event, LabelsChanged)
    return event


def changed(**changes: object) -> bytes:
    """The recorded comment with other values; a name may be a path such as `comment__user__id`."""
    payload = json.loads(recorded()[COMMENT].body)
    for path, value in changes.items():
        *way, last = path.split("__")
        place: dict[str, Any] = payload
        for key in way:
            place = place[key]
        place[last] = value
    return json.dumps(payload).encode()


def without(path: str) -> bytes:
    payload = json.loads(recorded()[COMMENT].body)
    *way, last = path.split(".")
    place = payload
    for key in way:
        place = place[key]
    del place[last]
    return json.dumps(payload).encode()


def test_each_recorded_file_is_used() -> None:
    bodies = {delivery.body for delivery in recorded().values()}
    unused = [path.name for path in FOLDER.iterdir() if path.read_bytes() not in bodies]
    assert unused == ["deliveries.json"]


def test_what_is_heard_and_what_is_ignored() -> None:
    heard = {name for name in recorded() if not isinstance(event_of(name), Ignored)}
    assert heard == HEARD


def test_a_comment() -> None:
    event = comment_of("issue_comment-created")
    assert (event.repo, event.issue, event.comment_id) == ("acme/widgets", 12, 9001)
    assert event.author == event.sender == Person(7, "alice")
    assert event.text == "@forge-bot please fix this"
    assert event.title == "Widgets do not spin"
    assert event.said_at.isoformat() == "2026-07-01T10:00:00+00:00"
    assert event.may_write is True
    assert not event.edited
    assert not event.is_pull


@pytest.mark.parametrize(
    ("name", "issue", "by", "is_pull", "merged"),
    [
        ("issues-closed", 12, "bob", False, False),
        ("issues-closed-by-commit", 12, "bob", False, False),
        ("pull_request-closed", 13, "alice", True, False),
        ("pull_request-merged", 13, "bob", True, True),
        ("pull_request-closed-head-repo-deleted", 13, "alice", True, False),
    ],
)
def test_what_was_closed_and_by_whom(name: str, issue: int, by: str, is_pull: bool, merged: bool) -> None:
    event = event_of(name)
    assert isinstance(event, Closed)
    assert (event.repo, event.issue, event.sender.login) == ("acme/widgets", issue, by)
    assert (event.is_pull, event.merged) == (is_pull, merged)


@pytest.mark.parametrize(("name", "is_pull"), [("issues-reopened", False), ("pull_request-reopened", True)])
def test_what_was_opened_again(name: str, is_pull: bool) -> None:
    event = event_of(name)
    assert isinstance(event, Reopened)
    assert (event.is_pull, event.labels) == (is_pull, ())


@pytest.mark.parametrize("verdict", ["approved", "rejected", "comment"])
def test_a_review_is_known_by_who_and_when(verdict: str) -> None:
    event = event_of(f"pull_request_{verdict}-reviewed")
    assert isinstance(event, Reviewed)
    assert (event.repo, event.issue, event.sender) == ("acme/widgets", 13, Person(8, "bob"))
    assert event.since is not None
    assert event.since.isoformat() == "2026-07-01T10:05:00+00:00"


def test_a_review_of_an_old_version_does_not_say_when() -> None:
    payload = json.loads(recorded()["pull_request_comment-reviewed"].body)
    del payload["pull_request"]["updated_at"]
    event = parse("pull_request_comment", json.dumps(payload).encode())
    assert isinstance(event, Reviewed)
    assert event.since is None


def test_the_time_of_a_review_needs_a_time_zone() -> None:
    payload = json.loads(recorded()["pull_request_comment-reviewed"].body)
    payload["pull_request"]["updated_at"] = "2026-07-01T10:05:00"
    with pytest.raises(Malformed, match=r"pull_request\.updated_at has no time zone"):
        parse("pull_request_review_comment", json.dumps(payload).encode())


def test_a_form_carries_the_same_as_json() -> None:
    assert event_of("issue_comment-created-form") == event_of("issue_comment-created")


def test_a_reader_may_not_write() -> None:
    assert comment_of("issue_comment-created-by-reader").may_write is False


def test_rights_that_are_not_told_are_unknown() -> None:
    event = parse("issue_comment", changed(repository__permissions=None))
    assert isinstance(event, CommentAdded)
    assert event.may_write is None


def test_an_edited_comment_was_said_when_it_was_edited() -> None:
    payload = changed(action="edited", comment__updated_at="2026-07-02T12:00:00+02:00", sender__id=8)
    event = parse("issue_comment", payload)
    assert isinstance(event, CommentAdded)
    assert event.edited
    assert event.said_at.isoformat() == "2026-07-02T12:00:00+02:00"
    assert (event.author.id, event.sender.id) == (7, 8)


def test_a_comment_on_a_pull_request_is_told_from_one_on_an_issue_by_any_version() -> None:
    assert comment_of("issue_comment-created-on-pull").is_pull
    assert comment_of("issue_comment-created-on-pull-gitea-1.22").is_pull
    mark = {"merged": False, "merged_at": None}
    event = parse("issue_comment", changed(is_pull=None, issue__pull_request=mark))
    assert isinstance(event, CommentAdded)
    assert event.is_pull


def test_labels_of_an_issue_and_of_a_pull_request() -> None:
    on_issue, on_pull = labels_of("issues-label_updated"), labels_of("pull_request-label_updated")
    assert (on_issue.repo, on_issue.issue, on_issue.is_pull) == ("acme/widgets", 12, False)
    assert (on_pull.repo, on_pull.issue, on_pull.is_pull) == ("acme/widgets", 13, True)
    assert on_issue.labels == ("ai/implement", "bug")
    assert on_pull.labels


def test_a_set_that_was_replaced_arrives_empty_and_still_means_look() -> None:
    assert labels_of("issues-label_updated-replaced-empty").labels == ()


def test_the_reason_for_ignoring_is_a_sentence() -> None:
    assert event_of("issue_comment-deleted") == Ignored(
        "Kugetsu does not act on issue_comment events with the action deleted", "acme/widgets"
    )
    assert event_of("push") == Ignored("Kugetsu does not act on push events", "acme/widgets")
    assert event_of("push-test-delivery") == Ignored("this is a test delivery: the webhook works", "acme/widgets")
    assert event_of("issues-opened") == Ignored("a new issue without labels asks for nothing", "acme/widgets")


def test_a_reason_repeats_nothing_odd() -> None:
    assert parse("<script>", b"{}") == Ignored("Kugetsu does not act on events of this type")
    odd = b'{"action": "<script>"}'
    assert parse("issues", odd) == Ignored("Kugetsu does not act on issues events")


def test_a_body_under_another_event_type_does_nothing_else() -> None:
    """The signature does not cover the headers, so who replays a body may choose another type for it."""
    labels = recorded()["issues-label_updated"].body
    assert isinstance(parse("issue_comment", labels), Ignored)
    assert isinstance(parse("issues", recorded()[COMMENT].body), Ignored)
    with pytest.raises(Malformed):
        parse("pull_request", labels)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Gitea-Event-Type": "issue_label", "X-Gitea-Event": "issues"}, "issue_label"),
        ({"X-Forgejo-Event-Type": "issue_label"}, "issue_label"),
        ({"X-Gogs-Event-Type": "issue_label"}, "issue_label"),
        ({"X-GitHub-Event-Type": "issue_label"}, "issue_label"),
        ({"X-Gitea-Event": "issues"}, "issues"),
        ({"X-Gitea-Event": "", "X-Gitea-Event-Type": "package"}, "package"),
        ({"X-Gitea-Event": ""}, ""),
        ({}, ""),
    ],
)
def test_the_event_type_is_the_finest_that_is_told(headers: dict[str, str], expected: str) -> None:
    assert event_type_of(Headers(headers)) == expected


@pytest.mark.parametrize(
    "path",
    [
        "comment",
        "comment.id",
        "comment.body",
        "comment.user",
        "comment.user.id",
        "comment.user.login",
        "comment.created_at",
        "issue",
        "issue.number",
        "repository",
        "repository.full_name",
        "sender",
        "sender.id",
    ],
)
def test_a_missing_field_is_named(path: str) -> None:
    with pytest.raises(Malformed) as malformed:
        parse("issue_comment", without(path))
    assert str(malformed.value) == f"{path} is missing"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"comment__id": "9001"}, "comment.id should be int, got str"),
        ({"comment__id": 0}, f"comment.id should be from 1 to {2**63 - 1}"),
        ({"comment__id": 2**63}, f"comment.id should be from 1 to {2**63 - 1}"),
        ({"comment__body": None}, "comment.body should be str, got null"),
        ({"comment__user": None}, "comment.user should be object, got null"),
        ({"comment__user__id": 10**30}, "comment.user.id should be"),
        ({"comment__created_at": "yesterday"}, "comment.created_at is no good: Invalid RFC3339 encoded datetime"),
        ({"comment__created_at": "2026-07-01T10:00:00"}, "comment.created_at has no time zone"),
        ({"issue__number": -1}, f"issue.number should be from 1 to {2**31 - 1}"),
        ({"issue__number": 2**31}, f"issue.number should be from 1 to {2**31 - 1}"),
        ({"issue__number": 1.5}, "issue.number should be int, got float"),
        ({"repository__full_name": "widgets"}, "repository.full_name should be OWNER/NAME"),
        ({"repository__full_name": "../widgets"}, "repository.full_name should be OWNER/NAME"),
        ({"repository__full_name": "acme/.."}, "repository.full_name should be OWNER/NAME"),
        ({"repository__full_name": "acme/wid gets"}, "repository.full_name should be OWNER/NAME"),
        ({"repository__full_name": "acme/widgets\n"}, "repository.full_name should be OWNER/NAME"),
        ({"repository__full_name": "acme/widgets/x"}, "repository.full_name should be OWNER/NAME"),
        ({"action": 3}, "action should be str, got int"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(Malformed) as malformed:
        parse("issue_comment", changed(**changes))
    assert str(malformed.value).startswith(sentence)


def test_names_with_dots_are_names() -> None:
    event = parse("issue_comment", changed(repository__full_name="ac.me/.wid..gets_-"))
    assert isinstance(event, CommentAdded)
    assert event.repo == "ac.me/.wid..gets_-"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "the payload is not JSON"),
        (b"{", "the payload is not JSON"),
        (b"payload=1", "the payload is not JSON"),
        (b'{"a": 1} x', "the payload is not JSON"),
        (b'{"a": "\x00"}', "the payload is not JSON"),
        (b"[]", "the payload should be object, got array"),
        (b"null", "the payload should be object, got null"),
        (b'{"a": "\xff"}', "the payload is not UTF-8 (byte 7)"),
        (b'{"a": ' + b"[" * 100_000, "the payload is nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_refused_whatever_the_event(text: bytes, sentence: str) -> None:
    for event_type in ("push", "issue_comment", "unheard_of"):
        with pytest.raises(Malformed) as malformed:
            parse(event_type, text)
        assert str(malformed.value).startswith(sentence)


def test_an_event_without_a_type_is_refused() -> None:
    with pytest.raises(Malformed, match="X-Gitea-Event-Type is missing"):
        parse("", b"{}")


def test_a_letter_that_no_database_stores_is_dropped() -> None:
    event = parse("issue_comment", changed(comment__body="/kugetsu \x00fix", issue__title="a\x00b"))
    assert isinstance(event, CommentAdded)
    assert (event.text, event.title) == ("/kugetsu fix", "ab")


def captured_type(payload: dict[str, object]) -> str:
    """The captures come without headers."""
    types = {"comment": "issue_comment", "pull_request": "pull_request", "issue": "issues", "commits": "push"}
    return next((event_type for key, event_type in types.items() if key in payload), "create")


def test_what_others_captured_of_real_servers_is_understood() -> None:
    for path in CAPTURED.rglob("*.json"):
        text = path.read_bytes()
        payload = json.loads(text)
        event = parse(captured_type(payload), text)
        acted_on = payload.get("action") in {"label_updated", "label_cleared", "closed", "reopened", "reviewed"} or (
            "comment" in payload and payload["action"] in {"created", "edited"}
        )
        assert isinstance(event, Ignored) is not acted_on, f"{path.name}: {event}"


@given(st.binary(max_size=200), st.sampled_from(["issue_comment", "issues", "pull_request_label", "push"]))
def test_bytes_give_an_event_or_are_malformed(text: bytes, event_type: str) -> None:
    with suppress(Malformed):
        parse(event_type, text)


@given(st.integers(), st.sampled_from(sorted(HEARD - {"issue_comment-created-form"})))
def test_mutations_give_an_event_or_are_malformed(seed: int, name: str) -> None:
    rng = random.Random(seed)  # noqa: S311 - nothing secret
    text = bytearray(recorded()[name].body)
    for _ in range(rng.randint(1, 8)):
        place = rng.randrange(len(text))
        text[place : place + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
    with suppress(Malformed):
        parse(recorded()[name].event_type, bytes(text))
