"""What a person does on this Gitea, in a browser or with git."""

from collections.abc import Iterable, Mapping, Sequence

from tests.fakes.gitea import access, issues, labels, pulls, pushes
from tests.fakes.gitea.forge import Forge
from tests.fakes.gitea.gitrepo import BareRepo, Files
from tests.fakes.gitea.state import (
    Attachment,
    Entry,
    Hook,
    Issue,
    Label,
    Level,
    NotThere,
    Reaction,
    Repo,
    Review,
    Standing,
    Token,
    User,
)
from tests.fakes.gitea.webhooks import Delivery, expand_events

BOT_SCOPES = ("write:issue", "write:repository", "read:user")
Number = int | Issue


class PersonVerbs:
    """The verbs. `repo` is "owner/name", `n` an issue's number (or the issue), `by` a login.

    Whoever may not do something gets PermissionError, as they would find no button for it.
    """

    forge: Forge

    def user(self, login: str, full_name: str = "", *, is_admin: bool = False) -> User:
        """A person (or a bot: Gitea sees no difference); the same one when they exist already."""
        return self._account(login, full_name, is_admin=is_admin)

    def org(self, login: str, *, owners: Iterable[str] = ()) -> User:
        """An organisation; its owners own its repositories."""
        org = self._account(login, "", is_org=True)
        org.owners |= {owner.lower() for owner in owners}
        return org

    def _account(self, login: str, full_name: str, *, is_admin: bool = False, is_org: bool = False) -> User:
        state = self.forge.state
        with state.lock:
            found = state.users.get(login.lower())
            if found is None:
                found = User(state.next_id("user"), login, state.now(), full_name, is_admin, is_org)
                state.users[login.lower()] = found
            return found

    def token_for(self, login: str, scopes: Sequence[str] = BOT_SCOPES) -> str:
        """A new access token."""
        state = self.forge.state
        with state.lock:
            number = state.next_id("token")
            token = Token(number, f"{number:040x}", self.user(login), tuple(scopes))
            state.tokens[token.value] = token
            return token.value

    def revoke(self, token: str) -> None:
        """From now on this token is wrong."""
        with self.forge.state.lock:
            del self.forge.state.tokens[token]

    def repo(
        self,
        full_name: str,
        *,
        files: Files | None = None,
        collaborators: Mapping[str, Standing] | None = None,
        private: bool = False,
        default_branch: str = "main",
    ) -> Repo:
        """A repository with a first commit of these files (none at all: an empty repository).

        An owner whom nobody knows becomes an organisation, collaborators become users.
        """
        owner, _, name = full_name.partition("/")
        state = self.forge.state
        with state.lock:
            holder = state.users.get(owner.lower()) or self.org(owner)
            git = BareRepo.create(self.forge.root / holder.login / f"{name}.git", default_branch)
            now = state.now()
            made = Repo(state.next_id("repo"), holder, name, git, now, now, default_branch, private)
            for login, standing in (collaborators or {}).items():
                made.collaborators[self.user(login).login.lower()] = standing
            if files:
                git.commit(default_branch, files, self.forge.shapes.ident(holder), "Initial commit\n", start=None)
            made.refs = git.refs()
            state.repos[full_name.lower()] = made
            state.touch()
            return made

    def fork(self, repo: str, by: str) -> Repo:
        """A copy under the person's own name; pull requests from it are `head="PERSON:branch"`."""
        with self.forge.state.lock:
            parent = self.forge.state.repo(repo)
            copy = self.repo(f"{self._by(by).login}/{parent.name}", default_branch=parent.default_branch)
            copy.git.run("fetch", "--quiet", str(parent.git.path), "refs/heads/*:refs/heads/*")
            copy.parent, copy.refs = parent, copy.git.refs()
            return copy

    def let(self, repo: str, login: str, standing: Standing | None) -> None:
        """Makes somebody a collaborator, or (None) no longer one."""
        with self.forge.state.lock:
            people = self.forge.state.repo(repo).collaborators
            people.pop(login.lower(), None)
            if standing:
                people[self.user(login).login.lower()] = standing

    def protect(self, repo: str, branch: str) -> None:
        """Nobody pushes to this branch any more, and only administrators merge into it."""
        self.forge.state.repo(repo).protected.add(branch)

    def archive(self, repo: str, *, archived: bool = True) -> None:
        self.forge.state.repo(repo).archived = archived

    def hook(
        self,
        repo_or_org: str,
        url: str,
        secret: str,
        events: Sequence[str] = ("issues", "pull_request", "push"),
        content_type: str = "json",
    ) -> Hook:
        """A webhook of a repository ("owner/name") or of an organisation ("owner")."""
        state = self.forge.state
        with state.lock:
            now = state.now()
            hook = Hook(state.next_id("hook"), url, secret, expand_events(events), now, now, content_type)
            if "/" in repo_or_org:
                state.repo(repo_or_org).hooks.append(hook)
            else:
                hook.target = "organization"
                state.org_hooks[state.user(repo_or_org).login.lower()].append(hook)
            return hook

    def redeliver(self, delivery: Delivery) -> Delivery:
        """The button under Recent Deliveries: the same text with a UUID of its own."""
        return self.forge.webhooks.send(delivery.hook, delivery.event_type, delivery.text, delivery)

    def create_label(self, repo: str, name: str, color: str = "00aabb", *, exclusive: bool = False) -> Label:
        with self.forge.state.lock:
            label = Label(self.forge.state.next_id("label"), name, color, exclusive=exclusive)
            self.forge.state.repo(repo).labels.append(label)
            self.forge.state.touch()
            return label

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
