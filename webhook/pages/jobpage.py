"""What a job's page shows, beside its moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from jobs.keepsake import PATCH
from jobs.redact import Redactor
from models.moves import ENDED, OPEN, Outcome, State
from models.outlook import usual_times
from models.settings import Settings
from models.tables import Ask, Job
from webhook.joblog import JobLog, Spot
from webhook.pages.links import comment_url, issue_url, pull_url, result_url, server_urls

if TYPE_CHECKING:
    from webhook.door import Visit

WINDOW = 120
"""Entries of the log on a page that has just been opened."""

MOST_TEXT = 12_000
"""Characters of an ask, a prompt or a diff that stand on the page; the whole has an address of its own."""

Clean = Callable[[str], str]


class Run(NamedTuple):
    """One launch of the agent. `ended` is in words, None while it runs; `prompt` the beginning of what it was told."""

    number: int
    started_at: float | None
    seconds: float | None
    ended: str | None
    prompt: str
    prompt_cut: bool


class _Result(msgspec.Struct):
    ended: str = ""
    code: int | None = None
    reason: str = ""
    started_at: float | None = None
    ended_at: float | None = None


def job_values(visit: Visit, row: Job, settings: Settings, redactor: Redactor, log: JobLog) -> dict[str, Any]:
    """The values of `job.html`, secrets taken out."""
    clean, servers = redactor.clean, server_urls(visit.database, settings)
    folder = settings.home / "jobs" / str(row.id)
    before = Spot.parse(visit.asked("before"))
    asks = list(Ask.select().where(Ask.job == row.id).order_by(Ask.id).execute(visit.database))
    return {
        **state_values(visit, row),
        "links": {
            "issue": issue_url(row, servers),
            "pull": pull_url(row, servers),
            "live": comment_url(row, servers),
            "result": result_url(row, servers),
            "review": row.review_url or None,
        },
        "asks": [(ask, *_shown(clean(ask.instructions))) for ask in asks],
        "told_all": row.report_seen >= row.report_wanted,
        "clean": clean,
        "runs": _runs(folder, clean),
        "log": log.before(before, most=WINDOW, ended=row.state in ENDED),
        "looking_back": before is not None,
        "diff": _diff(folder / PATCH, clean),
        "answer": _shown(clean(row.answer)),
        "check_output": _shown(clean(row.check_output)),
    }


def state_values(visit: Visit, row: Job) -> dict[str, Any]:
    """The values of the part that changes while the job runs."""
    usual = usual_times(visit.database).of(row.repo_id, row.recipe)
    return {
        "job": row,
        "now": visit.now,
        "usual": usual,
        "may": {
            "cancel": row.state in OPEN and row.cancel_requested_at is None,
            "retry": row.state in ENDED and row.outcome != Outcome.REFUSED and row.queued_at is not None,
            "prioritise": row.state in (State.ASKED, State.QUEUED),
        },
    }


def _shown(text: str) -> tuple[str, bool]:
    """The beginning of a text, and whether there is more."""
    return text[:MOST_TEXT], len(text) > MOST_TEXT


def _runs(folder: Path, clean: Clean) -> list[Run]:
    """The launches of the agent, oldest first; the prompt of the newest three only, since they can be long."""
    names = sorted(int(run.name[4:]) for run in folder.glob("run-*") if run.name[4:].isdecimal())
    return [_run(folder, number, clean, newest=number in names[-3:]) for number in names]


def _run(folder: Path, number: int, clean: Clean, *, newest: bool) -> Run:
    run = folder / f"run-{number}"
    result = _result(run / "result.json")
    prompt, cut = _beginning(run / "prompt.txt", clean) if newest else ("", True)
    started = result.started_at if result else _begun(run / "prompt.txt")
    if result is None:
        return Run(number, started, None, None, prompt, cut)
    took = (result.ended_at or 0.0) - (result.started_at or 0.0)
    how = " ".join(_how(result))
    return Run(number, started, max(0.0, took), clean(how), prompt, cut)


def _how(result: _Result) -> Iterable[str]:
    yield result.ended.replace("_", " ")
    if result.ended == "exited" and result.code is not None:
        yield f"with code {result.code}"
    if result.reason:
        yield f"({result.reason})"


def _result(path: Path) -> _Result | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Result)
    except (OSError, msgspec.DecodeError):
        return None


def _begun(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _diff(path: Path, clean: Clean) -> tuple[str, bool] | None:
    """The beginning of what was made; None where that is not kept."""
    return _beginning(path, clean) if path.is_file() else None


def _beginning(path: Path, clean: Clean) -> tuple[str, bool]:
    """The beginning of a file without secrets, read no further than that: a prompt may be long."""
    try:
        with path.open("rb") as file:
            read = file.read(4 * MOST_TEXT + 4096).decode(errors="replace")
    except OSError:
        return "", False
    return _shown(clean(read))
