"""What can happen to an issue, whoever brings it about: each change with its timeline row and its webhook."""

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.fakes.gitea import labels as labelling
from tests.fakes.gitea.forge import Forge
from tests.fakes.gitea.state import Attachment, Entry, Issue, Label, Reaction, Repo, User

CLOSING = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)\b", re.IGNORECASE)
REFERENCE = re.compile(r"(?:^|(?<=[\s(\[]))#(\d+)\b")


@dataclass(frozen=True)
class Draft:
    """What somebody wrote who opens an issue."""

    title: str
    body: str = ""
    labels: Sequence[Label] = ()
    assignees: Sequence[User] = ()


def new_number(repo: Repo) -> int:
    """Issues and pull requests share one number space."""
    return max(repo.issues, default=0) + 1


def open_issue(forge: Forge, repo: Repo, doer: User, draft: Draft) -> Issue:
    """Opens an issue; with labels a second event follows the first (facts, section 2.3)."""
    now = forge.state.now()
    issue = Issue(forge.state.next_id("issue"), new_number(repo), repo, doer, draft.title, draft.body, now, now)
    repo.issues[issue.number] = issue
    issue.assignees = list(draft.assignees)
    labelling.put_on(forge, issue, doer, draft.labels)
    mention(forge, issue, doer, f"{draft.title}\n{draft.body}")
    forge.announce(issue, doer, "opened")
    if draft.labels:
        forge.announce(issue, doer, "label_updated", kind="label")
    forge.state.touch()
    return issue


def edit(forge: Forge, issue: Issue, doer: User, *, title: str | None, body: str | None) -> None:
    """Changes title or text; one `edited` event for each of the two that really changed."""
    if title is not None and title != issue.title:
        old, issue.title = issue.title, title
        forge.note(issue, "change_title", doer, old_title=old, new_title=title)
        forge.announce(issue, doer, "edited", changes=forge.changes(title=old))
    if body is not None and body != issue.body:
        old, issue.body = issue.body, body
        issue.content_version += 1
        issue.updated_at = forge.state.now()
        forge.state.touch()
        mention(forge, issue, doer, body)
        forge.announce(issue, doer, "edited", changes=forge.changes(body=old))


def set_open(forge: Forge, issue: Issue, doer: User, *, is_open: bool, commit: str = "") -> None:
    """Closes or reopens, when it is not so already."""
    if (issue.state == "open") == is_open:
        return
    issue.state = "open" if is_open else "closed"
    issue.closed_at = None if is_open else forge.state.now()
    forge.note(issue, "reopen" if is_open else "close", doer)
    forge.announce(issue, doer, "reopened" if is_open else "closed", commit_id=commit)


def assign(forge: Forge, issue: Issue, doer: User, people: Sequence[User]) -> None:
    """Replaces the assignees; one event for each person who came or went."""
    for user in [user for user in issue.assignees if user not in people]:
        issue.assignees.remove(user)
        entry = forge.note(issue, "assignees", doer)
        entry.assignee, entry.removed_assignee = user, True
        forge.announce(issue, doer, "unassigned", kind="assign")
    for user in [user for user in people if user not in issue.assignees]:
        issue.assignees.append(user)
        forge.note(issue, "assignees", doer).assignee = user
        forge.announce(issue, doer, "assigned", kind="assign")


def comment(forge: Forge, issue: Issue, doer: User, text: str) -> Entry:
    entry = forge.note(issue, "comment", doer, text)
    mention(forge, issue, doer, text, kind="comment_ref")
    forge.announce_comment(issue, entry, doer, action="created")
    return entry


def edit_comment(forge: Forge, issue: Issue, entry: Entry, doer: User, *, text: str) -> None:
    """Changes a comment; nothing is announced when the text stays the same."""
    if text == entry.body:
        return
    old, entry.body = entry.body, text
    entry.updated_at = forge.state.now()
    forge.state.touch()
    forge.announce_comment(issue, entry, doer, action="edited", old=old)


def delete_comment(forge: Forge, issue: Issue, entry: Entry, doer: User) -> None:
    issue.entries.remove(entry)
    forge.state.touch()
    forge.announce_comment(issue, entry, doer, action="deleted")


def react(forge: Forge, on: Issue | Entry, doer: User, content: str) -> tuple[Reaction, bool]:
    """Adds a reaction; says whether it is new. There is no webhook for it, and no bump of `updated_at`."""
    for reaction in on.reactions:
        if reaction.user is doer and reaction.content == content:
            return reaction, False
    reaction = Reaction(doer, content, forge.state.now())
    on.reactions.append(reaction)
    forge.state.touch()
    return reaction, True


def unreact(forge: Forge, on: Issue | Entry, doer: User, content: str) -> None:
    gone = [item for item in on.reactions if item.user is doer and item.content == content]
    on.reactions[:] = [item for item in on.reactions if item not in gone]
    forge.state.touch()


def attach(forge: Forge, on: Issue | Entry, name: str, data: bytes) -> Attachment:
    asset = Attachment(forge.state.next_id("asset"), str(uuid.uuid4()), name, data, forge.state.now())
    on.attachments.append(asset)
    forge.state.touch()
    return asset


def mention(forge: Forge, issue: Issue, doer: User, text: str, *, kind: str = "") -> None:
    """Leaves a cross reference on each issue that the text names by `#n` (facts, section 6.5)."""
    kind = kind or ("pull_ref" if issue.pull else "issue_ref")
    closing = set(closed_by(text)) if issue.pull else set()
    for target in referred(issue.repo, text):
        if target is not issue:
            action = "closes" if target.number in closing else "none"
            forge.note(target, kind, doer, ref_issue=issue, ref_action=action)


def closed_by(text: str) -> list[int]:
    """The numbers that a text closes by keyword, each once (facts, section 6.6)."""
    return list(dict.fromkeys(int(found) for found in CLOSING.findall(text)))


def referred(repo: Repo, text: str) -> Iterable[Issue]:
    """The issues of this repository that a text names."""
    numbers = dict.fromkeys(int(number) for number in REFERENCE.findall(text))
    return [repo.issues[number] for number in numbers if number in repo.issues]
