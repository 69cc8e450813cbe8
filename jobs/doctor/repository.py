"""One repository: that the bot may work there, that its webhook leads to us, and its labels and file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from peewee import Database

from jobs.doctor.round_trip import RoundTrip
from jobs.gitea import LABELS, Gitea, GiteaError, GiteaMissing, GiteaRefused
from jobs.hook_sentences import page_of
from jobs.hooks import Judgement, Ours, Wanted, judge
from jobs.repofile import PATH
from models import hooks
from models.checkup import Finding, Level, unknown, warning, well, wrong
from models.hook_keys import repository_scope
from models.hooks import HookState
from models.repofile import RepoFileWrong, parse
from models.settings import Server, Settings
from models.side_by_side import where_set
from models.wire import Permissions, Repository


@dataclass(frozen=True)
class Visit:
    """A look at the repositories of one server. `db` is None where there is no database yet."""

    settings: Settings
    server: Server
    gitea: Gitea
    db: Database | None
    trip: RoundTrip | None

    def look(self, name: str) -> Iterator[Finding]:
        """All that is to be said of this repository, "OWNER/NAME"."""
        where = f"{self.server.name} {name}"
        try:
            repo = self.gitea.repo(name)
        except GiteaMissing:
            cure = f"{self.server.url}/{name}/settings/collaboration"
            what = f"there is no {name}, or the bot may not see it"
            yield wrong("repository", what, where=where, why="nothing asked there is heard", cure=cure)
            return
        rights = self._rights(repo, where)
        yield from rights
        if any(finding.level == Level.WRONG for finding in rights):
            return
        yield self._labels(repo, where)
        yield self._file(repo, where)
        yield from self._webhook(repo, where)

    def _rights(self, repo: Repository, where: str) -> list[Finding]:
        name, may = repo.full_name, repo.permissions or Permissions()
        if not self.settings.allows(self.server.name, name):
            patterns, own = self.settings.repos_on(self.server.name), self.server.repos is not None
            setting = where_set(self.server.name, "repos") if own else "KUGETSU_REPOS"
            cure = f"{setting}={','.join([*patterns, name])}"
            return [wrong("allowed", f"{name} is not among {setting}", where=where, why=_UNHEARD, cure=cure)]
        if repo.archived:
            cure = f"{self.server.url}/{name}/settings"
            return [wrong("repository", f"{name} is archived", where=where, why="nothing can be written", cure=cure)]
        if not repo.has_issues:
            cure = f"{self.server.url}/{name}/settings"
            return [wrong("repository", f"{name} has no issues", where=where, why="asks are made on issues", cure=cure)]
        if not may.admin:
            has = "write" if may.push else "read"
            why = "only an administrator may ask Gitea what another person may do there, and look after webhooks"
            cure = f"{self.server.url}/{name}/settings/collaboration"
            return [wrong("rights", f"the bot has {has} access", where=where, why=why, cure=cure)]
        return [well("rights", "the bot is an administrator", where)]

    def _labels(self, repo: Repository, where: str) -> Finding:
        names = {label.name for label in self.gitea.repo_labels(repo.full_name)}
        missing = [spec.name for spec in LABELS if spec.name not in names]
        if missing:
            why = "nobody can put on an issue what is not there; they are made with the webhook, or with the first ask"
            return warning("labels", f"{', '.join(missing)} missing", where=where, why=why, cure=self._mend(repo))
        return well("labels", "all there", where)

    def _file(self, repo: Repository, where: str) -> Finding:
        try:
            text = self.gitea.file(repo.full_name, PATH)
            parse((text or b"").decode(errors="replace"))
        except RepoFileWrong as problem:
            cure = f"{self.server.url}/{repo.full_name}/_edit/{repo.default_branch}/{PATH}"
            return warning("file", f"{PATH}: {problem}", where=where, why="the last good version holds", cure=cure)
        return well("file", f"{PATH} can be used" if text else f"no {PATH}, which is fine", where)

    def _webhook(self, repo: Repository, where: str) -> Iterator[Finding]:
        row = hooks.row_of(self.db, self.server.name, repo.full_name) if self.db is not None else None
        secrets = [secret.get_secret_value() for secret in self.server.webhook_secrets]
        wanted = Wanted.of(hooks.address_of(self.settings, self.server.name), secrets, repository_scope(repo.id))
        ours = Ours(row.hook_id, row.mark) if row is not None else Ours()
        try:
            judged = judge(self.gitea.hooks(repo.full_name), wanted, ours)
        except GiteaRefused as refused:
            yield unknown("webhook", f"Gitea does not show it: {refused}", where=where)
            return
        if judged.state == HookState.MISSING and row is not None and row.by is not None:
            judged = Judgement(HookState.FINE)
        yield self._finding(repo, judged, where)
        if judged.state == HookState.FINE and self.trip is not None:
            try:
                page = page_of(self.server.url, repo.full_name, judged.hook.id if judged.hook else None)
                yield self.trip.make(repo, judged.hook, where=where, page=page, mend=self._mend(repo))
            except GiteaError as error:
                yield unknown("round trip", f"it could not be tried: {error}", where=where)

    def _finding(self, repo: Repository, judged: Judgement, where: str) -> Finding:
        if judged.state != HookState.FINE:
            why = "what people say there is heard late, by looking, or not at all"
            return wrong("webhook", judged.sentence, where=where, why=why, cure=self._mend(repo))
        if judged.more:
            numbers = ", ".join(str(hook.id) for hook in judged.more)
            cure = page_of(self.server.url, repo.full_name, None)
            why = "each event arrives more than once, which does no harm"
            return warning("webhook", f"too many with our address: {numbers}", where=where, why=why, cure=cure)
        return well("webhook", "address, events and state are right", where)

    def _mend(self, repo: Repository) -> str:
        return mend(self.settings, repo.full_name, self.server.name)


_UNHEARD = "what is asked there is ignored"


def mend(settings: Settings, repo: str, server: str) -> str:
    """The command that has the running service make or mend the webhook and the labels. With several servers it says
    which, since two may have a repository of this name.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - what it listens on
    key = ' -H "Authorization: Bearer $KUGETSU_ADMIN_TOKEN"' if settings.admin_token is not None else ""
    host = f"[{host}]" if ":" in host else host
    if len(settings.servers) > 1:
        key += f""" --json '{{"server": "{server}"}}'"""
    return f"curl -X POST{key} http://{host}:{settings.port}/admin/repos/{repo}/webhook"
