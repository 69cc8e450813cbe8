"""The reporter: makes Gitea look the way the table says.

`publish` can be repeated at any time and after any crash: each step looks for its own trace first. It runs under the
thread's lease, so nobody else writes to this issue meanwhile.
"""

from __future__ import annotations

import hashlib
import logging

import msgspec

from jobs import checked, gate, recipe_sentences, repofile, rights, sentences
from jobs.admission import say
from jobs.delivering import attach_findings, post_review
from jobs.facts import facts_of
from jobs.gitea import GiteaMissing, GiteaRejected
from jobs.inspection import inspect
from jobs.mirror import Mirror
from jobs.outgoing import last_look
from jobs.queue_view import expected
from jobs.sentences import Facts
from jobs.servers import Forge
from jobs.tasks import Recipe
from jobs.whereabouts import LOCKED
from jobs.wiring import Wiring
from jobs.workspace import PushRejected, Target, Workspace, WorkspaceRefused
from models import ledger, speakers, spending, threads
from models.moves import Outcome, State
from models.tables import Job, Thread
from models.wire import PullRequest

log = logging.getLogger(__name__)

ANSWER_LABELS = {
    Outcome.COMPLETED: "kugetsu/done",
    Outcome.FAILED: "kugetsu/failed",
    Outcome.EXPIRED: "kugetsu/failed",
    Outcome.REFUSED: "kugetsu/failed",
    Outcome.CANCELLED: "kugetsu/cancelled",
}
_NEVER = frozenset({400, 422})
"""Statuses of what Gitea understands, and will not do however often it is asked."""

GONE = -1
"""The live comment of a job whose comment somebody deleted: it is not forced on them again."""


