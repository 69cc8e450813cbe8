"""The agent says, prints and commits secrets, plain and encoded. None of it is shown anywhere."""

import base64
import urllib.parse

import httpx
import pytest

from jobs.redact import REMOVED, Redactor
from tests.fakes.gitea import FakeGitea
from tests.world import World

SOMEBODYS = "ghp_" + "a1B2" * 9


def ways(secret: str) -> list[str]:
    """The secret as an agent may write it so that only a program would recognise it."""
    raw = secret.encode()
    shifted = [base64.b64encode(b"x" * shift + raw).decode() for shift in range(3)]
    return [secret, *shifted, raw.hex(), raw.hex(":").upper(), urllib.parse.quote(secret), _percent(raw)]


def _percent(raw: bytes) -> str:
    return "".join(f"%{byte:02x}" for byte in raw)


def leaks(text: str, secret: str) -> list[str]:
    """The forms of `secret` that `text` shows; of base64 the middle, since its ends depend on the neighbours."""
    return [way for way in ways(secret) if way[4:-6] in text]


def blabbing(world: World) -> str:
    said = "\\n".join([*ways(world.token), SOMEBODYS])
    return f"stub: write app.py new\nstub: run echo '{said}'\nstub: commit Use {world.token}\nstub: say {said}"


def shown(world: World, issue: int) -> str:
    """All that Kugetsu has posted, pushed as words, or shows to administrators."""
    pull = world.next_pull(issue)
    pages = [httpx.get(f"{world.halves.url}/admin/jobs/1{page}").text for page in ("", "/log")]
    commits = [commit.message for commit in world.gitea.log(world.repo, f"kugetsu/issue-{issue}")]
    return "\n".join([*world.said(issue), pull.title, pull.body, *pages, *commits])


def test_no_secret_is_shown_in_any_form(world: World) -> None:
    issue = world.issue(f"Say {world.token}", blabbing(world))
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    text = shown(world, issue)
    assert leaks(text, world.token) == []
    assert SOMEBODYS not in text
    assert REMOVED in text


def test_without_the_redactor_they_would_be(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(Redactor, "clean", lambda _self, text: text)
    issue = world.issue("Say it", blabbing(world))
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    text = shown(world, issue)
    assert leaks(text, world.token) == ways(world.token)
    assert SOMEBODYS in text


def test_an_error_tells_no_secret_and_calls_nobody(world: World) -> None:
    issue = world.issue("Fail", f"stub: fail 400 @reader look: {world.token} {SOMEBODYS}, closes #1")
    world.label(issue, "kugetsu/code")
    result = world.wait_for_result(issue)
    assert "refused the request" in result
    assert REMOVED in result
    assert leaks(result, world.token) == []
    assert SOMEBODYS not in result
    assert "@reader" not in result
    assert "#1" not in result


def test_attached_findings_tell_no_secret(fake: FakeGitea, world: World) -> None:
    line = f"{world.token} {'x' * 60}"
    issue = world.issue("Look", f"stub: run yes '{line}' | head -400 > $KUGETSU_TEMP_DIR/findings.md")
    world.label(issue, "kugetsu/research")
    world.wait_for_result(issue)
    (attached,) = [file.data for entry in fake.comments_of(world.repo, issue) for file in entry.attachments]
    assert attached.count(REMOVED.encode()) == 400
    assert world.token.encode() not in attached


@pytest.mark.parametrize(
    "text",
    [
        "curl https://bot:hunter2hunter2@git.example.test/x",
        "Authorization: Bearer abcdefghij0123456789",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nMORE\n-----END OPENSSH PRIVATE KEY-----",
        "AKIA" + "Q3EGRIWHTZ5NLB7A",
        "sk-ant-" + "api03-" + "xY3_" * 12,
        "xoxb-" + "123456789012-123456789012-abcdefghijklmnopqrstuvwx",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib3QifQ.c2lnbmF0dXJl",
    ],
)
def test_what_looks_like_a_secret_is_none_of_ours_and_goes_all_the_same(text: str) -> None:
    secret = text.rpartition(" ")[2] if "\n" not in text else "b3BlbnNzaC1rZXk"
    cleaned = Redactor([]).clean(f"before {text} after")
    assert secret not in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")


def test_a_branch_is_named_by_us_alone(world: World) -> None:
    """The agent moves to a branch of its own, named after a secret; what is pushed is the issue's branch."""
    issue = world.issue("Branch", f"stub: run git checkout -qb {world.token}\nstub: write app.py new\nstub: commit x")
    world.label(issue, "kugetsu/code")
    world.wait_for_result(issue)
    assert sorted(world.gitea.branches_of(world.repo)) == [f"kugetsu/issue-{issue}", "main"]
