"""The desk's first task on an issue: what its labels ask, whether this person may ask, whether it is still wanted.

In doubt the answer is no. Everything here can be repeated: an ask is a row by its content, a reaction that is there
already stays, a comment is looked for by its marker before it is written.
"""

from __future__ import annotations

import logging

from jobs import endings, priorities, recipe_sentences, repofile, reviewers, sentences
from jobs.facts import facts_of
from jobs.frozen import freeze
from jobs.gitea import GiteaMissing, GiteaRefused
from jobs.outgoing import last_look
from jobs.pulls import numbers_of
from jobs.pulls import refusal as pull_refusal
from jobs.queue import Lane
from jobs.queue_view import expected
from jobs.repofile import RepoFile
from jobs.reviewers import PART
from jobs.rights import denied
from jobs.servers import Forge
from jobs.spending import issue_spent
from jobs.tasks import Recipe, base_of
from jobs.wiring import Wiring
from models import grammar, ledger, recovery, speakers, threads
from models.closing import CLOSED, MERGED
from models.events import Person
from models.gathering import own_verb
from models.intake import SCOPE, UNCLEAR, Look, NewAsk, is_ask_label
from models.moves import State
from models.tables import Ask, Job, Thread
from models.wire import Issue, TimelineEntry

log = logging.getLogger(__name__)

BUILT_IN = frozenset(f"{SCOPE}{recipe}" for recipe in Recipe)
"""Labels that ask for a recipe that is the same everywhere."""

SILENT = frozenset({CLOSED, MERGED, PART})
"""Verbs that nobody typed as a command."""


def look(wiring: Wiring, forge: Forge, thread: Thread) -> None:
    """Read the issue as state, and its pull request: a label that asks, and whose latest appearance is not known yet,
    is an ask of whoever the timeline says put it there; so is having closed it. Then hear the reviewers.
    """
    for number in numbers_of(thread):
        issue = forge.gitea.issue(thread.repo.name, number)
        if number == thread.issue:
            Thread.update(title=issue.title).where(Thread.id == thread.id).execute(wiring.db)
            priorities.follow(wiring, thread, issue.label_names)
        for ask in _asks_of(wiring, forge, thread, issue):
            recovery.heard(wiring.db, thread, ask, Look(thread.repo.name, number, issue.is_pull), now=wiring.clock())
    reviewers.look(wiring, forge, thread)
    threads.look_done(wiring.db, thread)


def _asks_of(wiring: Wiring, forge: Forge, thread: Thread, issue: Issue) -> list[NewAsk]:
    """What the state of an issue or pull request asks: its labels while it is open, and its having been closed."""
    repo, asking = thread.repo.name, {name for name in issue.label_names if is_ask_label(name)}
    if issue.state == "open":
        latest = _latest(forge.gitea.timeline(repo, issue.number), asking) if asking else []
        file = repofile.current(wiring, forge, thread.repo) if asking - BUILT_IN else RepoFile()
        theirs = [entry for entry in latest if entry.user is not None and entry.user.id != forge.bot.id]
        return [_label_ask(entry, file) for entry in theirs]
    ending = endings.ending_in(forge.gitea.timeline(repo, issue.number))
    return [ending] if ending else []


def _latest(timeline: list[TimelineEntry], asking: set[str]) -> list[TimelineEntry]:
    """The last time each of these labels was put on. By number: who may set the date of an entry may set it back."""
    ordered = sorted(timeline, key=lambda entry: entry.id)
    added = {entry.label.name: entry for entry in ordered if entry.adds_label and entry.label is not None}
    return [entry for name, entry in added.items() if name in asking]


def _label_ask(entry: TimelineEntry, file: RepoFile) -> NewAsk:
    name = entry.label.name.partition("/")[2] if entry.label else ""
    user = entry.user
    return NewAsk(
        key=f"label:{entry.id}",
        verb=name if name in set(Recipe) else own_verb(name, reviews=base_of(name, file) is Recipe.REVIEW),
        author=Person(user.id, user.login) if user else Person(-1, ""),
        said_at=entry.created_at.timestamp(),
        entry_id=entry.id,
    )


def decide(wiring: Wiring, forge: Forge, thread: Thread, ask: Ask) -> None:
    """Admit, refuse or answer one ask, and say so to the person who made it."""
    if ask.verb in SILENT or not _still_said(forge, thread, ask):
        _decide_silently(wiring, forge, thread, ask)
        return
    file = repofile.current(wiring, forge, thread.repo)
    refusal = _refusal(wiring, forge, thread, ask, file)
    if refusal is not None:
        _refuse(wiring, forge, thread, ask, refusal)
        return
    _tell_of_trouble(wiring, forge, thread, ask)
    if ask.verb in ("cancel", "status", "help", UNCLEAR):
        _react(forge, thread, ask, "eyes")
        _answer(wiring, forge, thread, ask)
        return
    freeze(wiring, forge, thread, ask)
    base = base_of(ledger.job_of(wiring.db, ask.job_id or 0).recipe, file)
    usual = priorities.named(label.name for label in forge.gitea.issue_labels(thread.repo.name, thread.issue))
    with wiring.db.atomic():
        threads.admit(wiring.db, ask, thread, now=wiring.clock(), base=base or Recipe.CODE, usual=usual)
        endings.overtake(wiring, thread, ask)
    wiring.bells.ring(Lane.AGENTS)
    _react(forge, thread, ask, "eyes")


def _still_said(forge: Forge, thread: Thread, ask: Ask) -> bool:
    return ask.comment_id is None or forge.gitea.has_comment(thread.repo.name, ask.comment_id)


