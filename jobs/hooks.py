"""What a webhook of ours should be, and what is wrong with those that are there. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from jobs.gitea_hooks import HookSpec
from models.hook_keys import secret_for
from models.hooks import HookState
from models.wire import Hook

SECRET_SETTING = "KUGETSU_WEBHOOK_SECRET, or webhook_secret in its server's table"  # noqa: S105 - where it is set
EVENTS = ("issues", "pull_request", "push")
"""Groups of the API. A push is asked for since a test delivery is one, and else is not sent."""

NEEDED = frozenset(
    {
        "issues",
        "issue_label",
        "issue_comment",
        "pull_request",
        "pull_request_label",
        "pull_request_comment",
        "pull_request_review",
    }
)
"""Event types without which something that people do is not heard of."""

TYPES = frozenset({"gitea", "gogs", "forgejo"})
"""Kinds of webhook whose payloads we read; others write to chat rooms."""

_REVIEWS = frozenset(f"pull_request_review_{verdict}" for verdict in ("approved", "rejected", "comment"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """The webhook that should be: where it goes, and the secret of its own that it is made with. `marks` are those of
    all secrets that are good there.
    """

    address: str
    secret: str
    marks: Sequence[str]

    @classmethod
    def of(cls, address: str, secrets: Sequence[str], scope: str) -> Wanted:
        """Made from the first of the secrets that are set; `scope` is what it may tell of (models/hook_keys.py)."""
        own = [secret_for(secret, scope) for secret in secrets]
        return cls(address, own[0] if own else "", [mark_of(secret) for secret in own])

    @property
    def mark(self) -> str:
        return mark_of(self.secret)

    def spec(self, like: Hook | None = None) -> HookSpec:
        """How to make it, or change `like` into it: what somebody wants beside what we need stays."""
        if like is None:
            return HookSpec(self.address, self.secret, EVENTS)
        events = sorted(_words(like) | set(EVENTS))
        kept = {"authorization": like.authorization_header, "branches": like.branch_filter or "*"}
        return HookSpec(self.address, self.secret, events, **kept, content_type=like.config.content_type or "json")


@dataclass(frozen=True, slots=True)
class Ours:
    """The webhook that we know to be ours: its number, and the mark of the secret it was made with ("": unknown)."""

    number: int | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with `hook`, our webhook there. `more` are others with the same address."""

    state: HookState
    sentence: str = ""
    hook: Hook | None = None
    more: tuple[Hook, ...] = ()


def mark_of(secret: str) -> str:
    """What tells one secret from another and does not give it away: a signature such as every delivery carries."""
    return hmac.new(secret.encode(), b"kugetsu: which secret is this", sha256).hexdigest()[:16]


def judge(hooks: Sequence[Hook], wanted: Wanted, ours: Ours) -> Judgement:
    """Which of `hooks` is ours, the one we made or one with our address, and what is wrong with it."""
    mine = [hook for hook in hooks if hook.type in TYPES and _is_ours(hook, wanted, ours)]
    mine.sort(key=lambda hook: (hook.id != ours.number, not hook.active, hook.id))
    if not mine:
        return Judgement(HookState.MISSING, f"there is no webhook with the address {wanted.address}")
    hook, *more = mine
    state, sentence = _fault(hook, wanted, ours)
    return Judgement(state, sentence, hook, tuple(more))


def _is_ours(hook: Hook, wanted: Wanted, ours: Ours) -> bool:
    return hook.id == ours.number or _same(hook.config.url, wanted.address)


def _fault(hook: Hook, wanted: Wanted, ours: Ours) -> tuple[HookState, str]:
    missing = NEEDED - _words(hook)
    if not _same(hook.config.url, wanted.address):
        return HookState.ADDRESS, f"the webhook goes to {hook.config.url} and should go to {wanted.address}"
    if hook.id == ours.number and ours.mark and ours.mark not in wanted.marks:
        return HookState.SECRET, f"the webhook was made with a secret that is no longer {SECRET_SETTING}"
    if not hook.active:
        return HookState.INACTIVE, "the webhook is switched off in Gitea"
    if missing:
        return HookState.EVENTS, f"the webhook does not tell of {', '.join(sorted(missing))}"
    return HookState.FINE, ""


def _words(hook: Hook) -> set[str]:
    """Its events as the API takes them: it lists the kinds of a review, and takes only their common name."""
    return {"pull_request_review" if event in _REVIEWS else event for event in hook.events or ()}


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")
