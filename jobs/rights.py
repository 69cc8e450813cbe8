"""Who may have something done in a repository: asked when somebody speaks, and once more when the work is to be pushed,
for hours may lie between, and people lose rights.
"""

from __future__ import annotations

from jobs.gitea import Denied
from jobs.repofile import RepoFile
from jobs.servers import Forge
from jobs.wiring import Wiring
from models import ledger
from models.tables import Ask, Job, Thread


def denied(wiring: Wiring, forge: Forge, thread: Thread, ask: Ask, file: RepoFile) -> str | None:
    """Why this person may not ask, or None. A signed comment event says of its sender whether they may push
    (facts, 3.3); for all else Gitea is asked. To be named in the settings is not enough on somebody's pull request.
    """
    if ask.author_id == forge.bot.id:
        return "I do not ask myself."
    if _is_named(wiring, thread, ask, file) or ask.may_write:
        return None
    answer = forge.gitea.may_write(thread.repo.name, ask.author)
    return answer.reason if isinstance(answer, Denied) else None


def lost(wiring: Wiring, forge: Forge, thread: Thread, job: Job, file: RepoFile) -> str | None:
    """Who of those that asked for the job may not any more, and why; None where all still may.

    Gitea reports less for members of a team with rights by unit (facts, 4.5). Whom a signed event has once vouched for
    counts as long as Gitea would still let them be assigned, which it does for its writers and for such members.
    """
    for ask in {ask.author_id: ask for ask in ledger.asks_of(wiring.db, job.id)}.values():
        if _is_named(wiring, thread, ask, file):
            continue
        answer = forge.gitea.may_write(thread.repo.name, ask.author, ask.author_id)
        if isinstance(answer, Denied) and not (ask.may_write and _is_assignable(forge, thread, ask)):
            return answer.reason
    return None


def _is_named(wiring: Wiring, thread: Thread, ask: Ask, file: RepoFile) -> bool:
    return not thread.is_pull and ask.author.lower() in wiring.settings.named_on(thread.server) | file.allow_users


def _is_assignable(forge: Forge, thread: Thread, ask: Ask) -> bool:
    return any(user.id == ask.author_id for user in forge.gitea.assignees(thread.repo.name))
