"""What is said of the repository's own check: in comments, and in the title and the text of a pull request. Pure.

A pull request whose check stays red is made a draft by Gitea's own sign, the prefix of its title. A hidden mark says
that it was us: a draft that a person made stays one.
"""

from __future__ import annotations

import re

import msgspec

from jobs.wording import command, fenced, marker, spoken

DRAFT_PREFIX = "WIP: "
"""Gitea and Forgejo take a pull request for a draft by it (WORK_IN_PROGRESS_PREFIXES, "WIP:,[WIP]" unless changed)."""

DRAFT = marker(0, "draft")
BEGIN, END = marker(0, "check"), marker(0, "check-end")

_BLOCK = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
_ROW = re.compile(r"^\| verification \|.*$", re.MULTILINE)
_IS_DRAFT = re.compile(r"\s*(?:WIP:|\[WIP\])\s*", re.IGNORECASE)


class Check(msgspec.Struct, frozen=True):
    """How the check went: `how` in a few words, `output` ready to be shown, `repairs` how often red went back. `ours`:
    the pull request is ours to make a draft; somebody else's is left as it is.
    """

    command: str
    ok: bool
    how: str
    seconds: float
    output: str = ""
    repairs: int = 0
    ours: bool = True


def row(check: Check) -> str:
    """Its cell in the table of the pull request."""
    repairs = f", after {_times(check.repairs)}" if check.repairs else ""
    return f"{command(check.command)}: {check.how}, {spoken(check.seconds)}{repairs}".replace("|", "\\|")


def sentence(check: Check) -> str:
    """What the closing comment says of it."""
    if check.ok:
        return f"The check {command(check.command)} passes."
    repairs = f" after {_times(check.repairs)}" if check.repairs else ""
    fails = f"the check {command(check.command)} fails ({check.how}){repairs}."
    return f"It is a draft: {fails}" if check.ours else f"But {fails}\n\n{printed(check)}"


def block(check: Check | None, cut_short: str = "") -> str:
    """Its part of the pull request's text, between marks, so that a later run can replace it. `cut_short` says which
    budget ended the work.
    """
    if cut_short:
        return f"{BEGIN}\n\n**Not ready to be merged**: the work was cut short. {cut_short}\n\n{END}"
    if check is None or check.ok:
        return f"{BEGIN}{END}"
    repairs = f", also after {_times(check.repairs)} by the agent" if check.repairs else ""
    warning = f"**Not ready to be merged**: the repository's check fails ({check.how}){repairs}."
    promise = "This is a draft until a later run passes."
    return f"{BEGIN}\n\n{warning} {promise}\n\n{printed(check)}\n\n{END}"


def printed(check: Check) -> str:
    """The end of what it printed, folded away."""
    shown = fenced(check.output) if check.output else "It printed nothing."
    summary = f"the end of what <code>{_html(check.command.partition(chr(10))[0])}</code> printed"
    return f"<details><summary>{summary}</summary>\n\n{shown}\n\n</details>"


def draft_mark(check: Check | None, title: str, body: str, *, unfinished: bool = False) -> str:
    """What the text of the pull request has to carry from now on: whether it is us who make it a draft. `title` and
    `body` are those it has so far.
    """
    return DRAFT if (unfinished or _is_red(check)) and (DRAFT in body or not _IS_DRAFT.match(title)) else ""


def next_title(check: Check | None, title: str, body: str, *, unfinished: bool = False) -> str:
    """The title from now on of a pull request that has this title and text."""
    found = _IS_DRAFT.match(title)
    if unfinished or _is_red(check):
        return title if found else f"{DRAFT_PREFIX}{title}"
    return title[found.end() :] if found and DRAFT in body else title


def next_body(check: Check | None, title: str, body: str) -> str:
    """The text from now on, where nothing was pushed, but the check was run, or what was cut short is finished."""
    rows = list(_ROW.finditer(body))
    if not _BLOCK.search(body) or (check is not None and not rows):
        return body
    renewed = body
    if check is not None:
        renewed = f"{body[: rows[-1].start()]}| verification | {row(check)} |{body[rows[-1].end() :]}"
    renewed = _BLOCK.sub(lambda _: block(check), renewed).replace(DRAFT, "").rstrip()
    return "\n".join(part for part in (renewed, draft_mark(check, title, body)) if part)


def _is_red(check: Check | None) -> bool:
    return check is not None and not check.ok


def _times(repairs: int) -> str:
    return "one repair" if repairs == 1 else f"{repairs} repairs"


def _html(text: str) -> str:
    shown = command(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return shown.replace("`", "")
