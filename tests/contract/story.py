"""A story in which nearly everything happens that people do to issues and pull requests, told on any Gitea."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from tests.fakes.gitea import Remark
from tests.forge_protocol import AnyGitea

REPO = "acme/widgets"
R = f"/repos/{REPO}"
BOT = "kugetsu"
EVENTS = ("issues", "pull_request", "push", "create", "delete")
Told = tuple[str, str, dict[str, Any]]
Do = Callable[[AnyGitea], object]


@dataclass(frozen=True)
class Chapter:
    """What one step of the story made the server announce: event type, action, payload.

    Sorted: the order in which the events of one step come is nobody's promise.
    """

    title: str
    told: list[Told]

    @property
    def summary(self) -> list[str]:
        """Each delivery as "type action by whom"."""
        return [f"{kind} {action} by {payload['sender']['login']}" for kind, action, payload in self.told]


def set_scene(gitea: AnyGitea, listener: str) -> None:
    """One owner, a writer, a reader, the bot, somebody who may write as a member of a team; a webhook."""
    for login in ("ada", "bob", BOT, "owen"):
        gitea.user(login)
    gitea.org("acme", owners=("owen",))
    people: dict[str, Any] = {"ada": "write", "bob": "read", BOT: "admin", "tess": "team-write"}
    gitea.repo(REPO, files={"app.py": "print(1)\n", "docs/a.md": "a\n"}, collaborators=people)
    gitea.create_label(REPO, "bug")
    for name in ("kugetsu/code", "kugetsu/done"):
        gitea.create_label(REPO, name, exclusive=True)
    gitea.hook(REPO, listener, "a-secret", EVENTS)


def tell(gitea: AnyGitea) -> Iterator[Chapter]:
    """Does one step after the other, each when all of the one before has been announced."""
    for title, act in (*ABOUT_ISSUES, *ABOUT_PULLS):
        before = len(gitea.deliveries)
        act(gitea)
        gitea.settle()
        if late := LATE.get(title):
            gitea.wait_until(partial(_was_told, gitea, before, late), f"the event {late}")
            gitea.settle()
        told = [(item.event_type, item.payload.get("action", ""), item.payload) for item in gitea.deliveries[before:]]
        yield Chapter(title, sorted(told, key=lambda item: item[:2]))


def _was_told(gitea: AnyGitea, before: int, kind: str) -> bool:
    return any(item.event_type == kind for item in gitea.deliveries[before:])


# Steps whose last event comes from a task that no queue knows of.
LATE = {"push to it": "pull_request_sync"}


def _edit_first_comment(text: str, by: str) -> Do:
    return lambda gitea: gitea.edit_comment(REPO, gitea.comments_of(REPO, 2)[0], text, by)


ABOUT_ISSUES: tuple[tuple[str, Do], ...] = (
    ("a reader chooses a label", lambda g: g.open_issue(REPO, "bob", "<b> & more", "It crashes\r\n", ["kugetsu/code"])),
    ("a writer opens", lambda g: g.open_issue(REPO, "ada", "Second", "See #1 and @bob")),
    ("label", lambda g: g.label(REPO, 2, "kugetsu/code", "ada")),
    ("label of the same scope", lambda g: g.label(REPO, 2, "kugetsu/done", "ada")),
    ("label that is there", lambda g: g.label(REPO, 2, "kugetsu/done", "ada")),
    ("label by a member of a team", lambda g: g.label(REPO, 2, "bug", "tess")),
    ("unlabel", lambda g: g.unlabel(REPO, 2, "bug", "ada")),
    ("unlabel what is not there", lambda g: g.unlabel(REPO, 2, "bug", "ada")),
    ("clear", lambda g: g.clear_labels(REPO, 2, "ada")),
    ("clear what is clear", lambda g: g.clear_labels(REPO, 2, "ada")),
    ("comment", lambda g: g.comment(REPO, 2, "/kugetsu do <it> & #1", "ada")),
    ("edit the comment", _edit_first_comment("/kugetsu do it", "ada")),
    ("edit nothing", _edit_first_comment("/kugetsu do it", "ada")),
    ("edit somebody else's", _edit_first_comment("/kugetsu do it!", BOT)),
    ("a reader comments", lambda g: g.comment(REPO, 2, "hello", "bob")),
    ("react", lambda g: g.react(REPO, g.comments_of(REPO, 2)[1], "eyes", BOT)),
    ("delete a comment", lambda g: g.delete_comment(REPO, g.comments_of(REPO, 2)[1], "bob")),
    ("edit title and text", lambda g: g.edit_issue(REPO, 2, "ada", title="Second!", body="New")),
    ("close", lambda g: g.close(REPO, 2, "ada")),
    ("close what is closed", lambda g: g.close(REPO, 2, "ada")),
    ("reopen", lambda g: g.reopen(REPO, 2, "ada")),
)
ABOUT_PULLS: tuple[tuple[str, Do], ...] = (
    ("push a new branch", lambda g: g.push(REPO, "kugetsu/issue-2", {"app.py": "print(2)\n", "new.py": "n\n"}, BOT)),
    ("open a pull request", lambda g: g.open_pull(REPO, BOT, "kugetsu/issue-2", title="Mend it", body="Closes #2")),
    ("label it", lambda g: g.label(REPO, 3, "kugetsu/code", "ada")),
    ("comment on it", lambda g: g.comment(REPO, 3, "/kugetsu more", "ada")),
    ("push to it", lambda g: g.push(REPO, "kugetsu/issue-2", {"app.py": "print(3)\n"}, BOT, "More\n")),
    ("review it", lambda g: g.review(REPO, 3, "ada", "Please", remarks=[Remark("app.py", "why?", 1)])),
    ("approve it", lambda g: g.review(REPO, 3, "ada", "Good", state="APPROVED")),
    ("reject it", lambda g: g.review(REPO, 3, "ada", "Bad", state="REQUEST_CHANGES")),
    ("remark on it", lambda g: g.review(REPO, 3, "bob", remarks=[Remark("app.py", "hm", 1)])),
    ("merge it", lambda g: g.merge(REPO, 3, "ada", delete_branch=True)),
    ("a fourth issue", lambda g: g.open_issue(REPO, "ada", "Fourth")),
    ("a commit closes it", lambda g: g.push(REPO, "main", {"x": "x\n"}, "ada", "Fix it, closes #4\n")),
    ("push a topic", lambda g: g.push(REPO, "topic", {"y": "y\n"}, "ada", "Topic, see #1\n")),
    ("a pull request of it", lambda g: g.open_pull(REPO, "ada", "topic", title="Topic")),
    ("close the pull request", lambda g: g.close(REPO, 5, "ada")),
    ("reopen the pull request", lambda g: g.reopen(REPO, 5, "ada")),
    ("delete its branch", lambda g: g.delete_branch(REPO, "topic", "ada")),
    ("one more branch", lambda g: g.push(REPO, "other", {"o": "o\n"}, BOT)),
)

READS = (
    "/version",
    "/user",
    R,
    f"{R}/labels",
    f"{R}/issues?state=all",
    f"{R}/issues?state=open&labels=nobody-made-this",
    *(f"{R}/issues/{n}" for n in (1, 2, 3, 99)),
    f"{R}/issues/1/labels",
    f"{R}/issues/99/labels",
    f"{R}/issues/2/comments",
    f"{R}/issues/99/comments",
    *(f"{R}/issues/{n}/timeline" for n in (1, 2, 3, 4, 99)),
    f"{R}/issues/comments",
    f"{R}/issues/comments/9999999",
    f"{R}/issues/2/reactions",
    *(f"{R}/collaborators/{login}/permission" for login in ("ada", "bob", "tess", "owen", BOT, "nobody")),
    f"{R}/pulls?state=all",
    *(f"{R}/pulls/{n}" for n in (3, 2, 99)),
    f"{R}/branches/main",
    f"{R}/branches/kugetsu/issue-2",
    f"{R}/hooks",
    "/repos/acme/none",
)
WRITES: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("POST", f"{R}/issues/1/comments", {"body": ""}),
    ("POST", f"{R}/issues/99/comments", {"body": "x"}),
    ("POST", f"{R}/issues/1/labels", {"labels": [999999]}),
    ("POST", f"{R}/issues/1/labels", {"labels": ["nobody-made-this"]}),
    ("PUT", f"{R}/issues/1/labels", {"labels": ["bug"]}),
    ("DELETE", f"{R}/issues/1/labels/999999", None),
    ("POST", f"{R}/issues/1/reactions", {"content": "eyes"}),
    ("POST", f"{R}/issues/1/reactions", {"content": "eyes"}),
    ("POST", f"{R}/issues/1/reactions", {"content": "banana"}),
    ("POST", f"{R}/labels", {"name": "x", "color": "no"}),
    ("POST", f"{R}/labels", {"name": "bug", "color": "#ffffff"}),
    ("POST", f"{R}/pulls", {"head": "none", "base": "main", "title": "t"}),
    ("POST", f"{R}/pulls", {"head": "other", "base": "main", "title": "t", "body": "b"}),
    ("POST", f"{R}/pulls", {"head": "other", "base": "main", "title": "t"}),
    ("PATCH", f"{R}/pulls/3", {"title": "New"}),
    ("PATCH", f"{R}/issues/comments/9999999", {"body": "x"}),
    ("POST", f"{R}/hooks", {"type": "gitea", "config": {}}),
    ("POST", f"{R}/issues", {"title": ""}),
)
REFUSED: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("GET", f"{R}/hooks", None),
    ("GET", f"{R}/collaborators/ada/permission", None),
    ("POST", f"{R}/issues/1/labels", {"labels": ["bug"]}),
    ("POST", f"{R}/labels", {"name": "y", "color": "#ffffff"}),
    ("PATCH", f"{R}/issues/2", {"title": "x"}),
)


@dataclass(frozen=True)
class Reply:
    """An answer of the API: `body` is JSON, or the text where it is none."""

    asked: str
    status: int
    total: str | None
    body: Any


def ask(gitea: AnyGitea) -> list[Reply]:
    """The requests a bot makes, and some that are refused, after the story."""
    by_bot = [("GET", path, None) for path in READS] + list(WRITES)
    replies = [_reply(gitea, "the bot", gitea.token_for(BOT), *each) for each in by_bot]
    reader, weak = gitea.token_for("bob"), gitea.token_for(BOT, ["read:issue"])
    replies += [_reply(gitea, "a reader", reader, *each) for each in REFUSED]
    for path in ("/user", R, f"{R}/issues/1"):
        replies.append(_reply(gitea, "a weak token", weak, "GET", path, None))
        replies.append(_reply(gitea, "a wrong token", "1" * 40, "GET", path, None))
        replies.append(_reply(gitea, "nobody", "", "GET", path, None))
    return replies


def _reply(gitea: AnyGitea, who: str, token: str, *request: Any) -> Reply:
    method, path, body = request
    headers = {"Authorization": f"token {token}"} if token else {}
    url = f"{gitea.url}/api/v1{path}"
    with httpx.Client(trust_env=False, headers=headers) as client:
        answer = client.request(method, url, json=body)
    asked = f"{method} {path} {body or ''} by {who}"
    is_json = answer.headers.get("Content-Type", "").startswith("application/json")
    return Reply(
        asked, answer.status_code, answer.headers.get("X-Total-Count"), answer.json() if is_json else answer.text
    )