class Reporter:
    """`workspace` pushes the branches."""

    def __init__(self, wiring: Wiring, workspace: Workspace) -> None:
        self._wiring = wiring
        self._workspace = workspace

    def publish(self, forge: Forge, thread: Thread) -> None:
        """Tell Gitea all that it has not been told about the jobs of `thread`."""
        jobs = threads.unreported(self._wiring.db, thread.id)
        if not jobs:
            return
        forge.ensure_labels(thread.repo.name, repofile.kept(self._wiring, thread.repo).recipes)
        # First, since a push that is refused changes how the job ended.
        jobs = [self._delivered(forge, thread, job) for job in jobs]
        self._label(forge, thread)
        for job in jobs:
            self._publish(forge, thread, job)

    def _label(self, forge: Forge, thread: Thread) -> None:
        heard = [job for job in threads.recent_jobs(self._wiring.db, thread.id, 10) if self._is_heard(job)]
        name = label_of(heard)
        if name is not None:
            for number in speakers.labelled(self._wiring.db, thread):
                forge.gitea.put_label(thread.repo.name, number, name)

    def _is_heard(self, job: Job) -> bool:
        """Whether the labels tell of this job: not of one that a comment asked for in vain."""
        return job.queued_at is not None or job.outcome is None or speakers.by_label(self._wiring.db, job.id)

    def _delivered(self, forge: Forge, thread: Thread, job: Job) -> Job:
        """The job, what it has brought having been brought to where it belongs."""
        short = job.outcome == Outcome.FAILED and bool(spending.cut_short(self._wiring.db, job.id))
        if job.state != State.REPORTING or not (short or job.outcome == Outcome.COMPLETED):
            return job
        if job.changed:
            # What has arrived once is not brought again: its pull request may be merged before all is told.
            return job if job.pull is not None else self._deliver(forge, thread, job)
        if job.base == Recipe.CODE and thread.pull is not None and not thread.is_pull:
            self._recheck(forge, thread, job)
        return post_review(self._wiring, forge, thread, job) if job.review else job

    def _publish(self, forge: Forge, thread: Thread, job: Job) -> None:
        found = expected(self._wiring) if job.state == State.QUEUED else {}
        facts = facts_of(self._wiring, job, thread, found.get(job.id))
        self._follow(forge, thread, job, facts)
        if job.state in (State.REPORTING, State.DONE):
            self._close(forge, thread, job, facts)
        if job.state == State.REPORTING:
            self._finish(thread, job)
        else:
            threads.reported(self._wiring.db, job)

    def _finish(self, thread: Thread, job: Job) -> None:
        """All is told. The move comes first: a kill after it costs one more look, and before it leads here again."""
        now = self._wiring.clock()
        ledger.move(self._wiring.db, job.id, State.REPORTING, State.DONE, at=now, reason="told")
        threads.reported(self._wiring.db, ledger.job_of(self._wiring.db, job.id))
        log.info(
            "job=%s server=%s repo=%s issue=%s %s, told",
            job.id,
            thread.server,
            thread.repo.name,
            thread.issue,
            job.outcome,
        )

    def _deliver(self, forge: Forge, thread: Thread, job: Job) -> Job:
        """Push the branch and have a pull request for it. Where Gitea refuses the push, or will never take the pull
        request, the job is a failed one.
        """
        try:
            self._push(forge, thread, job)
        except (PushRejected, WorkspaceRefused, GiteaRejected) as error:
            if isinstance(error, GiteaRejected) and error.status not in _NEVER:
                raise
            forge.check()  # raises where our token is no good: then it is no fault of the work
            _still_there(forge, thread)
            ledger.spoil(self._wiring.db, job.id, now=self._wiring.clock(), error=str(error))
        return ledger.job_of(self._wiring.db, job.id)

    def _push(self, forge: Forge, thread: Thread, job: Job) -> None:
        repo = forge.gitea.repo(thread.repo.name)
        if not (repo.has_pull_requests or thread.is_pull):
            raise PushRejected(sentences.no_pulls())
        branch = thread.branch or branch_of(thread.issue)
        target = target_of(forge, thread, repo.default_branch)
        self._pass_gate(forge, thread, job, target)
        self._workspace.push(target, job.head_sha or "")
        if thread.is_pull:
            self._note_pull(thread, job, thread.issue, new=False)
            return
        facts = facts_of(self._wiring, job, thread)
        body = last_look(sentences.pull_body(facts), self._wiring.redactor)
        open_one = forge.gitea.open_pull(repo.full_name, branch, repo.default_branch)
        title = last_look(sentences.pull_title(facts), self._wiring.redactor)
        pull = open_one or forge.gitea.ensure_pull(repo.full_name, branch, repo.default_branch, title, body)
        if open_one is not None and sentences.marker(job.id, sentences.PULL) not in open_one.body:
            self._renew(forge, thread, open_one, sentences.pull_body(facts, open_one.title, open_one.body), facts)
        new = sentences.marker(job.id, sentences.PULL) in pull.body if open_one is None else job.new_pull
        self._note_pull(thread, job, pull.number, new=new)

    def _note_pull(self, thread: Thread, job: Job, pull: int, *, new: bool) -> None:
        with self._wiring.db.atomic():
            Job.update(new_pull=new, pull=pull).where(Job.id == job.id).execute(self._wiring.db)
            Thread.update(pull=pull).where(Thread.id == thread.id).execute(self._wiring.db)
        thread.pull = pull

    def _pass_gate(self, forge: Forge, thread: Thread, job: Job, target: Target) -> None:
        """Raises PushRejected where the work brings what must not be pushed, or was asked for by somebody who may not
        ask any more.
        """
        file = repofile.current(self._wiring, forge, thread.repo)
        if (reason := rights.lost(self._wiring, forge, thread, job, file)) is not None:
            raise PushRejected(recipe_sentences.right_lost(reason))
        mirror = Mirror(self._workspace.mirror(target))
        closed = gate.check(inspect(mirror, target, job.head_sha or "", forge.identity, self._wiring.redactor), file)
        if closed:
            raise PushRejected(recipe_sentences.gate_closed([str(each) for each in closed], repofile.PATH))

    def _recheck(self, forge: Forge, thread: Thread, job: Job) -> None:
        """Nothing to push, but the check was run, or the work is finished now: the pull request that is there becomes a
        draft, or no longer is.
        """
        found = forge.gitea.open_pull(thread.repo.name, thread.branch or branch_of(thread.issue))
        facts = facts_of(self._wiring, job, thread)
        if found is not None:
            self._renew(forge, thread, found, checked.next_body(facts.check, found.title, found.body), facts)

    def _renew(self, forge: Forge, thread: Thread, found: PullRequest, body: str, facts: Facts) -> None:
        """Give the pull request this text, and the title that goes with it, in one request: the old text says whether
        the draft is ours.
        """
        body = last_look(body, self._wiring.redactor)
        title = checked.next_title(facts.check, found.title, found.body, unfinished=bool(facts.cut_short))
        if (title, body) != (found.title, found.body):
            forge.gitea.edit_pull(thread.repo.name, found.number, title=title, body=body)

    def _close(self, forge: Forge, thread: Thread, job: Job, facts: Facts) -> None:
        """The closing comment, once wherever it was asked for. A refusal has been said at the desk."""
        if job.result_comment is not None or _was_turned_away(job):
            return
        mark = sentences.marker(job.id, sentences.RESULT)
        for number, askers in speakers.places(self._wiring.db, job, thread).items():
            text = sentences.result(msgspec.structs.replace(facts, askers=askers))
            where = self._place(forge, thread, number)
            job.result_comment = say(self._wiring, forge, (thread.repo.name, where), mark, text)
            if job.outcome == Outcome.COMPLETED:
                attach_findings(self._wiring, forge, thread, job, job.result_comment)
        Job.update(result_comment=job.result_comment).where(Job.id == job.id).execute(self._wiring.db)

    def _follow(self, forge: Forge, thread: Thread, job: Job, facts: Facts) -> None:
        """The comment that follows the job: made once, then edited where its text differs."""
        verbosity = self._wiring.settings.verbosity
        if verbosity == "quiet" or job.state == State.ASKED or _was_turned_away(job):
            return
        text = last_look(sentences.live(facts, verbose=verbosity == "verbose"), self._wiring.redactor)
        digest = hashlib.sha256(text.encode()).hexdigest()
        if job.live_comment is None:
            job.live_comment = self._begin_following(forge, thread, job, text)
        elif digest != job.live_digest and job.live_comment != GONE:
            job.live_comment = _edit(forge, thread, job, text)
        shown = {"live_comment": job.live_comment, "live_digest": digest, "live_at": self._wiring.clock()}
        Job.update(**shown, place_shown=facts.place).where(Job.id == job.id).execute(self._wiring.db)

    def _begin_following(self, forge: Forge, thread: Thread, job: Job, text: str) -> int:
        """The new comment. One of whose arrival we never heard may be there, and say what was so then."""
        mark, number = sentences.marker(job.id, sentences.LIVE), self._place(forge, thread, job.said_on or thread.issue)
        found = forge.gitea.find_comment(thread.repo.name, number, mark, forge.bot.id)
        if found is None:
            return forge.gitea.add_comment(thread.repo.name, number, text).id
        if found.body != text:
            forge.gitea.edit_comment(thread.repo.name, found.id, text)
        return found.id

    def _place(self, forge: Forge, thread: Thread, number: int) -> int:
        """Where to answer who asked there: on the thread's issue where somebody has deleted the pull request."""
        if number != thread.issue:
            try:
                forge.gitea.issue(thread.repo.name, number)
            except GiteaMissing:
                return thread.issue
        return number


