"""What differs between Gitea's versions and Forgejo (facts, section 8)."""

from dataclasses import dataclass
from typing import Literal

Flavour = Literal["gitea", "forgejo"]
VERSIONS: dict[Flavour, str] = {"gitea": "1.27.0", "forgejo": "15.0.1+gitea-1.22.0"}


@dataclass(frozen=True)
class Dialect:
    flavour: Flavour = "gitea"
    version: str = VERSIONS["gitea"]

    @property
    def forgejo(self) -> bool:
        return self.flavour == "forgejo"

    def gitea(self, minor: int) -> bool:
        """Whether this is Gitea 1.`minor` or later (never true of Forgejo)."""
        return not self.forgejo and int(self.version.split(".")[1]) >= minor

    @property
    def put_labels_tells_none(self) -> bool:
        """A replacing PUT is announced with an empty set of labels (facts, section 2.3)."""
        return self.gitea(23)

    @property
    def pull_in_comment(self) -> bool:
        return self.forgejo or self.gitea(23)

    @property
    def labels_by_name(self) -> bool:
        return self.forgejo or self.gitea(22)

    @property
    def escapes_html(self) -> bool:
        """Go's JSON writes `<`, `>` and `&` as escapes; Gitea stopped that with 1.26."""
        return not self.gitea(26)

    @property
    def removed_reaction(self) -> int:
        return 204 if self.gitea(26) else 200

    @property
    def unknown_label(self) -> int:
        return 404 if self.gitea(27) else 422
