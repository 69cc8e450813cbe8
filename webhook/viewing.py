"""Who looks at the admin side, and what of it they may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from peewee import Database, Expression

from models.settings import DEFAULT_SERVER
from models.tables import Delivery, Job, Repo


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who may look. `repos` are the repositories of the default server that one who does not see all may
    write to, in lower case; `csrf` is what each form of theirs must carry, "" where no browser sends anything of
    theirs by itself.
    """

    name: str
    sees_all: bool
    csrf: str = ""
    repos: frozenset[str] = frozenset()
    signed_in: bool = False

    def may_see(self, server: str, repo: str) -> bool:
        """Whether this repository is one of theirs."""
        return self.sees_all or (server == DEFAULT_SERVER and repo.lower() in self.repos)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a viewer sees of the tables: `repo_ids` is None for one who sees all."""

    repo_ids: tuple[int, ...] | None
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, db: Database, viewer: Viewer) -> Sight:
        """Reads which of the known repositories they are."""
        if viewer.sees_all:
            return cls(None)
        rows = Repo.select(Repo.id, Repo.server, Repo.name).execute(db)
        mine = [row for row in rows if viewer.may_see(row.server, row.name)]
        return cls(tuple(row.id for row in mine), tuple(row.name for row in mine))

    def jobs(self, query: Any) -> Any:
        """`query` of jobs without those that are not theirs."""
        return query if self.repo_ids is None else query.where(Job.repo.in_(self.repo_ids))

    def deliveries(self, query: Any) -> Any:
        """`query` of deliveries without those that are not theirs."""
        return query if self.repo_ids is None else query.where(self._delivered())

    def sees(self, repo_id: int) -> bool:
        """Whether what belongs to this repository is theirs."""
        return self.repo_ids is None or repo_id in self.repo_ids

    def _delivered(self) -> Expression:
        here: Expression = (Delivery.server == DEFAULT_SERVER) & Delivery.repo.in_(self.names)
        return here