def _still_there(forge: Forge, thread: Thread) -> None:
    """Raises what has the work wait where the push was refused since the repository has moved, or is archived."""
    repo = forge.gitea.repo(thread.repo.name)
    if repo.archived:
        raise GiteaRejected(LOCKED, f"{repo.full_name} is archived")
    if repo.full_name != thread.repo.name:
        raise GiteaMissing(f"repository {thread.repo.name}: it is called {repo.full_name} now")


def _was_turned_away(job: Job) -> bool:
    """Refused, or taken back before it was admitted: there is nothing to tell."""
    return job.outcome == Outcome.REFUSED or (job.outcome == Outcome.CANCELLED and job.queued_at is None)


def _edit(forge: Forge, thread: Thread, job: Job, text: str) -> int:
    """Looks first: to a Gitea that was restored from a backup the number may mean somebody else's comment."""
    comment, mark = int(job.live_comment or GONE), sentences.marker(job.id, sentences.LIVE)
    found = forge.gitea.comment(thread.repo.name, comment)
    if found is None or found.user.id != forge.bot.id or mark not in found.body:
        return GONE
    try:
        forge.gitea.edit_comment(thread.repo.name, comment, text)
    except (GiteaMissing, GiteaRejected):
        return GONE
    return comment


def label_of(jobs: list[Job]) -> str | None:
    """The answer that an issue's labels should give, from its jobs, newest first: what runs, else what waits, else how
    the newest ended; None where nothing is to be said.
    """
    states = {job.state for job in jobs}
    if State.RUNNING in states:
        return "kugetsu/running"
    if State.QUEUED in states:
        return "kugetsu/queued"
    ended = [job.outcome for job in jobs if job.outcome]
    return ANSWER_LABELS[Outcome(ended[0])] if ended and State.ASKED not in states else None


def branch_of(issue: int) -> str:
    """The branch on which an issue's work is done."""
    return f"kugetsu/issue-{issue}"


def target_of(forge: Forge, thread: Thread, base: str) -> Target:
    """Where the thread's work comes from and goes to. The address is the one of our settings: the `clone_url` that the
    server gives may be a name that only others can reach.
    """
    return Target(
        server=thread.server,
        repo=thread.repo.name,
        issue=thread.issue,
        clone_url=f"{forge.url}/{thread.repo.name}.git",
        token=forge.token,
        base=base,
        branch=thread.branch or branch_of(thread.issue),
        spent=thread.spent_sha,
        folder=thread.repo.folder,
    )