def _decide_silently(wiring: Wiring, forge: Forge, thread: Thread, ask: Ask) -> None:
    """What nobody waits to be answered on."""
    if ask.verb in (CLOSED, MERGED):
        endings.follow(wiring, forge, thread, ask)
    elif ask.verb == PART:
        threads.answered(wiring.db, ask, "part of a review")
    else:
        threads.withdraw(wiring.db, ask, "its comment was deleted", now=wiring.clock())


def _refusal(wiring: Wiring, forge: Forge, thread: Thread, ask: Ask, file: RepoFile) -> str | None:
    """Why this ask is not followed, as a sentence for the person, or None."""
    reason = denied(wiring, forge, thread, ask, file)
    if reason is not None:
        return sentences.may_not_ask(ask.author, reason)
    if ask.job_id is None:
        return None
    job = ledger.job_of(wiring.db, ask.job_id)
    cannot = _cannot(wiring, forge, thread, job.recipe, file)
    if cannot is not None:
        return cannot
    limit = wiring.settings.queue_limit
    waiting = Job.select().where(Job.state == State.QUEUED).count(wiring.db)
    if job.state == State.ASKED and waiting >= limit:
        return sentences.queue_full(limit)
    return issue_spent(wiring, thread.id)


def _cannot(wiring: Wiring, forge: Forge, thread: Thread, recipe: str, file: RepoFile) -> str | None:
    """Why this recipe cannot be done on this thread, or None."""
    match base_of(recipe, file):
        case None:
            return recipe_sentences.no_recipe(recipe, repofile.PATH, sorted(file.recipes))
        case Recipe.REVIEW if not thread.is_pull:
            return recipe_sentences.needs_a_pull()
        case Recipe.CODE if thread.is_pull:
            return pull_refusal(wiring, forge, thread)
        case _:
            return None


def _tell_of_trouble(wiring: Wiring, forge: Forge, thread: Thread, ask: Ask) -> None:
    """Say where it was asked that the repository's file is broken, once for each version of it."""
    trouble = repofile.trouble(wiring, thread.repo)
    if trouble is not None:
        mark = sentences.marker(0, f"file-{trouble.version[:16]}")
        text = recipe_sentences.repo_file_broken(repofile.PATH, trouble.problem, mark)
        say(wiring, forge, (thread.repo.name, ask.said_on), mark, text)


def _refuse(wiring: Wiring, forge: Forge, thread: Thread, ask: Ask, reason: str) -> None:
    log.info(
        "job=%s server=%s repo=%s issue=%s refused %s: %s",
        ask.job_id,
        thread.server,
        thread.repo.name,
        thread.issue,
        ask.author,
        reason,
    )
    _react(forge, thread, ask, "-1")
    if not threads.refused_before(wiring.db, ask, reason):
        text = sentences.refusal(ask.id, ask.author, reason)
        say(wiring, forge, (thread.repo.name, ask.said_on), sentences.marker(0, f"refused-{ask.id}"), text)
    threads.refuse(wiring.db, ask, reason, now=wiring.clock())


def _answer(wiring: Wiring, forge: Forge, thread: Thread, ask: Ask) -> None:
    text = _cancel(wiring, ask) if ask.verb == "cancel" else _told(wiring, forge, ask)
    if text:
        full = sentences.answer(ask.id, ask.author, text)
        say(wiring, forge, (thread.repo.name, ask.said_on), sentences.marker(0, f"answer-{ask.id}"), full)
    threads.answered(wiring.db, ask, ask.verb)


def _cancel(wiring: Wiring, ask: Ask) -> str:
    """Cancel all that is open here, on a pull request of ours also its review. Each job tells of its end itself, so
    there is only something to say of none.
    """
    mine = [job for number in speakers.threads_at(wiring.db, ask) for job in threads.open_jobs(wiring.db, number)]
    why = sentences.cancelled_by(ask.author)
    done = [ledger.request_cancel(wiring.db, job.id, ask.author, now=wiring.clock(), why=why) for job in mine]
    return "" if any(done) else sentences.nothing_to_cancel()


def _told(wiring: Wiring, forge: Forge, ask: Ask) -> str:
    match ask.verb:
        case "status":
            found = expected(wiring)
            here = [threads.load(wiring.db, number) for number in speakers.threads_at(wiring.db, ask)]
            recent = [(job, at) for at in here for job in threads.recent_jobs(wiring.db, at.id, 5)]
            recent.sort(key=lambda told: told[0].id, reverse=True)
            return sentences.status([facts_of(wiring, job, at, found.get(job.id)) for job, at in recent[:5]])
        case "help":
            return grammar.help_text(forge.bot.login)
        case _:
            return ask.instructions


def say(wiring: Wiring, forge: Forge, where: tuple[str, int], mark: str, text: str) -> int:
    """Post a comment, unless one with this mark is there already; its id. `where` is a repository and the number of an
    issue or pull request.
    """
    repo, number = where
    found = forge.gitea.find_comment(repo, number, mark, forge.bot.id)
    return (found or forge.gitea.add_comment(repo, number, last_look(text, wiring.redactor))).id


def _react(forge: Forge, thread: Thread, ask: Ask, content: str) -> None:
    """React on the comment; one that was deleted meanwhile needs none. Where the server lets nobody react so, or its
    author has blocked the bot, it is done without: whatever else is said on the issue must not wait for that.
    """
    if ask.comment_id is None:
        return
    try:
        forge.gitea.react(thread.repo.name, ask.comment_id, content)
    except GiteaMissing:
        pass
    except GiteaRefused as refused:
        if refused.is_of_the_token:
            raise
        log.info("server=%s repo=%s issue=%s: no reaction: %s", thread.server, thread.repo.name, ask.said_on, refused)
