"""What each recipe does around the agent's run: where it works, on which terms, and what is taken from it afterwards.

`code` works on the thread's branch and its commits are taken. `research` and `review` hand over a file, and nothing of
their folder is pushed; on a pull request both read its head in a place of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from peewee import Database

from jobs import handed, pulls, remarks, repofile
from jobs.errand import Errand
from jobs.mirror import Mirror
from jobs.pull_place import READING, open_pull
from jobs.remarks import Ground, Placed
from jobs.report import target_of
from jobs.servers import Forge
from jobs.tasks import PullScope, Recipe
from jobs.wiring import Wiring
from jobs.workspace import Opened, Target, Workspace, WorkspaceRefused
from models import ledger
from models.moves import Outcome
from models.repofile import RepoFile
from models.tables import Job, Thread


@dataclass(frozen=True)
class Terms:
    """On which terms a job is done. `instructions` and `timeout` are the repository's own; `scope` says what of a pull
    request is to be read.
    """

    base: Recipe
    instructions: str = ""
    model: str | None = None
    timeout: timedelta | None = None
    scope: PullScope | None = None

    @property
    def stranger(self) -> bool:
        """Whether what is read may be anybody's, so that nothing of it is to be run."""
        return self.scope is not None and self.scope.stranger


class NothingNew(Exception):
    """There is nothing to do; the text says why. The job is completed with it."""


def reads_pull(thread: Thread, job: Job) -> bool:
    """Whether the job reads a pull request, rather than working on the thread's branch."""
    return thread.is_pull and job.base != Recipe.CODE


def whereabouts(thread: Thread, job: Job) -> Target:
    """Where the job's folders are, for which nobody need be asked: a target to look at, but not to work with."""
    return Target(
        server=thread.server,
        repo=thread.repo.name,
        issue=thread.issue,
        clone_url="",
        token=None,
        base="",
        branch="",
        purpose=READING if reads_pull(thread, job) else "",
        folder=thread.repo.folder,
    )


