"""Labels: the exclusive scopes, and what Gitea says (rightly or wrongly) when they change (facts, section 2.3)."""

from collections.abc import Sequence

from tests.fakes.gitea.forge import Forge
from tests.fakes.gitea.state import Issue, Label, User
from tests.fakes.gitea.wire import Json


def put_on(forge: Forge, issue: Issue, doer: User, labels: Sequence[Label]) -> None:
    """Adds labels one by one; each drives its exclusive siblings away."""
    for label in labels:
        if label in issue.labels:
            continue
        for sibling in [other for other in issue.labels if label.scope and other.scope == label.scope]:
            _take(forge, issue, doer, sibling)
        issue.labels.append(label)
        forge.note(issue, "label", doer, "1").label = label


def add(forge: Forge, issue: Issue, doer: User, labels: Sequence[Label]) -> None:
    """One event for the whole call, also when nothing changed."""
    put_on(forge, issue, doer, labels)
    forge.announce(issue, doer, "label_updated", kind="label")


def remove(forge: Forge, issue: Issue, doer: User, label: Label) -> None:
    """One event, also when the label was not there."""
    if label in issue.labels:
        _take(forge, issue, doer, label)
    forge.announce(issue, doer, "label_updated", kind="label")


def replace(forge: Forge, issue: Issue, doer: User, labels: Sequence[Label]) -> None:
    """Sets exactly these labels; Gitea 1.23 and later announce that with an empty set."""
    for label in [label for label in issue.labels if label not in labels]:
        _take(forge, issue, doer, label)
    put_on(forge, issue, doer, labels)
    told: list[Json] | None = [] if forge.dialect.put_labels_tells_none else None
    forge.announce(issue, doer, "label_updated", kind="label", labels=told)


def clear(forge: Forge, issue: Issue, doer: User) -> None:
    """Removes all labels; the event carries the ones that were there."""
    old = list(issue.labels)
    for label in old:
        _take(forge, issue, doer, label)
    told = forge.shapes.labels(issue.repo, old)
    forge.announce(issue, doer, "label_cleared", kind="label", labels=told)


def _take(forge: Forge, issue: Issue, doer: User, label: Label) -> None:
    issue.labels.remove(label)
    forge.note(issue, "label", doer, "").label = label
