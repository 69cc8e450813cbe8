"""What people outside Gitea are told of a job: a title, a few lines with links, and the facts for a webhook. Pure."""

from __future__ import annotations

from typing import Any

from jobs import queue_sentences
from jobs.redact import Redactor, harmless_mentions
from models.estimate import Outlook
from models.notices import TEST, Event
from models.outbox import Told
from models.tables import Job

MOST_TITLE, MOST_ERROR = 120, 300
"""Characters of an issue's title, and of what went wrong."""

_HAPPENED = {
    Event.QUEUED: "waits",
    Event.DEQUEUED: "is taken up",
    Event.STARTED: "is being worked on",
    Event.COMPLETED: "is done",
    Event.ERROR: "has failed",
    Event.CANCELLED: "was cancelled",
    Event.EXPIRED: "waited too long and was dropped",
}


def told(
    event: Event,
    job: Job,
    outlook: Outlook | None,
    *,
    server_url: str,
    public_url: str,
    redactor: Redactor,
    several: bool = False,
) -> Told:
    """An event of a job, with its thread and repository. `outlook` is that of a queued one, where there is one; of
    `several` servers it is said which.
    """

    def clean(text: str, most: int) -> str:
        line = " ".join(redactor.clean(text).split())
        return harmless_mentions(line if len(line) <= most else line[: most - 1] + "…").replace("<", "(")

    repo, number = job.repo.name, job.thread.issue
    links = _links(job, f"{server_url.rstrip('/')}/{repo}", public_url.rstrip("/"))
    title = clean(job.thread.title, MOST_TITLE)
    lines = [title] if title else []
    if outlook is not None:
        place = queue_sentences.place(outlook, clean(outlook.paused or "", MOST_ERROR))
        lines.append(place.removeprefix(", ").capitalize())
    if event is Event.ERROR:
        lines.append(clean(job.error, MOST_ERROR) or "The issue says why.")
    lines += [f"{name.capitalize()}: {address}" for name, address in links.items()]
    facts = _facts(event, job, outlook, links, title=title, error=clean(job.error, MOST_ERROR))
    where = f"{job.repo.server} {repo}#{number}" if several else f"{repo}#{number}"
    return Told(f"{where} {_HAPPENED[event]}", "\n".join(lines), facts)


def trial(name: str, public_url: str) -> Told:
    """What is sent to see whether it arrives."""
    body = f"Somebody has pressed the button that tries out “{name}”.\nStatus: {public_url.rstrip('/')}/admin"
    return Told("Kugetsu can reach you", body, {"event": TEST, "target": name})


def _links(job: Job, repo_url: str, public_url: str) -> dict[str, str]:
    kind = "pulls" if job.thread.is_pull else "issues"
    links = {"issue": f"{repo_url}/{kind}/{job.thread.issue}"}
    if job.pull and not (job.thread.is_pull and job.pull == job.thread.issue):
        links["pull request"] = f"{repo_url}/pulls/{job.pull}"
    return {**links, "log": f"{public_url}/admin/jobs/{job.id}/log"}


def _facts(
    event: Event, job: Job, outlook: Outlook | None, links: dict[str, str], *, title: str, error: str
) -> dict[str, Any]:
    return {
        "event": str(event),
        "server": job.repo.server,
        "repo": job.repo.name,
        "issue": job.thread.issue,
        "title": title,
        "job": job.id,
        "recipe": job.recipe,
        "state": job.state,
        "outcome": job.outcome,
        "position": outlook.position if outlook else None,
        "eta_seconds": outlook.eta_seconds if outlook else None,
        "attempt": job.attempt,
        "asked_by": job.asked_by,
        "pull": job.pull,
        "tokens": job.tokens_in + job.tokens_out,
        "cost": job.cost,
        "error": error,
        "issue_url": links["issue"],
        "pull_url": links.get("pull request"),
        "log_url": links["log"],
    }
