"""Plain web pages, so that a person can look and act by hand: no login, everything is done by the demo person."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qsl, unquote

from tests.fakes.gitea.api import Answer, Request
from tests.fakes.gitea.people import PersonVerbs
from tests.fakes.gitea.pulls import Conflict
from tests.fakes.gitea.state import Entry, Issue, NotThere, Repo

HTML = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
pre { background: #f4f4f4; padding: .7rem; overflow-x: auto; white-space: pre-wrap; }
article { border: 1px solid #ccc; border-radius: 6px; margin: 1rem 0; padding: 0 1rem; }
.label { border-radius: 1em; padding: .1em .7em; border: 1px solid #999; }
form { display: inline-block; margin: .2rem .3rem .2rem 0; } textarea, input[type=text] { width: 100%; font: inherit; }
.add { color: #116329; } .del { color: #a40e26; } .muted { color: #666; }
"""
REPO = r"/(?P<owner>[^/]+)/(?P<name>[^/]+)"
ISSUE = REPO + r"/(?:issues|pulls)/(?P<n>\d+)"


@dataclass(frozen=True)
class Visit:
    """A request of a browser for one of the pages."""

    repo: str
    n: int
    form: Mapping[str, str]


class Pages:
    """The pages of one Gitea; `person` acts in them."""

    def __init__(self, verbs: PersonVerbs, person: str) -> None:
        self._verbs = verbs
        self._person = person
        self._state = verbs.forge.state
        self._routes: tuple[tuple[str, str, Callable[[Visit], Answer]], ...] = (
            ("GET", "/", lambda _: self._home()),
            ("GET", r"/attachments/(?P<owner>[^/]+)", self._attachment),
            ("GET", f"{REPO}(?:/issues|/pulls)?", self._repo),
            ("POST", f"{REPO}/issues", self._open),
            ("GET", ISSUE, self._issue),
            ("POST", f"{ISSUE}/comment", self._comment),
            ("POST", f"{ISSUE}/label", self._label),
            ("POST", f"{ISSUE}/state", self._set_open),
            ("POST", f"{ISSUE}/merge", self._merge),
        )

    def answer(self, request: Request) -> Answer | None:
        """A page; None when there is none of this address."""
        for method, pattern, page in self._routes:
            if method == request.method and (found := re.fullmatch(pattern, unquote(request.path))):
                if method == "POST" and not _same_origin(request):
                    return Answer(403, b"Forms of other pages are not welcome.\n", {"Content-Type": "text/plain"})
                groups = found.groupdict()
                name = f"{groups.get('owner', '')}/{groups.get('name', '')}".rstrip("/")
                visit = Visit(name, int(groups.get("n") or 0), dict(parse_qsl(request.raw.decode())))
                return self._turn(page, visit)
        return None

    def _turn(self, page: Callable[[Visit], Answer], visit: Visit) -> Answer:
        try:
            with self._state.lock:
                return page(visit)
        except NotThere as problem:
            return _page("Not found", f"<p>{escape(str(problem))}</p>", status=404)
        except PermissionError as problem:
            return _page("Not allowed", f"<p>{escape(str(problem))}</p>", status=403)
        except Conflict as problem:
            return _page("Conflict", f"<p>{escape(str(problem))}</p>", status=409)

    def _home(self) -> Answer:
        rows = [f"<h2>{_link(repo)}</h2>{_issue_list(repo)}" for repo in self._state.repos.values()]
        return _page("Repositories", "".join(rows))

    def _repo(self, visit: Visit) -> Answer:
        repo = self._state.repo(visit.repo)
        form = _form(
            f"/{repo.full_name}/issues",
            '<input type="text" name="title" placeholder="Title" required>'
            '<textarea name="body" rows="4" placeholder="Description"></textarea>',
            "Open an issue",
        )
        return _page(repo.full_name, f"{_issue_list(repo)}<h2>New issue</h2>{form if self._person else ''}")

    def _open(self, visit: Visit) -> Answer:
        title, body = visit.form.get("title", "").strip(), visit.form.get("body", "")
        issue = self._verbs.open_issue(visit.repo, self._person, title or "(no title)", body)
        return _to(issue)

    def _comment(self, visit: Visit) -> Answer:
        issue = self._state.issue(visit.repo, visit.n)
        if text := visit.form.get("text", "").strip():
            self._verbs.comment(visit.repo, issue, text, self._person)
        return _to(issue)

    def _label(self, visit: Visit) -> Answer:
        """Puts the label on, or takes it off when it is there."""
        issue, name = self._state.issue(visit.repo, visit.n), visit.form.get("name", "")
        on = name in {label.name for label in issue.labels}
        (self._verbs.unlabel if on else self._verbs.label)(visit.repo, issue, name, self._person)
        return _to(issue)

    def _set_open(self, visit: Visit) -> Answer:
        issue = self._state.issue(visit.repo, visit.n)
        (self._verbs.close if issue.state == "open" else self._verbs.reopen)(visit.repo, issue, self._person)
        return _to(issue)

    def _merge(self, visit: Visit) -> Answer:
        issue = self._state.issue(visit.repo, visit.n)
        self._verbs.merge(visit.repo, issue, self._person)
        return _to(issue)

    def _attachment(self, visit: Visit) -> Answer:
        for repo in self._state.repos.values():
            for issue in repo.issues.values():
                for asset in [*issue.attachments, *(a for entry in issue.entries for a in entry.attachments)]:
                    if asset.uuid == visit.repo:
                        return Answer(200, asset.data, {"Content-Type": "application/octet-stream"})
        raise NotThere(f"no attachment {visit.repo}")

    def _issue(self, visit: Visit) -> Answer:
        issue = self._state.issue(visit.repo, visit.n)
        parts = [f'<p class="muted">{_link(issue.repo)} · {issue.state} · opened by {escape(issue.user.login)}</p>']
        parts += [f"<p>{''.join(_chip(label.name, label.color) for label in issue.labels) or 'no labels'}</p>"]
        parts += [f"<pre>{escape(issue.body) or '(no text)'}</pre>", self._diff(issue)]
        parts += [_article(entry) for entry in issue.comments]
        parts += [self._controls(issue)] if self._person else []
        return _page(f"{issue.title} #{issue.number}", "".join(parts))

    def _diff(self, issue: Issue) -> str:
        pull = issue.pull
        if pull is None:
            return ""
        rows = [_diff_line(line) for line in issue.repo.git.diff(pull.merge_base, pull.head_sha).splitlines()]
        state = "merged" if pull.merged else issue.state
        ends = f"{escape(pull.head_branch)} → {escape(pull.base_branch)}, {state}"
        return f"<p>{ends}</p><pre>{chr(10).join(rows) or '(no changes)'}</pre>"

    def _controls(self, issue: Issue) -> str:
        here = _address(issue)
        labels = sorted(self._state.labels_for(issue.repo), key=lambda label: label.name)
        on = {label.name for label in issue.labels}
        buttons = [
            _form(
                f"{here}/label",
                _hidden("name", label.name),
                ("\N{MINUS SIGN} " if label.name in on else "+ ") + label.name,
            )
            for label in labels
        ]
        words = "Close" if issue.state == "open" else "Reopen"
        buttons += [] if issue.pull and issue.pull.merged else [_form(f"{here}/state", "", words)]
        if issue.pull and issue.state == "open":
            buttons.append(_form(f"{here}/merge", "", "Merge"))
        text = '<textarea name="text" rows="5" cols="80" placeholder="Comment" required></textarea><br>'
        comment = _form(f"{here}/comment", text, f"Comment as {self._person}")
        return f"<h2>Act as {escape(self._person)}</h2>{''.join(buttons)}<div>{comment}</div>"


