"""A small stateful Gitea for tests and the demo: real HTTP, real git, signed webhooks for every change.

It knows nothing of what is tested against it. Whatever it does not know ends in `FakeGitea.unexpected`.

"The facts" in these modules are what was read in the source of Gitea and Forgejo and in captured deliveries; they are
kept beside the repository, in `../shared/gitea/facts.md`.
"""

from tests.fakes.gitea.ear import Ear
from tests.fakes.gitea.faults import Fault
from tests.fakes.gitea.gitrepo import Commit
from tests.fakes.gitea.places import BOT_SCOPES
from tests.fakes.gitea.pulls import Remark
from tests.fakes.gitea.record import Exchange
from tests.fakes.gitea.server import FakeGitea, OnExchange
from tests.fakes.gitea.state import Entry, Hook, Issue, Label, NotThere, Pull, Repo, Review, User
from tests.fakes.gitea.webhooks import Delivery

__all__ = [
    "BOT_SCOPES",
    "Commit",
    "Delivery",
    "Ear",
    "Entry",
    "Exchange",
    "FakeGitea",
    "Fault",
    "Hook",
    "Issue",
    "Label",
    "NotThere",
    "OnExchange",
    "Pull",
    "Remark",
    "Repo",
    "Review",
    "User",
]
