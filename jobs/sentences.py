"""Every sentence the bot says on an issue or a pull request: pure functions, and the only place that builds them.

What the agent wrote comes in already made harmless (`jobs.outgoing`); what goes out is redacted and cut there, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec

from jobs import checked, recipe_sentences
from jobs.checked import Check
from jobs.remarks import Placed
from jobs.wording import clock, spoken
from jobs.wording import marker as marker  # noqa: PLC0414 - for everybody who says something
from models.moves import Outcome, State

LIVE = "live"
"""Part of a job's comment that is edited as the job goes on."""
RESULT = "result"
"""Part of a job's closing comment."""
PULL = "pull"
"""Part of the pull request's text."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say about a job. Times are seconds since the epoch, `cost` is in US dollars."""

    job_id: int
    recipe: str
    base: str = "code"
    state: State
    outcome: Outcome | None = None
    askers: tuple[str, ...] = ()
    place: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    attempt: int = 0
    step: str = ""
    steps: int = 0
    answer: str = ""
    questions: str = ""
    attached: str = ""
    review: Placed | None = None
    review_url: str = ""
    error: str = ""
    model: str = ""
    agent: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    changed: bool = False
    pull: int | None = None
    new_pull: bool = False
    log_url: str = ""
    issue: int = 0
    title: str = ""
    check: Check | None = None
    cut_short: str = ""
    warning: str = ""


def live(facts: Facts, *, verbose: bool) -> str:
    """The comment that follows the job."""
    shown = [_headline(facts), _progress(facts) if verbose else "", facts.warning]
    parts = [*shown, _footer(facts), marker(facts.job_id, LIVE)]
    return "\n\n".join(part for part in parts if part)


def _headline(facts: Facts) -> str:
    match facts.state:
        case State.ASKED | State.QUEUED:
            return _waiting(facts)
        case State.RUNNING:
            since = f" since {clock(facts.started_at)}" if facts.started_at else ""
            again = f", attempt {facts.attempt + 1}" if facts.attempt else ""
            return f"🌘 **Working on it**{since}{again}."
        case State.REPORTING | State.DONE:
            return _ended(facts)
        case _:
            assert_never(facts.state)


def _waiting(facts: Facts) -> str:
    again = f" Attempt {facts.attempt} ended: {facts.error}" if facts.attempt and facts.error else ""
    return f"🌑 **Queued**{facts.place or '.'}{again}"


def _ended(facts: Facts) -> str:
    match facts.outcome:
        case Outcome.COMPLETED:
            return _completed(facts)
        case Outcome.FAILED:
            return f"**{'Cut short' if facts.cut_short else 'Failed'}**: {_sentence(facts.error)}"
        case Outcome.CANCELLED:
            why = facts.error.partition("\n")[0]
            return f"**Cancelled**: {why}" if why else "**Cancelled**."
        case Outcome.EXPIRED:
            return "**Expired**: it waited too long in the queue."
        case Outcome.REFUSED | None:
            return f"**Refused**: {facts.error}"
        case _:
            assert_never(facts.outcome)


def _completed(facts: Facts) -> str:
    if facts.pull and facts.check and not facts.check.ok:
        return f"🌖 **Done, but its check fails**: #{facts.pull}{' is a draft' if facts.check.ours else ''}."
    if facts.changed and facts.pull:
        return f"🌕 **Done**: #{facts.pull}."
    if facts.review_url:
        return f"🌕 **Done**: [reviewed]({facts.review_url})."
    return f"🌕 **Done**: {'nothing had to be changed' if facts.base == 'code' else 'the answer stands below'}."


def _progress(facts: Facts) -> str:
    if facts.state is not State.RUNNING or not facts.step:
        return ""
    return f"Step {facts.steps}: `{facts.step}`" if facts.steps else f"`{facts.step}`"


def _footer(facts: Facts) -> str:
    log = f" · [log]({facts.log_url})" if facts.log_url else ""
    return f"<sub>job {facts.job_id} · {facts.recipe}{log}</sub>"


def result(facts: Facts) -> str:
    """The closing comment. It mentions who asked, since Gitea mails new comments and not edits."""
    who = " ".join(f"@{login}" for login in facts.askers)
    return f"{who} {_verdict(facts).strip()}\n\n{_footer(facts)}\n\n{marker(facts.job_id, RESULT)}"


def _verdict(facts: Facts) -> str:
    match facts.outcome:
        case Outcome.COMPLETED:
            return _brought(facts)
        case Outcome.FAILED if facts.cut_short:
            return _cut_short(facts)
        case Outcome.FAILED:
            again = "Comment `/kugetsu retry` to try again; what was done so far is kept."
            shown = f"\n\n{checked.printed(facts.check)}" if facts.check and not facts.check.ok else ""
            return f"this failed: {_sentence(facts.error)}{shown}\n\n{again}"
        case Outcome.CANCELLED:
            return f"this is cancelled: {facts.error}" if facts.error else "this is cancelled."
        case Outcome.EXPIRED:
            return "this waited too long in the queue and has been dropped. Ask again to queue it anew."
        case Outcome.REFUSED | None:
            return facts.error
        case _:
            assert_never(facts.outcome)


