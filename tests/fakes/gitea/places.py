"""The accounts and repositories of this Gitea, as its owner and their administrators set them up."""

import shutil
from collections.abc import Iterable, Mapping, Sequence

from tests.fakes.gitea.forge import Forge
from tests.fakes.gitea.gitrepo import BareRepo, Files
from tests.fakes.gitea.state import Hook, Label, Repo, Standing, Token, User
from tests.fakes.gitea.webhooks import Delivery, expand_events

BOT_SCOPES = ("write:issue", "write:repository", "read:user")


class PlaceVerbs:
    """What there is. `repo` is "owner/name", `login` a person's; who exists already is found, not made twice."""

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
            copy = self.repo(f"{self.forge.state.user(by).login}/{parent.name}", default_branch=parent.default_branch)
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

    def delete_repo(self, repo: str) -> None:
        """From now on nobody finds it."""
        with self.forge.state.lock:
            gone = self.forge.state.repos.pop(repo.lower())
            shutil.rmtree(gone.git.path)

    def rename(self, repo: str, name: str) -> str:
        """Gives the repository another name; the API redirects from the old one. Gives the new full name."""
        with self.forge.state.lock:
            found = self.forge.state.repos.pop(repo.lower())
            found.name = name
            self.forge.state.repos[found.full_name.lower()] = found
            self.forge.state.redirects[repo.lower()] = found
            with found.git.lock:
                found.git.path = found.git.path.rename(found.git.path.with_name(f"{name}.git"))
            return found.full_name

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
