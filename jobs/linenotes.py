"""A review of a pull request as one text: the reviewer's own, and each comment with the line it stands on. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from models.wire import Review, ReviewComment

LONGEST_HUNK = 4000
"""Characters of the diff above a commented line; its end is what counts."""


def review_text(body: str, notes: Iterable[ReviewComment]) -> str:
    """Markdown: the review's own text first, then the comments in the order of files and lines."""
    ordered = sorted(notes, key=lambda note: (note.path, note.position or note.original_position, note.id))
    return "\n\n".join(part for part in (body.strip(), *map(_note, ordered)) if part)


def own_notes(review: Review, notes: Iterable[ReviewComment]) -> list[ReviewComment]:
    """Without what others answered below them: Gitea lists those with the review, but they are not the reviewer's."""
    author = review.user.id if review.user is not None else None
    return [note for note in notes if note.user is not None and note.user.id == author]


def answers(review: Review, notes: Iterable[ReviewComment]) -> list[ReviewComment]:
    """What others answered below them."""
    notes = list(notes)
    own = {note.id for note in own_notes(review, notes)}
    return [note for note in notes if note.id not in own]


def _note(note: ReviewComment) -> str:
    head = f"On `{note.path}`, {_line(note)}:"
    return "\n\n".join(part for part in (head, _hunk(note.diff_hunk), note.body.strip()) if part)


def _line(note: ReviewComment) -> str:
    if note.position or not note.original_position:
        return f"line {note.position}"
    return f"line {note.original_position} of the file as it was before"


def _hunk(hunk: str) -> str:
    """In a fence that nothing in it can close."""
    if not hunk.strip():
        return ""
    ticks = max((len(run) for run in re.findall(r"`{3,}", hunk)), default=2) + 1
    fence = "`" * ticks
    return f"{fence}diff\n{hunk[-LONGEST_HUNK:].strip(chr(10))}\n{fence}"
