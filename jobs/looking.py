"""One look at one repository: what changed there, and what of it nobody has told us."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from jobs import found
from jobs.found import Found
from jobs.gitea import GiteaError, GiteaMissing
from jobs.reviewers import SAID
from jobs.servers import Forge
from jobs.wiring import Wiring
from models import recovery
from models.intake import PRIORITY_SCOPE, Asks, Ignore, decide, is_ask_label
from models.payloads import Malformed, parse
from models.store import Incoming, NewDelivery
from models.wire import Comment, Issue, Repository

log = logging.getLogger(__name__)

AHEAD_SECONDS = 60.0
"""What is dated by more than that after the time at which it is read was dated by a clock that has been set back."""

LATELY_SECONDS = 7 * 86_400.0
"""Pull requests on which nothing else has happened for longer are not read through again and again."""

MOST_UNREAD = 5
"""Things in one look that Gitea may be unable to show; with more it is Gitea that is not well."""

SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Window:
    """What of a repository is to be read; all times are the server's, in seconds since the epoch.

    `there` is its clock now. Issues are read that changed at `since` or later, with `sweep` also all open ones;
    comments that changed at `back` or later. What is younger than `grace` seconds is left for the next look: its
    webhook is still on its way. What is dated before `known_from` was there before us.
    """

    there: float
    known_from: float
    since: float
    back: float
    grace: float
    sweep: bool


class Look:
    """`seen` says how each issue looked that was read lately. After `run` it says how they look now, `stirred` whether
    anything happened, `too_young` whether something was left for the next look.
    """

    def __init__(self, wiring: Wiring, forge: Forge, repo: Repository, window: Window, seen: dict[int, int]) -> None:
        self._wiring = wiring
        self._forge = forge
        self._name = repo.full_name
        self._window = window
        self._seen_before = seen
        self._repo = repo
        self.seen: dict[int, int] = {}
        self.stirred = False
        self.too_young = False
        self._stirring: set[int] = set()
        self._unread: list[GiteaError] = []
        self._ahead = window.there - wiring.clock() + AHEAD_SECONDS

    def run(self) -> None:
        """Read what there is to read, and store what is new to us. One thing that Gitea cannot show hides nothing else:
        it is raised at the end. Raises GiteaError.
        """
        for issue in self._changed():
            self._read(partial(self._issue, issue))
        for issue in self._open() if self._window.sweep else ():
            self._read(partial(self._sweep, issue))
        for comment in self._forge.gitea.comments_since(self._name, _moment(self._window.back)):
            self._read(partial(self._comment, comment))
        if self._unread:
            raise self._unread[0]

    def _read(self, act: Callable[[], None]) -> None:
        """Go on without what the server says it has not, or stumbles over; not where it may be the server itself."""
        try:
            act()
        except GiteaError as error:
            is_of_this = isinstance(error, GiteaMissing) or getattr(error, "status", None) == SERVER_ERROR
            if not is_of_this or len(self._unread) == MOST_UNREAD:
                raise
            self._unread.append(error)

    def _changed(self) -> Iterator[Issue]:
        """Issues and pull requests that do not look as they did at the last look."""
        for issue in self._forge.gitea.issues(self._name, state="all", since=_moment(self._window.since)):
            if issue.updated_at is None or self._is_too_young(issue.updated_at):
                continue
            digest = hash((issue.updated_at, issue.state, issue.label_names))
            self.seen[issue.number] = digest
            if self._seen_before.get(issue.number) != digest:
                self.stirred = True
                self._stirring.add(issue.number)
                yield issue

    def _open(self) -> Iterator[Issue]:
        """All open ones: Gitea forgets a filter by a label that the repository does not have, and knows none of the
        organisation's.
        """
        for issue in self._forge.gitea.issues(self._name, state="open"):
            if issue.updated_at is None or not self._is_too_young(issue.updated_at):
                yield issue

    def _sweep(self, issue: Issue) -> None:
        """A label that asks; what was said anew on lines, which changes nothing of the pull request (measured)."""
        if any(map(is_ask_label, issue.label_names)):
            self._take(found.issue(self._repo, issue))
        lately = issue.updated_at is not None and self._window.there - issue.updated_at.timestamp() < LATELY_SECONDS
        if issue.is_pull and lately and issue.number not in self._stirring:
            self._reviews(issue)

    def _issue(self, issue: Issue) -> None:
        names = issue.label_names
        telling = any(is_ask_label(name) or name.startswith(PRIORITY_SCOPE) for name in names)
        if issue.state == "closed" or telling:
            self._take(found.issue(self._repo, issue))
        if issue.is_pull:
            self._reviews(issue)

    def _reviews(self, pull: Issue) -> None:
        """New reviews, and new comments on lines that were made under old ones."""
        for review in self._forge.gitea.reviews(self._name, pull.number):
            late = review.said_at.timestamp() >= self._window.since
            ours = review.user is not None and review.user.id == self._forge.bot.id
            if late and review.state in SAID and review.user is not None and not ours:
                self._take(found.review(self._repo, pull.number, review))
            elif review.comments_count:
                self._notes(pull, review.id)

    def _notes(self, pull: Issue, review: int) -> None:
        for note in self._forge.gitea.review_comments(self._name, pull.number, review):
            changed = note.updated_at or note.created_at
            made = found.note(self._repo, pull, note)
            if changed is not None and changed.timestamp() >= self._window.back and made is not None:
                self._take(made)

    def _comment(self, comment: Comment) -> None:
        if self._is_too_young(comment.updated_at) or comment.updated_at.timestamp() < self._window.known_from:
            return
        if comment.issue_number is not None:
            self._take(found.comment(self._repo, found.stub(comment), comment), comment)

    def _is_too_young(self, changed: datetime) -> bool:
        at = changed.timestamp()
        young = self._window.there - at < self._window.grace and at <= self._wiring.clock() + self._ahead
        self.too_young = self.too_young or young
        return young

    def _take(self, made: Found, comment: Comment | None = None) -> None:
        """Store what was found, if it asks something and is new."""
        incoming = self._understood(made)
        if incoming is None:
            return
        db, decision = self._wiring.db, incoming.decision
        if isinstance(decision, Asks):
            if not recovery.is_new(db, self._forge.name, decision) or self._is_foreign(made, decision):
                return
            if comment is not None:  # the list says too little of the issue
                issue = self._forge.gitea.issue(self._name, decision.issue)
                incoming = self._understood(found.comment(self._repo, issue, comment)) or incoming
        if recovery.accept(db, incoming) and isinstance(decision, Asks):
            log.warning(
                "server=%s repo=%s issue=%s: a comment was missed by the webhook",
                self._forge.name,
                self._name,
                decision.issue,
            )
            self.stirred = True

    def _is_foreign(self, made: Found, asks: Asks) -> bool:
        return made.edited and recovery.edited_by_another(self._wiring.db, self._forge.name, asks)

    def _understood(self, made: Found) -> Incoming | None:
        try:
            event = parse(made.event_type, made.body)
        except Malformed as error:
            log.warning(
                "server=%s repo=%s: something found there cannot be read: %s", self._forge.name, self._name, error
            )
            return None
        allowed = partial(self._wiring.settings.allows, self._forge.name)
        decision = decide(event, bot=self._forge.bot, repo_allowed=allowed)
        if isinstance(decision, Ignore):
            return None
        delivery = NewDelivery(
            server=self._forge.name,
            source=recovery.SOURCE,
            uuid="",
            event_type=made.event_type,
            headers={},
            body=made.body.decode(),
            received_at=self._wiring.clock(),
        )
        return Incoming(delivery, decision)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
