"""Where on Gitea the things are that the pages speak of."""

from __future__ import annotations

from collections.abc import Mapping

from peewee import Database

from models.settings import Settings
from models.tables import Job, Server


def server_urls(db: Database, settings: Settings) -> Mapping[str, str]:
    """The address of each server by its name, of those in the settings and those once known."""
    known = dict(Server.select(Server.name, Server.url).tuples().execute(db))
    return known | {name: server.url for name, server in settings.servers.items() if server.url}


def comment_url(row: Job, servers: Mapping[str, str]) -> str | None:
    """The comment that follows the job; None where there is none."""
    return _comment(row, servers, row.live_comment)


def result_url(row: Job, servers: Mapping[str, str]) -> str | None:
    """The closing comment; None where there is none."""
    return _comment(row, servers, row.result_comment)


def issue_url(row: Job, servers: Mapping[str, str]) -> str | None:
    """The issue or pull request of the job's conversation."""
    url = servers.get(row.thread.server)
    return f"{url}/{row.repo.name}/issues/{row.thread.issue}" if url else None


def pull_url(row: Job, servers: Mapping[str, str]) -> str | None:
    """The pull request to which the job's work went; None where there is none."""
    url, pull = servers.get(row.thread.server), row.pull or row.thread.pull
    return f"{url}/{row.repo.name}/pulls/{pull}" if url and pull else None


def _comment(row: Job, servers: Mapping[str, str], comment: int | None) -> str | None:
    url = servers.get(row.thread.server)
    if url is None or comment is None or comment < 0:
        return None
    return f"{url}/{row.repo.name}/issues/{row.said_on or row.thread.issue}#issuecomment-{comment}"
