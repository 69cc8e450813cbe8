"""Which webhook is ours, what is wrong with it, and where one makes sense: decided without Gitea."""

from pathlib import Path

import pytest

from jobs.hooks import EVENTS, Ours, Wanted, judge, mark_of
from models import hooks
from models.hook_keys import repository_scope, secret_for
from models.hooks import HookState
from models.settings import allowed_by_name
from models.wire import Hook, HookTarget
from tests.unit.website import settings_for

ADDRESS = "https://kugetsu.example.com/webhook"
SCOPE = repository_scope(7)
WANTED = Wanted.of(ADDRESS, ["new", "old"], SCOPE)
ALL = ("issues", "issue_label", "issue_comment", "pull_request", "pull_request_label", "pull_request_comment")
REVIEWS = ("pull_request_review_rejected", "pull_request_review_approved", "pull_request_review_comment")


def hook(
    number: int = 1, url: str = ADDRESS, *, events: tuple[str, ...] = (*ALL, *REVIEWS), active: bool = True
) -> Hook:
    return Hook(number, "gitea", HookTarget(url, "json"), events, active)


def test_the_kinds_of_a_review_are_one_word_or_three_in_any_order() -> None:
    assert judge([hook()], WANTED, Ours()).state == HookState.FINE
    assert judge([hook(events=("pull_request_review", *reversed(ALL)))], WANTED, Ours()).state == HookState.FINE
    assert judge([hook(events=ALL)], WANTED, Ours()).sentence == "the webhook does not tell of pull_request_review"


def test_ours_is_the_one_we_made_and_else_one_with_our_address() -> None:
    moved, other = hook(1, "https://old.example.com/webhook"), hook(2, "https://ci.example.com/hook")
    assert judge([other], WANTED, Ours()).state == HookState.MISSING
    assert judge([other, moved], WANTED, Ours(1)).state == HookState.ADDRESS
    found = judge([hook(3), moved, hook(4, active=False)], WANTED, Ours())
    assert (found.hook, [more.id for more in found.more]) == (hook(3), [4])


def test_one_that_writes_to_a_chat_room_is_none_of_ours() -> None:
    slack = Hook(1, "slack", HookTarget(ADDRESS, "json"), ALL, active=True)
    assert judge([slack], WANTED, Ours()).state == HookState.MISSING


@pytest.mark.parametrize(("secret", "state"), [("new", "fine"), ("old", "fine"), ("older", "wrong secret")])
def test_the_secret_it_was_made_with_is_known_by_its_mark(secret: str, state: str) -> None:
    assert judge([hook()], WANTED, Ours(1, mark_of(secret_for(secret, SCOPE)))).state == state
    assert secret not in mark_of(secret)


def test_with_the_one_that_is_set_none_is_made() -> None:
    assert judge([hook()], WANTED, Ours(1, mark_of("new"))).state == HookState.SECRET


def test_what_somebody_wants_of_it_beside_stays_when_it_is_mended() -> None:
    theirs = Hook(1, "gitea", HookTarget("x", "form"), ("release", *REVIEWS), True, "main", "Bearer x")
    spec = WANTED.spec(theirs)
    assert set(spec.events) == {*EVENTS, "release", "pull_request_review"}
    assert (spec.address, spec.content_type, spec.branches, spec.authorization) == (ADDRESS, "form", "main", "Bearer x")


@pytest.mark.parametrize(
    ("gitea", "address", "reachable"),
    [
        ("https://git.example.com", "http://127.0.0.1:8420", False),
        ("https://git.example.com", "http://localhost:8420", False),
        ("https://git.example.com", "http://[::1]:8420", False),
        ("https://git.example.com", "http://10.0.0.5:8420", True),
        ("http://127.0.0.1:3000", "http://127.0.0.1:8420", True),
        ("http://localhost:3000", "http://127.0.0.1:8420", True),
    ],
)
def test_an_address_that_on_giteas_machine_is_another_is_known(
    tmp_path: Path, gitea: str, address: str, reachable: bool
) -> None:
    settings = settings_for(tmp_path, PUBLIC_URL=address, GITEA_URL=gitea)
    why = hooks.why_unreachable(settings, settings.servers["gitea"])
    assert (why == "") == reachable
    assert reachable or "set KUGETSU_PUBLIC_URL" in why


def test_the_settings_may_name_a_repository_as_it_is() -> None:
    assert allowed_by_name(["acme/*", "acme/widgets", "other/app", "!other/app", "odd/.", "*"]) == [
        "acme/widgets",
        "other/app",
    ]
    assert allowed_by_name(["acme/widgets", "!acme/*"]) == []


@pytest.mark.parametrize(
    ("patterns", "owner", "all_of_it"),
    [
        (["*"], "acme", True),
        (["*"], "", True),
        (["acme/*"], "acme", True),
        (["ACME/*"], "acme", True),
        (["acme/*"], "", False),
        (["ac*/*"], "acme", True),
        (["acme/widgets"], "acme", False),
        (["*", "!acme/secret"], "acme", False),
        (["*", "!acme/secret"], "other", True),
        (["*", "!acme/secret"], "", False),
        (["!acme/secret"], "other", False),
    ],
)
def test_what_the_settings_allow_as_a_whole(patterns: list[str], owner: str, all_of_it: bool) -> None:
    assert hooks.allows_all_of(patterns, owner) is all_of_it
