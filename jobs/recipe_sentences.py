"""What is said of findings and reviews: the part of `jobs.sentences` that is about what a recipe brought. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs.remarks import Placed, Remark

MOST_CLOSED = 5
"""Of all that closes the gate, so many are told."""

STAYS = "The work stays on the server, in the folder of this issue, for a person to look at."

REVIEW = "review"
"""Part of a job's review of a pull request."""


def findings(answer: str, questions: str, *, attached: str) -> str:
    """What was found, and last what is asked. `attached` names the file that holds all of it; empty: all is here."""
    parts = ["here is what I found.", answer]
    if attached:
        parts.append(f"That is the beginning; all of it is in the attached {attached}.")
    if questions:
        parts.append(f"**Questions** (answer with `/kugetsu …`, and I go on)\n\n{questions}")
    return "\n\n".join(part for part in parts if part)


def not_attached() -> str:
    """The remark on findings that are too long and cannot be attached either."""
    return "(This server takes no attachment from me, so the text stands here as far as it fits.)"


def review_body(placed: Placed, mark: str) -> str:
    """The text of a review, whose line comments stand beside it."""
    return "\n\n".join(part for part in (_summary(placed), *_rest(placed), mark) if part)


def review_told(placed: Placed, url: str) -> str:
    """The closing word after a review; the review itself where it could not be posted as one (`url` is empty)."""
    if url:
        return f"I have [reviewed]({url}) this pull request: {_counted(placed)}."
    parts = (_summary(placed), *_list(placed.remarks, "On lines"), *_rest(placed))
    told = "\n\n".join(part for part in parts if part)
    return f"this pull request takes no review any more, so here is what I would have said.\n\n{told}"


def _counted(placed: Placed) -> str:
    number = len(placed.remarks) + len(placed.loose)
    return "nothing to object to" if not number else f"{number} {'remark' if number == 1 else 'remarks'}"


def _summary(placed: Placed) -> str:
    return placed.summary or ("" if placed.remarks or placed.loose else "I have nothing to object to.")


def _rest(placed: Placed) -> Iterator[str]:
    """What stands on no line, and what was left out."""
    yield from _list(placed.loose, "Beside the lines of this diff")
    left_out = [
        (placed.dropped, "on lines that have not changed since my last review"),
        (placed.unread, "that could not be read"),
    ]
    for number, which in left_out:
        if number:
            yield f"<sub>Left out: {number} {'remark' if number == 1 else 'remarks'} {which}.</sub>"
    if placed.problem:
        yield f"<sub>The agent's remarks on lines could not be read: {placed.problem}.</sub>"


def _list(remarks: Sequence[Remark], heading: str) -> Iterator[str]:
    if remarks:
        items = "\n".join(f"- {_place(remark)}: {_indented(remark.body)}" for remark in remarks)
        yield f"**{heading}**\n\n{items}"


def _place(remark: Remark) -> str:
    """As code, which refers to nothing."""
    path = remark.path.replace("`", "'").replace("\n", " ")
    before = " (before)" if remark.side == "old" else ""
    return f"`{path}:{remark.line}`{before}"


def _indented(text: str) -> str:
    """As part of its list item."""
    return text.replace("\n", "\n  ")


def repo_file_broken(path: str, problem: str, mark: str) -> str:
    """Told once on an issue for each version of the file that cannot be used."""
    told = f"`{path}` on the default branch cannot be used: {problem}."
    return f"{told} Until it is mended, its last good version holds.\n\n{mark}"


def no_recipe(name: str, path: str, own: Sequence[str]) -> str:
    """The sentence for a recipe that nobody knows here."""
    there = f" Recipes there: {', '.join(f'`kugetsu/{each}`' for each in own)}." if own else ""
    return (
        f"I do not know how to do `{name}` here: it is neither `code`, `research` nor `review`, nor a recipe in"
        f" `{path}` on the default branch.{there}"
    )


def needs_a_pull() -> str:
    """The sentence for a review that is asked for on an issue."""
    return "A review needs a pull request: ask for it there."


def gate_closed(closed: Sequence[str], where: str) -> str:
    """Why work is not pushed; ends up as the reason of a failed job. `closed` are the halves of sentences, by `where` a
    repository opens some of the rules.
    """
    more = f"; and {len(closed) - MOST_CLOSED} more" if len(closed) > MOST_CLOSED else ""
    told = "; ".join(closed[:MOST_CLOSED])
    opens = f" A rule that has the name of a key can be opened in `{where}` on the default branch."
    return f"nothing was pushed, because {told}{more}. {STAYS}{opens if '`allow_' in told else ''}"


def right_lost(reason: str) -> str:
    """Why work is not pushed that was asked for by somebody who could ask then, and cannot now."""
    return f"nothing was pushed, because {reason}. {STAYS}"
