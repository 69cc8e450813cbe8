"""Having Gitea tell a webhook of something, without anybody being bothered.

A test delivery is a push that was none. Where the version sends none to this webhook, or there is no commit, an empty
set of labels is added to an issue: nothing changes and nobody sees it, and Gitea tells of it all the same (seen on
1.26.3; services/issue/label.go).
"""

from __future__ import annotations

from contextlib import suppress

from jobs.gitea import Gitea, GiteaMissing
from models.wire import Hook, Issue


def send(gitea: Gitea, repo: str, hook: Hook | None) -> str | None:
    """Do it, and say what it was; None where the repository has nothing to tell of. `hook` is the one to be tried, None
    where it is not the repository's own. Raises `GiteaError`.
    """
    if hook is not None and "push" in (hook.events or ()):
        with suppress(GiteaMissing):  # no commits
            gitea.try_hook(repo, hook.id)
            return "a test delivery"
    issue = _any_issue(gitea, repo)
    if issue is None:
        return None
    gitea.touch_labels(repo, issue.number)
    return f"an empty change of labels on #{issue.number}"


def _any_issue(gitea: Gitea, repo: str) -> Issue | None:
    return next(iter(gitea.issues(repo, state="all")), None)
