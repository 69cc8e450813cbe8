"""People who ask for files, one file an ask, and a look whether each of them came, once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tests.crash import looks
from tests.crash.looks import Look
from tests.crash.parts import BOT, SECRET, WRITER, Parts

ASK: Final = "kugetsu/code"
WRITTEN: Final = "done"

_OPEN_JOBS: Final = "SELECT count(*) FROM job WHERE state != 'done'"
_DESK_WANTED: Final = "SELECT count(*) FROM thread WHERE desk_wanted > desk_seen"
_JOBS: Final = "SELECT count(*) FROM job"
_JOBS_OF: Final = (
    "SELECT count(*) FROM job JOIN thread ON thread.id = job.thread_id JOIN repo ON repo.id = thread.repo_id"
    " WHERE repo.name = ? AND thread.issue = ?"
)


@dataclass
class Asked:
    """An issue and the names of the files that were asked for on it."""

    repo: str
    number: int
    files: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"gitea-{self.repo.replace('/', '-')}-{self.number}"


class People:
    """They work in `repos`, which webhook this installation. `first` is what the agent does before it writes a file."""

    def __init__(self, parts: Parts, *repos: str) -> None:
        self.parts, self.gitea = parts, parts.gitea
        self.issues: list[Asked] = []
        self._files = 0
        self._written: set[tuple[str, str]] = set()
        for repo in repos:
            self.gitea.repo(repo, files={"app.py": "pass\n"}, collaborators={WRITER: "write", BOT: "admin"})
            self.gitea.create_label(repo, ASK, exclusive=True)
            self.gitea.hook(repo, f"{parts.url}/webhook", SECRET)

    def label(self, repo: str, *first: str) -> Asked:
        """Somebody puts the label on a new issue."""
        name, wish = self._wish(first)
        issue = self._open(repo, wish)
        issue.files.append(name)
        self.gitea.label(repo, issue.number, ASK, WRITER)
        return issue

    def comment(self, repo: str, *first: str) -> Asked:
        """Somebody comments on a new issue."""
        issue = self._open(repo, "Please see below.")
        self.say_more(issue, *first)
        return issue

    def say_more(self, issue: Asked, *first: str) -> None:
        """Somebody comments on an issue that is there."""
        name, wish = self._wish(first)
        issue.files.append(name)
        self.gitea.comment(issue.repo, issue.number, f"/kugetsu\n{wish}", WRITER)

    def _wish(self, first: tuple[str, ...]) -> tuple[str, str]:
        self._files += 1
        name = f"notes/{self._files}.txt"
        return name, "\n".join([*first, f"stub: write {name} {WRITTEN}"])

    def _open(self, repo: str, body: str) -> Asked:
        number = self.gitea.open_issue(repo, WRITER, f"Write down what is number {self._files}", body).number
        self.issues.append(Asked(repo, number))
        return self.issues[-1]

    def open_jobs(self) -> int:
        """How many have not ended, or are not told yet."""
        return self.parts.ask(_OPEN_JOBS)

    def jobs(self) -> int:
        """How many there were."""
        return self.parts.ask(_JOBS)

    def are_told(self) -> bool:
        """Every issue shows how it stands."""
        return not self.parts.ask(_DESK_WANTED) and not self.gitea.forge.webhooks.pending()

    def is_over(self) -> bool:
        """What no webhook told of has been found, too, and all is done."""
        missing = [name for issue in self.issues for name in issue.files if not self._is_written(issue, name)]
        return not missing and not self.open_jobs() and self.are_told()

    def _is_written(self, issue: Asked, name: str) -> bool:
        if (issue.repo, name) not in self._written:
            if self.gitea.file_at(issue.repo, f"kugetsu/issue-{issue.number}", name) != WRITTEN:
                return False
            self._written.add((issue.repo, name))
        return True

    def look(self, *, workers: int = 1) -> Look:
        """Whether all is as it should be."""
        look = looks.at_home(self.parts, [issue.place for issue in self.issues], workers=workers)
        for issue in self.issues:
            jobs = self.parts.ask(_JOBS_OF, issue.repo, issue.number)
            if jobs > len(issue.files):
                look.doubled.append(f"{issue.repo}#{issue.number}: {jobs} jobs for {len(issue.files)} asks")
            look += looks.at_issue(self.gitea, issue.repo, issue.number, jobs=jobs, commits=len(issue.files))
            missing = [name for name in issue.files if not self._is_written(issue, name)]
            look.lost += [f"{issue.repo}#{issue.number}: {name} was not written" for name in missing]
        return look
