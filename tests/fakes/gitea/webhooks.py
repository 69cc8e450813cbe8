"""Sending webhooks as Gitea does: one attempt, five seconds, never again (facts, sections 1.1 to 1.3)."""

import fnmatch
import gzip
import hashlib
import hmac
import http.client
import ipaddress
import queue
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote_plus, urlsplit

import msgspec

from tests.fakes.gitea.dialect import Dialect
from tests.fakes.gitea.state import Hook, Repo, State
from tests.fakes.gitea.wire import Json

TIMEOUT = 5.0
KEPT_ANSWER = 1 << 20

# HookEventType (the Event-Type header) where it differs from the coarse Event header.
COARSE = {
    "issue_assign": "issues",
    "issue_label": "issues",
    "issue_milestone": "issues",
    "pull_request_assign": "pull_request",
    "pull_request_label": "pull_request",
    "pull_request_milestone": "pull_request",
    "pull_request_sync": "pull_request",
    "pull_request_review_request": "pull_request",
    "pull_request_comment": "issue_comment",
    "pull_request_review_approved": "pull_request_approved",
    "pull_request_review_rejected": "pull_request_rejected",
    "pull_request_review_comment": "pull_request_comment",
}
ISSUE_GROUP = ("issues", "issue_assign", "issue_label", "issue_milestone", "issue_comment")
REVIEW_GROUP = tuple(f"pull_request_review_{kind}" for kind in ("approved", "rejected", "comment"))
PULL_GROUP = (
    "pull_request",
    *(f"pull_request_{kind}" for kind in ("assign", "label", "milestone", "comment")),
    *REVIEW_GROUP,
    "pull_request_sync",
    "pull_request_review_request",
)
PLAIN = ("create", "delete", "fork", "push", "repository", "release", "package", "wiki", "status")
SINGLY = (*ISSUE_GROUP[1:], *(kind for kind in PULL_GROUP[1:] if kind not in REVIEW_GROUP))
GROUPS: dict[str, tuple[str, ...]] = {
    "issues": ISSUE_GROUP,
    "issues_only": ("issues",),
    "pull_request": PULL_GROUP,
    "pull_request_only": ("pull_request",),
    "pull_request_review": REVIEW_GROUP,
    **{kind: (kind,) for kind in (*PLAIN, *SINGLY)},
}


def expand_events(asked: Sequence[str]) -> tuple[str, ...]:
    """The event types that a hook's `events` mean: unknown words are ignored, an empty list means push."""
    kinds = [kind for word in asked or ("push",) for kind in GROUPS.get(word.lower(), ())]
    return tuple(dict.fromkeys(kinds))


@dataclass(eq=False)
class Delivery:
    """One attempt to deliver, and what came of it; `status` is None until answered (or when nobody did)."""

    id: int
    uuid: str
    hook: Hook
    event: str
    event_type: str
    text: bytes
    queued_at: datetime
    replay_of: "Delivery | None" = None
    status: int | None = None
    response: str = ""
    error: str = ""
    finished: bool = False

    @property
    def payload(self) -> Json:
        payload: Json = msgspec.json.decode(self.text)
        return payload

    @property
    def ok(self) -> bool:
        return self.status is not None and self.status // 100 == 2

    def __str__(self) -> str:
        outcome = self.error or (f"answered {self.status} {self.response[:200]}" if self.finished else "not yet sent")
        return f"delivery {self.id} {self.event_type} {self.payload.get('action', '')} to {self.hook.url}: {outcome}"


def payload_text(payload: Json, dialect: Dialect) -> bytes:
    """JSON the way Go's MarshalIndent writes it."""
    text = msgspec.json.format(msgspec.json.encode(payload), indent=2)
    if dialect.escapes_html:
        for character in (b"<", b">", b"&"):
            text = text.replace(character, rb"\u%04x" % ord(character))
    return text


def headers_of(delivery: Delivery, dialect: Dialect) -> dict[str, str]:
    """All headers of a delivery; with an empty secret the signatures are there and empty."""
    key = delivery.hook.secret.encode()
    sha256 = hmac.new(key, delivery.text, hashlib.sha256).hexdigest() if key else ""
    sha1 = hmac.new(key, delivery.text, hashlib.sha1).hexdigest() if key else ""
    form = delivery.hook.content_type == "form"
    headers = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json"}
    headers |= {"User-Agent": "Go-http-client/1.1", "Accept-Encoding": "gzip"}
    for brand in ("Gitea", "Gogs", "GitHub", *(("Forgejo",) if dialect.forgejo else ())):
        headers[f"X-{brand}-Delivery"] = delivery.uuid
        headers[f"X-{brand}-Event"] = delivery.event
        headers[f"X-{brand}-Event-Type"] = delivery.event_type
        if brand != "GitHub":
            headers[f"X-{brand}-Signature"] = sha256
        if dialect.gitea(24) and brand != "Gogs":
            headers[f"X-{brand}-Hook-Installation-Target-Type"] = delivery.hook.target
    headers |= {"X-Hub-Signature": f"sha1={sha1}", "X-Hub-Signature-256": f"sha256={sha256}"}
    if delivery.hook.authorization_header:
        headers["Authorization"] = delivery.hook.authorization_header
    return headers


