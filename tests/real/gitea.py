"""A real Gitea with the verbs of the fake: `with RealGitea(server) as gitea: …`."""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from tests.fakes.gitea import Delivery, Entry, Issue, NotThere, Remark, Review
from tests.fakes.gitea.gitrepo import BareRepo, Files, Ident
from tests.real.looks import reactions_path
from tests.real.seat import Refused
from tests.real.setting import RealSetting
from tests.real.values import entry_of, review_of

Found = TypeVar("Found")
Number = int | Issue
TICK_SECONDS = 0.05
# Gitea looks whether a pull request can be merged in the background, and says 405 until it has.
MERGE_SECONDS = 20.0
NOT_YET = 405
SHOWN_DELIVERIES, SHOWN_TEXT, SHOWN_LOG = 12, 300, 2000


class RealGitea(RealSetting):
    """One test's time on a real Gitea, which must be its only user meanwhile.

    Every verb is done over HTTP or git by the person named in `by`, with their own rights. What the test made is
    taken away at the end, so that the next one can use the same names.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def open_issue(self, repo: str, by: str, title: str, body: str = "", labels: Sequence[str] = ()) -> Issue:
        """The web form: any reader may choose labels in it (facts, section 6.3)."""
        ids = ",".join(str(self._label_id(repo, name)) for name in labels)
        form = {"title": title, "content": body, "label_ids": ids}
        link = self.server.seat(by).submit(f"/{repo}/issues/new", **form).json()["redirect"]
        return self.issue_of(repo, int(link.rpartition("/")[2]))

    def edit_issue(self, repo: str, n: Number, by: str, *, title: str | None = None, body: str | None = None) -> None:
        given = {name: text for name, text in (("title", title), ("body", body)) if text is not None}
        self.server.seat(by).api("PATCH", _path(repo, n), given)

    def label(self, repo: str, n: Number, name: str, by: str) -> None:
        """Puts a label on, which must exist."""
        self.server.seat(by).api("POST", _path(repo, n, "/labels"), {"labels": [self._label_id(repo, name)]})

    def unlabel(self, repo: str, n: Number, name: str, by: str) -> None:
        self.server.seat(by).api("DELETE", _path(repo, n, f"/labels/{self._label_id(repo, name)}"))

    def clear_labels(self, repo: str, n: Number, by: str) -> None:
        self.server.seat(by).api("DELETE", _path(repo, n, "/labels"))

    def comment(self, repo: str, n: Number, text: str, by: str) -> Entry:
        return entry_of(self.server.seat(by).api("POST", _path(repo, n, "/comments"), {"body": text}))

    def edit_comment(self, repo: str, comment: int | Entry, text: str, by: str) -> None:
        self.server.seat(by).api("PATCH", _comment_path(repo, comment), {"body": text})

    def delete_comment(self, repo: str, comment: int | Entry, by: str) -> None:
        self.server.seat(by).api("DELETE", _comment_path(repo, comment))

    def react(self, repo: str, on: Number | Entry, content: str, by: str) -> None:
        self.server.seat(by).api("POST", f"{reactions_path(repo, on)}/reactions", {"content": content})

    def close(self, repo: str, n: Number, by: str) -> None:
        self.server.seat(by).api("PATCH", _path(repo, n), {"state": "closed"})

    def reopen(self, repo: str, n: Number, by: str) -> None:
        self.server.seat(by).api("PATCH", _path(repo, n), {"state": "open"})

    def push(self, repo: str, branch: str, files: Files, by: str, message: str = "Change files\n") -> str:
        """Commits and pushes with git (None as content deletes a file); gives the new commit."""
        seat, remote = self.server.seat(by), self._repo(repo)
        address = f"{seat.git_url}{urlsplit(self.url).path}/{repo}.git"
        with tempfile.TemporaryDirectory() as folder:
            clone = BareRepo.create(Path(folder) / "clone.git", remote.default_branch)
            clone.run("fetch", "--quiet", address, "+refs/heads/*:refs/heads/*")
            refs = clone.refs()
            start = refs.get(f"refs/heads/{branch}") or refs.get(f"refs/heads/{remote.default_branch}")
            made = clone.commit(branch, files, Ident(by, seat.email), message, start=start)
            clone.run("push", "--quiet", address, f"refs/heads/{branch}")
        return made

    def delete_branch(self, repo: str, branch: str, by: str) -> None:
        self.server.seat(by).api("DELETE", f"/repos/{repo}/branches/{branch}")

    def open_pull(self, repo: str, by: str, head: str, *, title: str, body: str = "", base: str = "") -> Issue:
        """A pull request from a branch (`person:branch` for one of a fork) to the default branch or `base`."""
        place = self._repo(repo)
        draft = {"head": head, "base": base or place.default_branch, "title": title, "body": body}
        return self._issue(place, self.server.seat(by).api("POST", f"/repos/{repo}/pulls", draft))

    def merge(self, repo: str, n: Number, by: str, *, how: str = "merge", delete_branch: bool = False) -> str:
        """Presses the merge button; gives the new commit of the base branch."""
        pull = self.issue_of(repo, _number(n)).pull
        assert pull is not None, f"{repo}#{_number(n)} is no pull request"
        wish = {"do": how, "delete_branch_after_merge": delete_branch}
        self.wait_until(lambda: self._merged(repo, _number(n), by, wish), f"#{_number(n)} to merge", MERGE_SECONDS)
        return self.branches_of(repo)[pull.base_branch]

    def _merged(self, repo: str, n: int, by: str, wish: dict[str, Any]) -> bool:
        try:
            self.server.seat(by).api("POST", f"/repos/{repo}/pulls/{n}/merge", wish)
        except Refused as refused:
            if refused.status != NOT_YET:
                raise
            return False
        return True

    def review(
        self,
        repo: str,
        n: Number,
        by: str,
        body: str = "",
        *,
        remarks: Sequence[Remark] = (),
        state: str = "COMMENT",
    ) -> Review:
        """A review with inline remarks; `state` may be APPROVED or REQUEST_CHANGES."""
        rows = [
            {
                "path": remark.path,
                "body": remark.body,
                "new_position": remark.new_position,
                "old_position": remark.old_position,
            }
            for remark in remarks
        ]
        path = f"/repos/{repo}/pulls/{_number(n)}/reviews"
        seat = self.server.seat(by)
        made = seat.api("POST", path, {"event": state, "body": body, "comments": rows})
        return review_of(made, seat.api("GET", f"{path}/{made['id']}/comments") or [])

    def reply(self, repo: str, n: Number, to: Entry, text: str, by: str) -> Entry:
        """Answers below an inline remark with the form on the page, which is all that versions before 1.27 have."""
        path = f"/repos/{repo}/pulls/{_number(n)}/reviews"
        review = next(each for each in self.reviews_of(repo, _number(n)) if to.id in {c.id for c in each.comments})
        place = {"path": str(to.details["path"]), "line": str(to.details["new_position"]), "side": "proposed"}
        form = {"origin": "timeline", "content": text, "reply": str(review.id), "single_review": "true", **place}
        seat = self.server.seat(by)
        seat.submit(f"/{repo}/pulls/{_number(n)}/files/reviews/comments", **form)
        found = review_of(seat.api("GET", f"{path}/{review.id}"), seat.api("GET", f"{path}/{review.id}/comments"))
        return max(found.comments, key=lambda entry: entry.id)

    def redeliver(self, delivery: Delivery) -> Delivery:
        """The button under Recent Deliveries: the same text with a UUID of its own."""
        before = {item.id for item in self.deliveries}
        self.admin.submit(f"{self._log.settings_page(delivery.hook.id)}/replay/{delivery.uuid}")
        made = [item for item in self.deliveries if item.id not in before and item.text == delivery.text]
        assert made, f"no new delivery after the replay of {delivery}"
        made[0].replay_of = delivery
        return made[0]

    def wait_until(self, predicate: Callable[[], Found], what: str, timeout: float = 20.0) -> Found:
        """Looks every 50 ms until the predicate gives something true, and gives that: a real server notifies nobody.

        A look that takes longer is followed by a rest as long, so that looking is never most of what the server does.
        Raises AssertionError with the story so far when it takes longer than `timeout` seconds.
        """
        until = time.monotonic() + timeout
        while True:
            began = time.monotonic()
            if found := predicate():
                return found
            if time.monotonic() > until:
                raise AssertionError(f"waited {timeout:g} s for {what}; what did happen:\n{self.story()}")
            time.sleep(max(TICK_SECONDS, time.monotonic() - began))

    def settle(self, timeout: float = 20.0) -> None:
        """Waits until what was pushed has been looked at and every webhook has been sent."""
        self.server.flush(timeout)
        self.wait_until(lambda: not self._log.pending(), "all webhooks sent", timeout)

    def story(self) -> str:
        """What is on this Gitea and what it sent, for whoever reads a failed test."""
        lines: list[str] = []
        for repo in self._repositories:
            with suppress(NotThere):  # a fork has no issues
                lines += self._issue_lines(repo)
        lines += ["deliveries:", *(f"  {delivery}" for delivery in self.deliveries[-SHOWN_DELIVERIES:])]
        return "\n".join([*lines, "the server wrote:", self.server.log()[-SHOWN_LOG:]])

    def _issue_lines(self, repo: str) -> list[str]:
        lines = []
        for issue in (*self.issues_of(repo), *self.pulls_of(repo)):
            labels = sorted(label.name for label in issue.labels)
            kind = f"pull {issue.pull.head_branch} -> {issue.pull.base_branch}" if issue.pull else "issue"
            lines.append(f"{repo}#{issue.number} {kind} {issue.state} {labels}: {issue.title}")
            for entry in issue.comments:
                marks = [content for _, content in self.reactions_of(repo, entry)]
                lines.append(f"  comment {entry.id} by {entry.user.login} {marks}: {entry.body[:SHOWN_TEXT]}")
        return lines


def _number(n: Number) -> int:
    return n if isinstance(n, int) else n.number


def _path(repo: str, n: Number, rest: str = "") -> str:
    return f"/repos/{repo}/issues/{_number(n)}{rest}"


def _comment_path(repo: str, comment: int | Entry) -> str:
    return f"/repos/{repo}/issues/comments/{comment.id if isinstance(comment, Entry) else comment}"
