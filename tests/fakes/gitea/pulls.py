"""What can happen to a pull request."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.fakes.gitea import issues, labels
from tests.fakes.gitea.forge import Forge
from tests.fakes.gitea.gitrepo import GitError
from tests.fakes.gitea.state import Entry, Issue, Label, Pull, Repo, Review, User

MERGE_STYLES = ("merge", "rebase", "rebase-merge", "squash", "fast-forward-only")


class Conflict(Exception):
    """The two branches do not merge."""


@dataclass(frozen=True)
class PullDraft:
    """What somebody wrote who opens a pull request."""

    title: str
    body: str
    base: str
    head_repo: Repo
    head_branch: str


def open_for(repo: Repo, head_repo: Repo, head: str, base: str) -> Issue | None:
    """The open pull request for exactly these two branches; Gitea allows one."""
    for issue in repo.issues.values():
        pull = issue.pull
        wanted = (head_repo, head, base)
        if pull and issue.state == "open" and (pull.head_repo, pull.head_branch, pull.base_branch) == wanted:
            return issue
    return None


def open_pull(
    forge: Forge, repo: Repo, doer: User, draft: PullDraft, *, named: Sequence[Label] = (), people: Sequence[User] = ()
) -> Issue:
    """Opens a pull request between branches that exist; the caller has looked for a second one."""
    now = forge.state.now()
    head_sha = draft.head_repo.branch(draft.head_branch)
    if head_sha is None or repo.branch(draft.base) is None:
        raise ValueError(f"{draft.head_branch} or {draft.base} does not exist in {repo.full_name}")
    pull = Pull(forge.state.next_id("pull"), draft.head_repo, draft.head_branch, draft.base, head_sha)
    number = issues.new_number(repo)
    issue = Issue(forge.state.next_id("issue"), number, repo, doer, draft.title, draft.body, now, now, pull=pull)
    repo.issues[number] = issue
    issue.assignees = list(people)
    measure(issue)
    _note_push(forge, issue, doer, pull.merge_base)
    issues.mention(forge, issue, doer, f"{draft.title}\n{draft.body}")
    forge.announce(issue, doer, "opened")
    if named:
        labels.add(forge, issue, doer, named)
    forge.state.touch()
    return issue


def measure(issue: Issue) -> None:
    """Looks at the branches anew: their commits, the size of the change, whether they merge."""
    pull, git = _pull(issue), issue.repo.git
    if pull.head_repo is not issue.repo:
        git.run("fetch", "--quiet", str(pull.head_repo.git.path), pull.head_sha)
    git.set_ref(f"refs/pull/{issue.number}/head", pull.head_sha)
    pull.base_sha = issue.repo.branch(pull.base_branch) or pull.base_sha
    pull.merge_base = git.merge_base(pull.base_sha, pull.head_sha)
    files = git.changes(pull.merge_base, pull.head_sha) if pull.merge_base else []
    pull.changed_files = len(files)
    pull.additions = sum(file.additions for file in files)
    pull.deletions = sum(file.deletions for file in files)
    pull.mergeable = _merges(issue)


def _merges(issue: Issue) -> bool:
    pull = _pull(issue)
    if pull.merge_base in {pull.base_sha, pull.head_sha}:
        return True
    try:
        issue.repo.git.run("merge-tree", "--write-tree", pull.base_sha, pull.head_sha)
    except GitError as problem:
        return problem.code != 1  # 1 is a conflict; anything else is a git too old for this (before 2.38)
    return True


def head_moved(forge: Forge, issue: Issue, doer: User, new: str) -> None:
    """Somebody pushed to the head branch of an open pull request."""
    pull, old = _pull(issue), _pull(issue).head_sha
    pull.head_sha = new
    measure(issue)
    _note_push(forge, issue, doer, old)
    more = {"before": old, "after": new} if forge.dialect.gitea(27) else {}
    forge.announce(issue, doer, "synchronized", kind="sync", **more)


def _note_push(forge: Forge, issue: Issue, doer: User, old: str) -> None:
    """The timeline's row for the commits that came since `old`."""
    git, new = issue.repo.git, _pull(issue).head_sha
    forced = bool(old) and not git.is_ancestor(old, new)
    commits = git.line("rev-list", "--reverse", new, *([f"^{old}"] if old else [])).split()
    body = {"is_force_push": forced, "commit_ids": [old, new] if forced else commits}
    forge.note(issue, "pull_push", doer, json.dumps(body, separators=(",", ":")))