class Webhooks:
    """The hook queue: `workers` threads send what `emit` puts in; one worker keeps the order."""

    def __init__(self, state: State, dialect: Dialect, *, workers: int, allowed_hosts: str) -> None:
        self.state = state
        self.dialect = dialect
        self.allowed_hosts = allowed_hosts
        self.deliveries: list[Delivery] = []
        self.held: list[Delivery] | None = None
        self.losing = False
        self._queue: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        names = (f"fake-gitea-hooks-{n}" for n in range(workers))
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the workers; what is still queued is never sent, as when a Gitea is killed."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(TIMEOUT * 2)

    def emit(self, repo: Repo, event_type: str, payload: Json, *, branch: str = "") -> None:
        """Announces one event to every hook of the repository, of its owner and of the server that wants it."""
        hooks = [*repo.hooks, *self.state.org_hooks[repo.owner.login.lower()], *self.state.admin_hooks]
        hooks = [hook for hook in hooks if hook.target != "default"]
        wanted = [hook for hook in hooks if _wants(hook, event_type, branch)]
        if wanted:
            text = payload_text(payload, self.dialect)
            for hook in wanted:
                self.send(hook, event_type, self._for_hook(hook, event_type, payload, text))

    def _for_hook(self, hook: Hook, event_type: str, payload: Json, text: bytes) -> bytes:
        """Forgejo writes create and delete anew for hooks of type `gitea`: short ref, sorted, compact."""
        if not self.dialect.forgejo or event_type not in {"create", "delete"}:
            return text
        if hook.type == "forgejo":
            kind = "heads" if payload["ref_type"] == "branch" else "tags"
            return payload_text(payload | {"ref": f"refs/{kind}/{payload['ref']}"}, self.dialect)
        return msgspec.json.encode(payload, order="sorted")

    def send(self, hook: Hook, event_type: str, text: bytes, replay_of: Delivery | None = None) -> Delivery:
        """Queues one delivery, with a UUID of its own."""
        with self.state.lock:
            number, now = self.state.next_id("delivery"), self.state.now()
            event = COARSE.get(event_type, event_type)
            delivery = Delivery(number, str(uuid.uuid4()), hook, event, event_type, text, now, replay_of)
            self.deliveries.append(delivery)
            if self.losing:
                self._finish(delivery, error="lost before it was sent")
            elif self.held is not None:
                self.held.append(delivery)
            else:
                self._queue.put(delivery)
        return delivery

    def hold(self) -> None:
        """From now on deliveries wait, until `let_go`."""
        with self.state.lock:
            self.held = self.held or []

    def let_go(self, order: Callable[[list[Delivery]], Iterable[Delivery]] = list) -> None:
        """Sends what was held, in the order given (`reversed` wrapped in a list, say)."""
        with self.state.lock:
            waiting, self.held = self.held or [], None
            for delivery in order(waiting):
                self._queue.put(delivery)

    def pending(self) -> list[Delivery]:
        return [delivery for delivery in self.deliveries if not delivery.finished]

    def _work(self) -> None:
        while (delivery := self._queue.get()) is not None:
            if not delivery.hook.active:
                self._finish(delivery, error="the hook is not active")
            elif refusal := self._host_refused(delivery.hook.url):
                self._finish(delivery, error=refusal)
            else:
                self._attempt(delivery)

    def _attempt(self, delivery: Delivery) -> None:
        try:
            status, answer = _post(delivery, headers_of(delivery, self.dialect))
        except (OSError, http.client.HTTPException) as problem:
            self._finish(delivery, error=f'Delivery: Post "{delivery.hook.url}": {problem}')
        else:
            self._finish(delivery, status=status, response=answer)

    def _finish(self, delivery: Delivery, status: int | None = None, response: str = "", error: str = "") -> None:
        with self.state.lock:
            delivery.status, delivery.response, delivery.error = status, response, error
            delivery.finished = True
            self.state.touch()

    def _host_refused(self, url: str) -> str:
        """The sentence of Recent Deliveries when ALLOWED_HOST_LIST is `external` and the host is not."""
        host = urlsplit(url).hostname or ""
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host) if _is_address(host) else None
        if self.allowed_hosts != "external" or address is None or address.is_global:
            return ""
        section = "security" if self.dialect.gitea(27) else "webhook"
        rule = f"webhook can only call allowed HTTP servers (check your {section}.ALLOWED_HOST_LIST setting)"
        return f"Delivery: Post \"{url}\": dial tcp {address}: {rule}, deny '{host}({address})'"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _wants(hook: Hook, event_type: str, branch: str) -> bool:
    if event_type not in hook.events:
        return False
    return not branch or not hook.branch_filter or fnmatch.fnmatchcase(branch, hook.branch_filter)


def _post(delivery: Delivery, headers: dict[str, str]) -> tuple[int, str]:
    parts = urlsplit(delivery.hook.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    body = delivery.text
    if delivery.hook.content_type == "form":
        body = b"payload=" + quote_plus(body).encode()
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read(KEPT_ANSWER)
        if answer.headers.get("Content-Encoding") == "gzip":
            text = gzip.decompress(text)
        return answer.status, text.decode(errors="replace")
    finally:
        connection.close()