class Recipes:
    """`workspace` holds the places."""

    def __init__(self, wiring: Wiring, workspace: Workspace) -> None:
        self._wiring = wiring
        self._workspace = workspace

    def target(self, forge: Forge, thread: Thread, job: Job) -> Target:
        """Where the job works. Raises `GiteaError`."""
        repo = thread.repo.name
        if not reads_pull(thread, job):
            return target_of(forge, thread, pulls.base_of(forge, thread))
        pull = forge.gitea.pull(repo, thread.issue)
        return Target(
            server=thread.server,
            repo=repo,
            issue=thread.issue,
            clone_url=f"{forge.url}/{repo}.git",
            token=forge.token,
            base=pull.base.ref,
            branch=f"kugetsu/reading-{thread.issue}",
            purpose=READING,
            folder=thread.repo.folder,
        )

    def open(self, errand: Errand) -> Opened:
        """Make the job's place ready. What an earlier job handed over is taken away first. A job that reads a pull
        request reads the same commit in all its runs: the remarks of one are about it.
        """
        db = self._wiring.db
        if reads_pull(errand.thread, errand.job):
            opened = open_pull(self._workspace, errand.target, errand.job.head_sha)
        else:
            opened = self._workspace.open(errand.target)
            mine = Thread.id == errand.thread.id
            Thread.update(branch=errand.target.branch).where(mine).execute(db)
        ledger.note_progress(db, errand.claimed, base_sha=opened.base_sha, head_sha=opened.head_sha)
        asks = ledger.asks_of(db, errand.job.id)
        if not any(ask.told_run is not None for ask in asks):
            handed.clear(opened.place.tmp)
        return opened

    def terms(self, errand: Errand, file: RepoFile) -> Terms:
        """The job's terms, in a place that is open; `file` is the repository's. Raises NothingNew; WorkspaceRefused."""
        job, own = errand.job, file.recipes.get(errand.job.recipe)
        if own is None and job.recipe not in set(Recipe):
            raise WorkspaceRefused(f"The recipe `{job.recipe}` is no longer in {repofile.PATH}.")
        return Terms(
            base=Recipe(job.base),
            instructions=own.instructions if own else "",
            model=job.model or (own.model if own else None) or file.model or self._wiring.settings.model,
            timeout=file.timeout,
            scope=self._scope(errand) if reads_pull(errand.thread, job) else None,
        )

    def _scope(self, errand: Errand) -> PullScope:
        job = ledger.job_of(self._wiring.db, errand.job.id)
        fork, head = job.base_sha or "", job.head_sha or ""
        pull = errand.forge.gitea.pull(errand.thread.repo.name, errand.thread.issue)
        if job.base == Recipe.REVIEW and pull.state == "closed":
            raise WorkspaceRefused("The pull request is closed. Reopen it to have it reviewed.")
        since = self._since(job) if job.base == Recipe.REVIEW else None
        spoken = any(ask.instructions.strip() for ask in ledger.asks_of(self._wiring.db, job.id))
        if since == head and not spoken:
            raise NothingNew(f"Nothing has been pushed since my last review, of {since[:10]}.")
        return PullScope(
            base=errand.target.base,
            fork=fork,
            head=head,
            since=since if since != head else None,
            stranger=pull.head.repo_id != pull.base.repo_id,
        )

    def _since(self, job: Job) -> str | None:
        """The head that the last review of this pull request looked at; None for the first, and for one afresh."""
        done = (Job.base == Recipe.REVIEW) & (Job.outcome == Outcome.COMPLETED) & (Job.review != "")
        mine = (Job.thread == job.thread_id) & (Job.id < job.id) & done
        last = Job.select(Job.head_sha).where(mine).order_by(Job.id.desc()).first(self._wiring.db)
        return str(last.head_sha) if last and not job.fresh else None

    def found(self, errand: Errand, answer: str) -> str:
        """What a job that brings no commits has found so far."""
        if errand.job.base != Recipe.RESEARCH:
            return answer
        found = handed.read(self._workspace.place(errand.target).tmp, handed.FINDINGS)
        return found if found and found.strip() else answer

    def result(self, errand: Errand, answer: str) -> dict[str, Any]:
        """What the row says of a job that brings no commits, when its agent has finished with `answer`."""
        if errand.job.base == Recipe.RESEARCH:
            return {"answer": self.found(errand, answer)}
        placed = self._placed(errand, answer)
        return {"answer": placed.summary, "review": msgspec.json.encode(placed).decode()}

    def _placed(self, errand: Errand, answer: str) -> Placed:
        """The review with its remarks on lines that can carry them. Without a file the answer is the review."""
        place = self._workspace.place(errand.target)
        text = handed.read(place.tmp, handed.REVIEW)
        written = remarks.Written() if text is None else remarks.read(text, tree=str(place.tree))
        if not written.summary and not written.remarks:
            written = msgspec.structs.replace(written, summary=answer)
        return remarks.place(written, self._ground(errand))

    def _ground(self, errand: Errand) -> Ground:
        job = ledger.job_of(self._wiring.db, errand.job.id)
        mirror = Mirror(self._workspace.mirror(errand.target))
        base, head, since = job.base_sha or "", job.head_sha or "", self._since(job)
        whole = mirror.diff(base, head)
        if since is None or since == head or not mirror.has(since):
            return Ground(whole)
        fork = mirror.merge_base(base, since)
        return Ground(whole, news=mirror.diff(since, head), earlier=mirror.diff(fork or base, since))


def keep_session(db: Database, thread: Thread, job: Job, session: str | None) -> None:
    """Store the session to go on with; None where the next run is to begin one."""
    field = Thread.pull_session if reads_pull(thread, job) else Thread.session
    Thread.update({field: session}).where(Thread.id == thread.id).execute(db)


def session_of(thread: Thread, job: Job) -> str | None:
    """The session to go on with."""
    return thread.pull_session if reads_pull(thread, job) else thread.session
