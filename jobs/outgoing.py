"""The last thing every text passes before it leaves: secrets out, strangers' mentions harmless, cut to a size."""

from __future__ import annotations

from collections.abc import Collection

from jobs.redact import JOINER, Redactor, cut, harmless_mentions

MAX_TEXT = 60_000
"""Bytes of a comment or a pull request. Gitea keeps it in a LONGTEXT; people do not read more."""
MAX_ANSWER = 20_000
"""Bytes of the agent's own words in it, so that ours always fit."""


def agents_words(text: str, redactor: Redactor) -> str:
    """What the agent wrote, as it may stand in a text of ours: it mentions nobody, closes nothing, hides nothing."""
    visible = text.replace("<!--", "&lt;!--")
    return cut(harmless_mentions(redactor.clean(visible), keep=()), MAX_ANSWER, "… (cut; the log has all of it)")


def commit_words(text: str, redactor: Redactor) -> str:
    """A commit message of the agent's: no secret, and once merged it closes nothing and mentions nobody."""
    return harmless_mentions(redactor.clean(text[:MAX_ANSWER]), keep=())


def printed(text: str, redactor: Redactor) -> str:
    """What a program printed, as it may stand in a block of code of ours: with no secret, and no mark like ours."""
    return redactor.clean(text).replace("<!--", f"<{JOINER}!--")


def last_look(text: str, redactor: Redactor) -> str:
    """A whole text of ours, ready to be sent."""
    return cut(redactor.clean(text), MAX_TEXT, "… (cut)")


def mentions_of(logins: Collection[str]) -> tuple[str, ...]:
    """Each login once, in the order given."""
    return tuple(dict.fromkeys(logins))
