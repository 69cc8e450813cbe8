"""What Gitea does after refs moved, whoever moved them: events, pull requests, closing keywords."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.fakes.gitea import issues, pulls
from tests.fakes.gitea.forge import NOBODY, OWNER, Forge
from tests.fakes.gitea.gitrepo import ZERO, Commit, Files
from tests.fakes.gitea.state import Issue, Repo, User
from tests.fakes.gitea.wire import Json

# How many commits of a push are told; `total_commits` says how many there were.
TOLD = {"gitea": 5, "forgejo": 15}
Made = TypeVar("Made")


def move_refs(forge: Forge, repo: Repo, doer: User, act: Callable[[], Made]) -> Made:
    """Does something that moves refs, and lets happen what follows from that."""
    with repo.git.lock:
        before = repo.git.refs()
        made = act()
        after = repo.git.refs()
    Push(forge, repo, doer).follow(before, after)
    return made


def push_files(forge: Forge, repo: Repo, doer: User, *, branch: str, files: Files, message: str) -> str:
    """Commits files to a branch as this person would push them; a new branch starts from the default one."""
    author = forge.shapes.ident(doer)

    def commit() -> str:
        start = repo.branch(branch) or repo.branch(repo.default_branch)
        return repo.git.commit(branch, files, author, message, start=start)

    return move_refs(forge, repo, doer, commit)


def merge_pull(
    forge: Forge, issue: Issue, doer: User, *, how: str = "merge", message: str = "", delete: bool = False
) -> str:
    """Merges, pushes the base, closes what the pull request names; raises `pulls.Conflict`."""
    repo, pull = issue.repo, issue.pull

    def act() -> str:
        made = pulls.merge(forge, issue, doer, how=how, message=message)
        forge.announce(issue, doer, "closed")
        said = "\n".join([issue.title, issue.body, *(entry.body for entry in issue.comments)])
        pulls.close_named(forge, repo, doer, said, made)
        return made

    made = move_refs(forge, repo, doer, act)
    if delete and pull:
        forge.note(issue, "delete_branch", doer, old_ref=pull.head_branch)
        delete_branch(forge, pull.head_repo, doer, pull.head_branch)
    return made


def delete_branch(forge: Forge, repo: Repo, doer: User, branch: str) -> None:
    move_refs(forge, repo, doer, lambda: repo.git.set_ref(f"refs/heads/{branch}", None))


@dataclass(frozen=True)
class Push:
    """One push: by whom, and where."""

    forge: Forge
    repo: Repo
    doer: User

    def follow(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """The effects of a push that found the refs as `before` and left them as `after`."""
        self.repo.refs = self.repo.git.refs()
        self.repo.updated_at = self.forge.state.now()
        for ref in sorted(before.keys() | after.keys()):
            move = (before.get(ref, ZERO), after.get(ref, ZERO))
            if move[0] != move[1] and ref.startswith("refs/heads/"):
                self._branch_moved(ref.removeprefix("refs/heads/"), move)
            elif move[0] != move[1]:
                self._tag_moved(ref.removeprefix("refs/tags/"), move)
        self.forge.state.touch()

    def payload(self, ref: str, move: tuple[str, str], commits: Sequence[Commit]) -> Json:
        """The payload of a push event, as far as it is about commits."""
        old, new = move
        shapes = self.forge.shapes
        kept = commits[: TOLD[self.forge.dialect.flavour]]
        told = [shapes.pushed_commit(self.repo, commit) for commit in kept]
        head = told[0] if told else None
        if head is None and new != ZERO:
            head = shapes.pushed_commit(self.repo, self.repo.git.commits(new, limit=1)[0])
        start = self.repo.default_branch if old == ZERO and ref.startswith("refs/heads/") else old
        return {
            "ref": ref,
            "before": old,
            "after": new,
            "compare_url": f"{shapes.page(self.repo)}/compare/{start}...{new}",
            "commits": told,
            "total_commits": len(commits),
            "head_commit": head,
        }

    def _branch_moved(self, branch: str, move: tuple[str, str]) -> None:
        old, new = move
        if new == ZERO:
            self._gone(branch, "branch")
            self._close_pulls_of(branch)
            return
        if old == ZERO:
            self._created(branch, "branch", new)
        commits = self._new_commits(branch, move)
        for commit in reversed(commits):
            self._follow_references(branch, commit)
        self._announce(f"refs/heads/{branch}", move, commits)
        self._update_pulls(branch, new)

    def _tag_moved(self, tag: str, move: tuple[str, str]) -> None:
        self._announce(f"refs/tags/{tag}", move, [])
        if move[1] == ZERO:
            self._gone(tag, "tag")
        elif move[0] == ZERO:
            self._created(tag, "tag", move[1])

    def _new_commits(self, branch: str, move: tuple[str, str]) -> list[Commit]:
        """What a push brought; on a new branch, what the default branch does not have."""
        old, new = move
        default = self.repo.default_branch
        since = old if old != ZERO else (None if branch == default else self.repo.branch(default))
        return self.repo.git.commits(new, *([f"^{since}"] if since else []))

    def _announce(self, ref: str, move: tuple[str, str], commits: Sequence[Commit]) -> None:
        sender = self.forge.shapes.user(self.doer)
        repository = self.forge.shapes.repository(self.repo, OWNER)
        payload = self.payload(ref, move, commits)
        payload |= {"repository": repository, "pusher": sender, "sender": sender}
        self.forge.webhooks.emit(self.repo, "push", payload, branch=ref.split("/", 2)[2])

    def _created(self, name: str, kind: str, sha: str) -> None:
        repository = self.forge.shapes.repository(self.repo, NOBODY)
        payload: Json = {"sha": sha, "ref": name, "ref_type": kind, "repository": repository}
        payload |= {"sender": self.forge.shapes.user(self.doer)}
        self.forge.webhooks.emit(self.repo, "create", payload, branch=name)

    def _gone(self, name: str, kind: str) -> None:
        repository = self.forge.shapes.repository(self.repo, OWNER)
        payload: Json = {"ref": name, "ref_type": kind, "pusher_type": "user", "repository": repository}
        payload |= {"sender": self.forge.shapes.user(self.doer)}
        self.forge.webhooks.emit(self.repo, "delete", payload, branch=name)

    def _follow_references(self, branch: str, commit: Commit) -> None:
        """A commit that names an issue leaves a trace there, and on the default branch may close it."""
        title = html.escape(commit.message.partition("\n")[0])
        link = f'<a href="/{self.repo.full_name}/commit/{commit.sha}">{title}</a>'
        for issue in issues.referred(self.repo, commit.message):
            if not (issue.pull and issue.pull.merge_commit_sha == commit.sha):
                self.forge.note(issue, "commit_ref", self.doer, link, ref_commit_sha=commit.sha)
        if branch == self.repo.default_branch:
            pulls.close_named(self.forge, self.repo, self.doer, commit.message, commit.sha)

    def _update_pulls(self, branch: str, new: str) -> None:
        for issue in self._open_pulls():
            pull = issue.pull
            if pull and pull.head_repo is self.repo and pull.head_branch == branch:
                if pull.head_sha != new:
                    pulls.head_moved(self.forge, issue, self.doer, new)
            elif pull and issue.repo is self.repo and pull.base_branch == branch:
                pulls.measure(issue)

    def _close_pulls_of(self, branch: str) -> None:
        """Deleting a branch closes the pull requests from it."""
        for issue in self._open_pulls():
            if issue.pull and issue.pull.head_repo is self.repo and issue.pull.head_branch == branch:
                self.forge.note(issue, "delete_branch", self.doer, old_ref=branch)
                issues.set_open(self.forge, issue, self.doer, is_open=False)

    def _open_pulls(self) -> list[Issue]:
        everything = (issue for repo in self.forge.state.repos.values() for issue in repo.issues.values())
        return [issue for issue in everything if issue.pull and issue.state == "open"]