def set_base(forge: Forge, issue: Issue, doer: User, base: str) -> None:
    """Targets another branch."""
    pull = _pull(issue)
    old, pull.base_branch = pull.base_branch, base
    measure(issue)
    forge.note(issue, "change_target_branch", doer, old_ref=old, new_ref=base)
    forge.announce(issue, doer, "edited", changes=forge.changes(ref=old))


def merge(forge: Forge, issue: Issue, doer: User, *, how: str = "merge", message: str = "") -> str:
    """Merges with real git and moves the base branch; raises `Conflict`. The caller announces it."""
    pull, repo = _pull(issue), issue.repo
    base = repo.branch(pull.base_branch)
    if base is None:
        raise Conflict(f"{pull.base_branch} is gone")
    branches = f"from {pull.head_branch} into {pull.base_branch}"
    text = message or f"Merge pull request '{issue.title}' (#{issue.number}) {branches}"
    made = repo.git.merge(base, pull.head_sha, forge.shapes.ident(doer), text, how)
    if made is None:
        raise Conflict(f"{pull.head_branch} does not merge into {pull.base_branch}")
    pull.base_sha = base
    repo.git.set_ref(f"refs/heads/{pull.base_branch}", made)
    pull.merge_commit_sha, pull.merged_by, pull.merged_at = made, doer, forge.state.now()
    issue.state, issue.closed_at = "closed", pull.merged_at
    forge.note(issue, "merge_pull", doer)
    return made


def close_named(forge: Forge, repo: Repo, doer: User, text: str, commit: str) -> None:
    """Closes the issues that a text closes by keyword."""
    for number in issues.closed_by(text):
        issue = repo.issues.get(number)
        if issue and not issue.pull:
            issues.set_open(forge, issue, doer, is_open=False, commit=commit)


@dataclass(frozen=True)
class Remark:
    """One inline comment of a review; positions are line numbers of the file, new or old side."""

    path: str
    body: str
    new_position: int = 0
    old_position: int = 0


def review(
    forge: Forge, issue: Issue, doer: User, state: str, *, body: str = "", remarks: Sequence[Remark] = ()
) -> Review:
    """Adds a review; a pending one is nobody else's business and is not announced."""
    pull = _pull(issue)
    made = Review(forge.state.next_id("review"), doer, state, body, pull.head_sha, forge.state.now())
    pull.reviews.append(made)
    made.comments = [_remark(forge, doer, remark) for remark in remarks]
    if state != "PENDING":
        publish(forge, issue, made)
    forge.state.touch()
    return made


def publish(forge: Forge, issue: Issue, made: Review) -> None:
    made.entry = forge.note(issue, "review", made.user, made.body, review_id=made.id)
    forge.announce_review(issue, made.user, made.state, made.body)


def reply(forge: Forge, issue: Issue, review_: Review, doer: User, *, to: Entry, text: str) -> Entry:
    """Answers an inline comment: announced as a plain comment (facts, section 3.2)."""
    places = ("path", "new_position", "old_position")
    entry = _remark(forge, doer, Remark("", text))
    entry.details = {name: to.details[name] for name in places}
    review_.comments.append(entry)
    forge.announce_comment(issue, entry, doer, action="created")
    return entry


def holding(issue: Issue, comment: int) -> Review | None:
    """The review whose lines that comment stands on, be it the reviewer's or an answer."""
    reviews = _pull(issue).reviews
    return next((review for review in reviews if comment in {entry.id for entry in review.comments}), None)


def _remark(forge: Forge, doer: User, remark: Remark) -> Entry:
    now = forge.state.now()
    entry = Entry(forge.state.next_id("comment"), "code", doer, remark.body, now, now)
    entry.details = {
        "path": remark.path,
        "new_position": remark.new_position,
        "old_position": remark.old_position,
    }
    return entry


def _pull(issue: Issue) -> Pull:
    if issue.pull is None:
        raise ValueError(f"{issue.repo.full_name}#{issue.number} is no pull request")
    return issue.pull
