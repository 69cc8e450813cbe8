"""The fake Gitea does what the facts say of the real one: webhooks, quirks, git, trouble on request."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from tests.fakes.gitea import Delivery, Ear, FakeGitea, Remark

REPO = "acme/widgets"
PAYLOADS = Path(__file__).resolve().parents[1] / "data" / "payloads"
SECRET = "s3cret"


@pytest.fixture
def ear() -> Iterator[Ear]:
    with Ear() as listening:
        yield listening


def world(gitea: FakeGitea) -> FakeGitea:
    """A repository with a writer, an administrator (the bot) and a reader, and a few labels."""
    gitea.user("rita")
    people: dict[str, Any] = {"ada": "write", "bot": "admin", "tess": "team-write"}
    gitea.repo(REPO, files={"app.py": "print(1)\n"}, collaborators=people)
    gitea.create_label(REPO, "bug")
    for name in ("kugetsu/code", "kugetsu/done"):
        gitea.create_label(REPO, name, exclusive=True)
    return gitea


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[FakeGitea]:
    with FakeGitea(tmp_path / "gitea", demo_person="ada") as fake:
        yield world(fake)
        assert fake.unexpected == []


def client(gitea: FakeGitea, login: str = "bot", **more: Any) -> httpx.Client:
    headers = {"Authorization": f"token {gitea.token_for(login, **more)}"}
    return httpx.Client(base_url=f"{gitea.url}/api/v1", headers=headers, trust_env=False)


def told(gitea: FakeGitea) -> list[str]:
    """Every delivery so far as `type action`."""
    gitea.settle()
    return [f"{item.event_type} {item.payload.get('action', '')}".strip() for item in gitea.deliveries]


def last(gitea: FakeGitea, event_type: str) -> Delivery:
    gitea.settle()
    return [item for item in gitea.deliveries if item.event_type == event_type][-1]


def differences(fake: Any, real: Any, where: str = "") -> list[str]:
    """Where the keys of two payloads, or their order, differ; nothing is known of what is null or empty."""
    if isinstance(fake, list) and isinstance(real, list):
        return differences(fake[0], real[0], f"{where}[]") if fake and real else []
    if not isinstance(fake, dict) or not isinstance(real, dict):
        return []
    found = [] if list(fake) == list(real) else [f"{where}: {list(fake)} is not {list(real)}"]
    return found + [text for key in fake if key in real for text in differences(fake[key], real[key], f"{where}.{key}")]


def cause_everything(gitea: FakeGitea) -> None:
    issue = gitea.open_issue(REPO, "ada", "Crash", "It crashes\n")
    gitea.label(REPO, issue, "bug", by="ada")
    gitea.edit_issue(REPO, issue, "ada", title="Crash!")
    gitea.edit_comment(REPO, gitea.comment(REPO, issue, "fix this", by="ada"), "please fix this", by="ada")
    gitea.push(REPO, "fix", {"app.py": "print(2)\n"}, by="ada")
    pull = gitea.open_pull(REPO, "ada", "fix", title="Fix", body="Closes #1\n")
    gitea.comment(REPO, pull, "Hello", by="ada")
    gitea.push(REPO, "fix", {"app.py": "print(3)\n"}, by="ada")
    gitea.review(REPO, pull, "bot", "Please rename", remarks=[Remark("app.py", "This", 1)])
    gitea.merge(REPO, pull, "ada", delete_branch=True)


@pytest.mark.parametrize(
    ("file", "event", "action"),
    [
        ("issues-opened", "issues", "opened"),
        ("issues-edited-title", "issues", "edited"),
        ("issues-label_updated", "issue_label", "label_updated"),
        ("issues-closed-by-commit", "issues", "closed"),
        ("issue_comment-edited", "issue_comment", "edited"),
        ("issue_comment-created-on-pull", "pull_request_comment", "created"),
        ("pull_request-opened", "pull_request", "opened"),
        ("pull_request-synchronized", "pull_request_sync", "synchronized"),
        ("pull_request_comment-reviewed", "pull_request_review_comment", "reviewed"),
        ("pull_request-merged", "pull_request", "closed"),
        ("push", "push", None),
        ("create-branch", "create", None),
        ("delete-branch", "delete", None),
    ],
)
def test_payloads_and_headers_are_those_of_the_facts(
    gitea: FakeGitea, ear: Ear, *, file: str, event: str, action: str | None
) -> None:
    gitea.hook(REPO, ear.url, SECRET, ["issues", "pull_request", "push", "create", "delete"])
    cause_everything(gitea)
    gitea.settle()
    sent = [item for item in gitea.deliveries if (item.event_type, item.payload.get("action")) == (event, action)]
    real = json.loads((PAYLOADS / f"{file}.json").read_text())
    fake = sent[0].payload
    fake.get("pull_request", {}).pop("review_comments", None)  # a recorded answer has it, the files have not
    assert differences(fake, real) == []
    headers = json.loads((PAYLOADS / "deliveries.json").read_text())["deliveries"][file]["headers"]
    heard = next(item for item in ear.heard if item.headers["x-gitea-delivery"] == sent[0].uuid)
    assert {name.lower() for name in headers} <= set(heard.headers)
    assert heard.headers["x-gitea-event"] == headers["X-Gitea-Event"]
    assert heard.raw == sent[0].text
    assert heard.headers["x-gitea-signature"] == hmac.new(SECRET.encode(), heard.raw, hashlib.sha256).hexdigest()


def test_form_deliveries_sign_the_json_and_an_empty_secret_signs_nothing(gitea: FakeGitea, ear: Ear) -> None:
    gitea.hook(REPO, ear.url, SECRET, content_type="form")
    gitea.hook("acme", ear.url, "")
    gitea.open_issue(REPO, "ada", "Crash & <burn>")
    gitea.settle()
    form, plain = ear.heard
    text = parse_qs(form.raw.decode())["payload"][0].encode()
    assert text == plain.raw
    assert (
        form.headers["x-hub-signature-256"].partition("=")[2]
        == hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()
    )
    assert (plain.headers["x-gitea-signature"], plain.headers["x-hub-signature-256"]) == ("", "sha256=")
    assert plain.headers["x-gitea-hook-installation-target-type"] == "organization"


def test_label_events_have_their_quirks(gitea: FakeGitea, ear: Ear) -> None:
    gitea.hook(REPO, ear.url, SECRET)
    issue = gitea.open_issue(REPO, "rita", "Crash", labels=["kugetsu/code"])
    assert told(gitea) == ["issues opened", "issue_label label_updated"]
    assert last(gitea, "issue_label").payload["sender"]["login"] == "rita"
    gitea.label(REPO, issue, "kugetsu/done", by="ada")
    assert gitea.labels_of(REPO, 1) == ["kugetsu/done"]
    with client(gitea) as api:
        api.put(f"/repos/{REPO}/issues/1/labels", json={"labels": ["bug"]})
        assert last(gitea, "issue_label").payload["issue"]["labels"] == []
        assert gitea.labels_of(REPO, 1) == ["bug"]
        api.delete(f"/repos/{REPO}/issues/1/labels")
        entries = api.get(f"/repos/{REPO}/issues/1/timeline").json()
    cleared = last(gitea, "issue_label").payload
    assert (cleared["action"], [label["name"] for label in cleared["issue"]["labels"]]) == ("label_cleared", ["bug"])
    story = [(entry["label"]["name"], entry["body"]) for entry in entries]
    assert story[:3] == [("kugetsu/code", "1"), ("kugetsu/code", ""), ("kugetsu/done", "1")]
    assert entries[0]["user"]["login"] == "rita"
    assert entries[0]["created_at"].endswith("+02:00")


def test_only_exclusive_siblings_drive_each_other_away(gitea: FakeGitea) -> None:
    gitea.create_label(REPO, "kugetsu/queued")
    issue = gitea.open_issue(REPO, "ada", "Crash", labels=["kugetsu/queued"])
    gitea.label(REPO, issue, "kugetsu/code", by="ada")
    assert gitea.labels_of(REPO, 1) == ["kugetsu/code", "kugetsu/queued"]
    with pytest.raises(PermissionError):
        gitea.label(REPO, issue, "bug", by="rita")
    with client(gitea, "rita") as api:
        new = api.post(f"/repos/{REPO}/issues", json={"title": "Mine", "labels": [1]}).json()
        refused = api.post(f"/repos/{REPO}/issues/1/labels", json={"labels": [1]})
        vanished = api.get(f"/repos/{REPO}/issues", params={"labels": "nonsense"}).json()
    assert new["labels"] == []
    assert refused.status_code == 403
    assert [item["number"] for item in vanished] == [2, 1]


def test_whose_rights_an_event_shows(gitea: FakeGitea, ear: Ear) -> None:
    gitea.hook(REPO, ear.url, SECRET)
    issue = gitea.open_issue(REPO, "rita", "Crash")
    gitea.label(REPO, issue, "bug", by="ada")
    gitea.comment(REPO, issue, "Hello", by="ada")
    gitea.push(REPO, "fix", {"a": "b"}, by="ada")
    pull = gitea.open_pull(REPO, "rita", "fix", title="Fix")
    gitea.label(REPO, pull, "bug", by="ada")

    def may_push(event: str) -> bool:
        return bool(last(gitea, event).payload["repository"]["permissions"]["push"])

    events = ("issue_label", "issue_comment", "pull_request_label", "pull_request", "push")
    assert [may_push(event) for event in events] == [False, True, True, False, True]


def test_a_delivery_is_tried_once_and_can_be_sent_again_by_hand(gitea: FakeGitea, ear: Ear) -> None:
    gitea.hook(REPO, ear.url, SECRET)
    ear.status = 503
    gitea.open_issue(REPO, "ada", "Crash")
    gitea.settle()
    (first,) = gitea.deliveries
    assert (first.status, first.ok, len(ear.heard)) == (503, False, 1)
    assert first.response == '{"detail":"heard"}\n'
    again = gitea.redeliver(first)
    gitea.settle()
    assert again.uuid != first.uuid
    assert again.text == first.text == ear.heard[1].raw


def test_webhooks_can_be_lost_late_or_in_another_order(gitea: FakeGitea, ear: Ear) -> None:
    gitea.hook(REPO, ear.url, SECRET)
    with gitea.webhooks_lost():
        gitea.open_issue(REPO, "ada", "One")
    gitea.hold_webhooks()
    for title in ("Two", "Three"):
        gitea.open_issue(REPO, "ada", title)
    assert ear.heard == []
    gitea.release_webhooks(reversed)
    gitea.settle()
    assert [json.loads(item.raw)["issue"]["title"] for item in ear.heard] == ["Three", "Two"]


def test_private_addresses_are_refused_unless_allowed(tmp_path: Path, ear: Ear) -> None:
    with FakeGitea(tmp_path, allowed_hosts="external") as gitea:
        world(gitea).hook(REPO, ear.url, SECRET)
        gitea.open_issue(REPO, "ada", "Crash")
        gitea.settle()
        assert "security.ALLOWED_HOST_LIST" in gitea.deliveries[0].error
    assert ear.heard == []


def test_forgejo_speaks_its_own_dialect(tmp_path: Path, ear: Ear) -> None:
    with FakeGitea(tmp_path, flavour="forgejo") as gitea:
        world(gitea).hook(REPO, ear.url, SECRET, ["issues", "create"])
        gitea.open_issue(REPO, "ada", "a <b>")
        with client(gitea) as api:
            api.put(f"/repos/{REPO}/issues/1/labels", json={"labels": ["bug"]})
            gitea.push(REPO, "fix", {"a": "b"}, by="ada")
            assert api.post(f"/repos/{REPO}/hooks/1/tests").status_code == 204
        assert told(gitea) == ["issues opened", "issue_label label_updated", "create", "push"]
        assert rb'"title": "a \u003cb\u003e"' in gitea.deliveries[0].text
        assert [label["name"] for label in gitea.deliveries[1].payload["issue"]["labels"]] == ["bug"]
        assert gitea.deliveries[2].text.startswith(b'{"ref":"fix","ref_type":"branch"')
    assert ear.heard[0].headers["x-forgejo-event"] == "issues"
    assert "x-gitea-hook-installation-target-type" not in ear.heard[0].headers