def _cut_short(facts: Facts) -> str:
    """What became of a job that a budget has ended."""
    trouble = (
        "" if facts.error == facts.cut_short else f"\n\nIts work could not be brought here: {_sentence(facts.error)}"
    )
    work = "What was done so far is kept."
    if facts.changed and facts.pull and not trouble:
        work = f"What was done so far is in the pull request #{facts.pull}, a draft."
    said = f"\n\n{facts.answer}" if facts.answer else ""
    again = "Comment `/kugetsu retry` to go on from there."
    return f"this was cut short: {facts.cut_short}{trouble}\n\n{work} {again}{said}"


def _brought(facts: Facts) -> str:
    """What a completed job has brought."""
    if facts.changed:
        what = "opened" if facts.new_pull else "updated"
        return f"I have {what} the pull request #{facts.pull}.{_checked(facts)}\n\n{facts.answer}"
    if facts.review is not None:
        return recipe_sentences.review_told(facts.review, facts.review_url)
    match facts.base:
        case "research":
            return recipe_sentences.findings(facts.answer, facts.questions, attached=facts.attached)
        case "review":
            return facts.answer
        case _:
            return f"I found nothing to change.{_checked(facts)}\n\n{facts.answer}"


def _checked(facts: Facts) -> str:
    return f" {checked.sentence(facts.check)}" if facts.check else ""


def pull_title(facts: Facts) -> str:
    """The title of a new pull request."""
    return checked.next_title(facts.check, _title(facts), "", unfinished=bool(facts.cut_short))


def _title(facts: Facts) -> str:
    return facts.title or f"Work on #{facts.issue}"


def pull_body(facts: Facts, title: str = "", body: str = "") -> str:
    """The text of the pull request: what was done, how it was made, and the keyword that closes the issue. `title` and
    `body` are those it has so far.
    """
    rows = [("recipe", facts.recipe), ("agent", facts.agent), ("model", facts.model or "the agent's own choice")]
    rows += [("tokens", f"{facts.tokens_in:,} in, {facts.tokens_out:,} out"), ("cost", f"${facts.cost:.4f}")]
    if facts.check:
        rows.append(("verification", checked.row(facts.check)))
    if facts.started_at and facts.finished_at:
        rows.append(("time", spoken(facts.finished_at - facts.started_at)))
    if facts.log_url:
        rows.append(("log", f"[job {facts.job_id}]({facts.log_url})"))
    table = "\n".join(f"| {name} | {value} |" for name, value in rows if value)
    draft = checked.draft_mark(facts.check, title or _title(facts), body, unfinished=bool(facts.cut_short))
    marks = f"{marker(facts.job_id, PULL)}\n{draft}".rstrip()
    warning = checked.block(facts.check, facts.cut_short)
    return f"{facts.answer}\n\nCloses #{facts.issue}\n\n| | |\n|---|---|\n{table}\n\n{warning}\n\n{marks}"


def refusal(ask_id: int, author: str, reason: str) -> str:
    """Why an ask is not followed, said once to each person on each issue."""
    return f"@{author} {reason}\n\n{marker(0, f'refused-{ask_id}')}"


def answer(ask_id: int, author: str, text: str) -> str:
    """The answer to a question that needs no agent."""
    return f"@{author} {text}\n\n{marker(0, f'answer-{ask_id}')}"


def status(jobs: Sequence[Facts]) -> str:
    """What happens on this issue, newest first."""
    if not jobs:
        return "nothing has been asked of me on this issue yet."
    lines = [f"- job {facts.job_id} ({facts.recipe}): {_headline(facts)}" for facts in jobs]
    return "this is how it stands here:\n\n" + "\n".join(lines)


def may_not_ask(author: str, why: str) -> str:
    """The sentence for somebody who may not ask."""
    del author
    return f"I only work for people who may write to this repository. {why}".rstrip()


def queue_full(limit: int) -> str:
    """The sentence for an ask that finds no room in the queue."""
    return f"{limit} jobs are waiting already, and that is as many as I take. Please ask again later."


def no_pulls() -> str:
    """The sentence for work in a repository that takes no pull requests."""
    return (
        "this repository takes no pull requests, so the work stays on the server: switch them on in its settings, and "
        "comment `/kugetsu retry`."
    )


def pull_closed() -> str:
    """The sentence for work on somebody's pull request that is closed."""
    return "this pull request is closed: reopen it first."


def pull_of_fork() -> str:
    """The sentence for work on a pull request whose branch is not in this repository."""
    return "this pull request comes from a fork, and I only push to branches of this repository."


def pull_from_default(branch: str) -> str:
    """The sentence for work on a pull request that comes from the default branch."""
    return f"this pull request comes from the default branch, and I do not push to `{branch}`."


def cancelled_by(author: str) -> str:
    """Why a job is cancelled: its first line is said wherever the job is shown."""
    return f"{author} asked for it.\n\nWhat was done so far is kept; `/kugetsu retry` goes on with it."


def closed_by(author: str, what: str) -> str:
    """Likewise, when somebody closed the issue or the pull request (`what`)."""
    kept = "What was done so far is kept: reopen it and comment `/kugetsu retry` to go on."
    return f"{author} closed the {what}.\n\n{kept}"


def merged_by(author: str) -> str:
    """Likewise, when somebody merged the pull request."""
    return f"{author} merged the pull request.\n\nWhat you ask next begins anew, from the branch as it is then."


def nothing_to_cancel() -> str:
    """The answer to a cancel where nothing is open."""
    return "nothing of mine waits or runs on this issue."


def _sentence(text: str) -> str:
    """With a full stop, whoever wrote it."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
