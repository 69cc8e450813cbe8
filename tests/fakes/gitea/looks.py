"""What a person sees who looks at this Gitea."""

from tests.fakes.gitea.forge import Forge
from tests.fakes.gitea.gitrepo import Commit
from tests.fakes.gitea.state import Entry, Issue, Review, Status


class Looks:
    """The looking verbs: they give what there is now, in the order it came to be."""

    forge: Forge

    def issue_of(self, repo: str, n: int) -> Issue:
        """An issue or pull request; NotThere when there is none."""
        with self.forge.state.lock:
            return self.forge.state.issue(repo, n)

    def issues_of(self, repo: str) -> list[Issue]:
        with self.forge.state.lock:
            return [issue for issue in self.forge.state.repo(repo).issues.values() if issue.pull is None]

    def comments_of(self, repo: str, n: int, by: str = "") -> list[Entry]:
        """The plain comments, all or one person's."""
        with self.forge.state.lock:
            found = self.forge.state.issue(repo, n).comments
            return [entry for entry in found if not by or entry.user.login.lower() == by.lower()]

    def labels_of(self, repo: str, n: int) -> list[str]:
        """The names of an issue's labels, sorted."""
        with self.forge.state.lock:
            return sorted(label.name for label in self.forge.state.issue(repo, n).labels)

    def label_names(self, repo: str) -> list[str]:
        """The names of the labels that the repository has, sorted."""
        with self.forge.state.lock:
            return sorted(label.name for label in self.forge.state.repo(repo).labels)

    def pulls_of(self, repo: str, state: str = "") -> list[Issue]:
        """The pull requests, all or the "open" or "closed" ones."""
        with self.forge.state.lock:
            found = self.forge.state.repo(repo).issues.values()
            return [issue for issue in found if issue.pull and state in {"", issue.state}]

    def reviews_of(self, repo: str, n: int) -> list[Review]:
        with self.forge.state.lock:
            pull = self.forge.state.issue(repo, n).pull
            return list(pull.reviews) if pull else []

    def reactions_of(self, repo: str, on: int | Issue | Entry) -> list[tuple[str, str]]:
        """(login, content) of each reaction to an issue (by number) or a comment."""
        with self.forge.state.lock:
            target = self.forge.state.issue(repo, on) if isinstance(on, int) else on
            return [(reaction.user.login, reaction.content) for reaction in target.reactions]

    def statuses_of(self, repo: str, sha: str) -> list[Status]:
        with self.forge.state.lock:
            return [status for status in self.forge.state.repo(repo).statuses if status.sha == sha]

    def branches_of(self, repo: str) -> dict[str, str]:
        """Each branch with its commit."""
        with self.forge.state.lock:
            refs = self.forge.state.repo(repo).refs
            return {ref.removeprefix("refs/heads/"): sha for ref, sha in refs.items() if "/heads/" in ref}

    def file_at(self, repo: str, branch: str, path: str) -> str | None:
        """A file's text on a branch, None when it is not there."""
        data = self.forge.state.repo(repo).git.file(f"refs/heads/{branch}", path)
        return None if data is None else data.decode()

    def log(self, repo: str, branch: str) -> list[Commit]:
        """The branch's commits, newest first."""
        return self.forge.state.repo(repo).git.commits(f"refs/heads/{branch}")