def _same_origin(request: Request) -> bool:
    """A form of a foreign page must not act here, although there is no login."""
    origin = request.headers.get("origin", "")
    return not origin or origin.partition("://")[2] == request.headers.get("host", "")


def _page(title: str, body: str, *, status: int = 200) -> Answer:
    home = '<p><a href="/">All repositories</a></p>'
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    text = f"{head}{view}<style>{STYLE}</style><body>{home}<h1>{escape(title)}</h1>{body}</body></html>\n"
    return Answer(status, text.encode(), dict(HTML))


def _to(issue: Issue) -> Answer:
    return Answer(303, b"", {"Location": _address(issue)})


def _address(issue: Issue) -> str:
    return f"/{issue.repo.full_name}/{'pulls' if issue.pull else 'issues'}/{issue.number}"


def _link(repo: Repo) -> str:
    return f'<a href="/{escape(repo.full_name)}">{escape(repo.full_name)}</a>'


def _issue_list(repo: Repo) -> str:
    rows = [
        f'<li><a href="{escape(_address(issue))}">#{issue.number} {escape(issue.title)}</a> '
        f"{'pull request' if issue.pull else 'issue'}, {issue.state} "
        f"{''.join(_chip(label.name, label.color) for label in issue.labels)}</li>"
        for issue in reversed(repo.issues.values())
    ]
    return f"<ul>{''.join(rows)}</ul>" if rows else "<p>No issues yet.</p>"


def _chip(name: str, color: str) -> str:
    return f'<span class="label" style="border-color: #{escape(color)}">{escape(name)}</span> '


def _article(entry: Entry) -> str:
    marks = " ".join(escape(f"{reaction.user.login}: {reaction.content}") for reaction in entry.reactions)
    when = entry.created_at.isoformat(" ")
    head = f'<p id="issuecomment-{entry.id}" class="muted">{escape(entry.user.login)}, {when} {marks}</p>'
    return f"<article>{head}<pre>{escape(entry.body)}</pre></article>"


def _diff_line(line: str) -> str:
    kind = {"+": "add", "-": "del"}.get(line[:1])
    return f'<span class="{kind}">{escape(line)}</span>' if kind else escape(line)


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


def _form(action: str, fields: str, button: str) -> str:
    return f'<form method="post" action="{escape(action)}">{fields}<button>{escape(button)}</button></form>'
