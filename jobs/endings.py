"""How a conversation ends: somebody closes its issue, or merges its pull request.

Closing and merging are asks that nobody types. They are read off the timeline like labels, so each is followed once,
whichever way it came to be known, and in its order among all else that was said.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs import sentences
from jobs.servers import Forge
from jobs.wiring import Wiring
from models import closing, ledger, threads
from models.closing import CANCEL, CLOSED, MERGED
from models.events import Person
from models.intake import NewAsk
from models.tables import Ask, Thread
from models.wire import TimelineEntry

VERBS = {"close": CLOSED, "merge_pull": MERGED}
"""By the type of the timeline's entry (models/issues/comment.go)."""


def ending_in(timeline: Sequence[TimelineEntry]) -> NewAsk | None:
    """The latest closing or merging in a timeline, by whoever did it."""
    entries = [entry for entry in timeline if entry.type in VERBS]
    if not entries:
        return None
    entry = max(entries, key=lambda entry: entry.id)
    return NewAsk(
        key=f"{VERBS[entry.type]}:{entry.id}",
        verb=VERBS[entry.type],
        author=Person(entry.user.id, entry.user.login) if entry.user else Person(-1, "somebody"),
        said_at=entry.created_at.timestamp(),
        entry_id=entry.id,
    )


def follow(wiring: Wiring, forge: Forge, thread: Thread, ask: Ask) -> None:
    """Cancel what was asked for before, and let go of a conversation whose pull request is merged."""
    _end_what_was_asked_before(wiring, thread, ask)
    if ask.verb == MERGED:
        spent = forge.gitea.pull(thread.repo.name, ask.said_on).head.sha
        closing.end(wiring.db, thread, ask.said_on, spent=spent)
    threads.answered(wiring.db, ask, ask.verb)


def overtake(wiring: Wiring, thread: Thread, ask: Ask) -> None:
    """What came to be known late is over where somebody has ended, after it was said, all that was asked for then."""
    ending = closing.ended_since(wiring.db, ask)
    if ending is not None:
        _end_what_was_asked_before(wiring, thread, ending)


def _end_what_was_asked_before(wiring: Wiring, thread: Thread, ending: Ask) -> None:
    for job in closing.asked_before(wiring.db, thread.id, ending):
        ledger.request_cancel(wiring.db, job.id, ending.author, now=wiring.clock(), why=_why(thread, ending))


def _why(thread: Thread, ask: Ask) -> str:
    if ask.verb == CANCEL:
        return sentences.cancelled_by(ask.author)
    if ask.verb == MERGED:
        return sentences.merged_by(ask.author)
    is_pull = thread.is_pull or ask.said_on != thread.issue
    return sentences.closed_by(ask.author, "pull request" if is_pull else "issue")
