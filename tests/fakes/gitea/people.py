"""What a person does on this Gitea, in a browser or with git."""

from collections.abc import Sequence

from tests.fakes.gitea import access, issues, labels, pulls, pushes
from tests.fakes.gitea.gitrepo import Files
from tests.fakes.gitea.places import PlaceVerbs
from tests.fakes.gitea.state import Attachment, Entry, Issue, Label, Level, NotThere, Reaction, Repo, Review, User

Number = int | Issue


class PersonVerbs(PlaceVerbs):
    """The verbs. `repo` is "owner/name", `n` an issue's number (or the issue), `by` a login.

    Whoever may not do something gets PermissionError, as they would find no button for it.
    """

    def open_issue(self, repo: str, by: str, title: str, body: str = "", labels: Sequence[str] = ()) -> Issue:
        """The web form: any reader may choose labels in it (facts, section 6.3)."""
        with self.forge.state.lock:
            place, doer = self._in(repo, by, "read")
            chosen = [self._label(place, name) for name in labels]
            return issues.open_issue(self.forge, place, doer, issues.Draft(title, body, chosen))

    def edit_issue(self, repo: str, n: Number, by: str, *, title: str | None = None, body: str | None = None) -> None:
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "read")
            issues.edit(self.forge, issue, doer, title=title, body=body)

    def label(self, repo: str, n: Number, name: str, by: str) -> None:
        """Puts a label on, which must exist."""
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "write")
            labels.add(self.forge, issue, doer, [self._label(issue.repo, name)])

    def unlabel(self, repo: str, n: Number, name: str, by: str) -> None:
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "write")
            labels.remove(self.forge, issue, doer, self._label(issue.repo, name))

    def clear_labels(self, repo: str, n: Number, by: str) -> None:
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "write")
            labels.clear(self.forge, issue, doer)

    def comment(self, repo: str, n: Number, text: str, by: str) -> Entry:
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "read")
            if issue.is_locked and not access.may(issue.repo, doer, "write"):
                raise PermissionError(f"{by} may not comment on #{issue.number}, which is locked")
            return issues.comment(self.forge, issue, doer, text)

    def edit_comment(self, repo: str, comment: int | Entry, text: str, by: str) -> None:
        with self.forge.state.lock:
            issue, entry = self._comment(repo, comment)
            issues.edit_comment(self.forge, issue, entry, self._owner_or_writer(issue, entry, by), text=text)

    def delete_comment(self, repo: str, comment: int | Entry, by: str) -> None:
        with self.forge.state.lock:
            issue, entry = self._comment(repo, comment)
            issues.delete_comment(self.forge, issue, entry, self._owner_or_writer(issue, entry, by))

    def react(self, repo: str, on: Number | Entry, content: str, by: str) -> Reaction:
        with self.forge.state.lock:
            target = on if isinstance(on, Entry) else self._issue(repo, on)
            return issues.react(self.forge, target, self._by(by), content)[0]

    def attach(self, repo: str, n: Number, name: str, data: bytes) -> Attachment:
        with self.forge.state.lock:
            return issues.attach(self.forge, self._issue(repo, n), name, data)

    def assign(self, repo: str, n: Number, people: Sequence[str], by: str) -> None:
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "write")
            issues.assign(self.forge, issue, doer, [self._by(login) for login in people])

    def close(self, repo: str, n: Number, by: str) -> None:
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "read")
            issues.set_open(self.forge, issue, doer, is_open=False)

    def reopen(self, repo: str, n: Number, by: str) -> None:
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "read")
            issues.set_open(self.forge, issue, doer, is_open=True)

    def delete_issue(self, repo: str, n: Number, by: str) -> None:
        """Takes it away with all that was said on it; before Gitea 1.25 nobody is told."""
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "write")
            del issue.repo.issues[issue.number]
            if self.forge.dialect.gitea(25):
                self.forge.announce(issue, doer, "deleted")
            self.forge.state.touch()

    def push(self, repo: str, branch: str, files: Files, by: str, message: str = "Change files\n") -> str:
        """Commits and pushes (None as content deletes a file); gives the new commit."""
        with self.forge.state.lock:
            place, doer = self._in(repo, by, "write")
            return pushes.push_files(self.forge, place, doer, branch=branch, files=files, message=message)

    def delete_branch(self, repo: str, branch: str, by: str) -> None:
        with self.forge.state.lock:
            place, doer = self._in(repo, by, "write")
            pushes.delete_branch(self.forge, place, doer, branch)

    def open_pull(self, repo: str, by: str, head: str, *, title: str, body: str = "", base: str = "") -> Issue:
        """A pull request from a branch (`person:branch` for one of a fork) to the default branch or `base`."""
        with self.forge.state.lock:
            place, doer = self._in(repo, by, "read")
            owner, _, branch = head.rpartition(":")
            source = self.forge.state.repo(f"{owner}/{place.name}") if owner else place
            draft = pulls.PullDraft(title, body, base or place.default_branch, source, branch)
            return pulls.open_pull(self.forge, place, doer, draft)

    def merge(self, repo: str, n: Number, by: str, *, how: str = "merge", delete_branch: bool = False) -> str:
        """Presses the merge button; gives the new commit of the base branch."""
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "write")
            return pushes.merge_pull(self.forge, issue, doer, how=how, delete=delete_branch)

    def review(
        self,
        repo: str,
        n: Number,
        by: str,
        body: str = "",
        *,
        remarks: Sequence[pulls.Remark] = (),
        state: str = "COMMENT",
    ) -> Review:
        """A review with inline remarks; `state` may be APPROVED or REQUEST_CHANGES."""
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "read")
            return pulls.review(self.forge, issue, doer, state, body=body, remarks=remarks)

    def reply(self, repo: str, n: Number, to: Entry, text: str, by: str) -> Entry:
        """Answers below an inline remark, as any reader may on the page of the pull request."""
        with self.forge.state.lock:
            issue, doer = self._at(repo, n, by, "read")
            review = pulls.holding(issue, to.id)
            if review is None:
                raise NotThere(f"no review of #{issue.number} has the comment {to.id}")
            return pulls.reply(self.forge, issue, review, doer, to=to, text=text)

    def _by(self, login: str) -> User:
        return self.forge.state.user(login)

    def _in(self, repo: str, by: str, wanted: Level) -> tuple[Repo, User]:
        place, doer = self.forge.state.repo(repo), self._by(by)
        if not access.may(place, doer, wanted):
            raise PermissionError(f"{by} has no {wanted} access to {repo}")
        return place, doer

    def _issue(self, repo: str, n: Number) -> Issue:
        return n if isinstance(n, Issue) else self.forge.state.issue(repo, n)

    def _at(self, repo: str, n: Number, by: str, wanted: Level) -> tuple[Issue, User]:
        return self._issue(repo, n), self._in(repo, by, wanted)[1]

    def _label(self, repo: Repo, name: str) -> Label:
        for label in self.forge.state.labels_for(repo):
            if label.name == name:
                return label
        known = sorted(label.name for label in self.forge.state.labels_for(repo))
        raise NotThere(f"no label {name!r} in {repo.full_name}; there are {known}")

    def _comment(self, repo: str, comment: int | Entry) -> tuple[Issue, Entry]:
        wanted = comment.id if isinstance(comment, Entry) else comment
        for issue in self.forge.state.repo(repo).issues.values():
            for entry in issue.entries:
                if entry.id == wanted:
                    return issue, entry
        raise NotThere(f"no comment {wanted} in {repo}")

    def _owner_or_writer(self, issue: Issue, entry: Entry, by: str) -> User:
        doer = self._by(by)
        if entry.user is not doer and not access.may(issue.repo, doer, "write"):
            raise PermissionError(f"{by} may not change the comment {entry.id}")
        return doer
