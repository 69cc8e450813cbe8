"""A Gitea and a Forgejo side by side, with the same names and numbers on both: nothing of one gets into the other."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from jobs.gitea_http import GiteaHttp
from models.checkup import Level
from models.hook_keys import repository_scope, secret_for
from tests.fakes.gitea import FakeGitea
from tests.fakes.listener import listening
from tests.flows.two_servers import Side, TwoServers
from tests.unit.deliveries import signed_headers
from tests.world import READER, WRITER

MakeServers = Callable[..., TwoServers]
NEWEST, OLDEST = (None, None), ("1.22.6", "7.0.16+gitea-1.21.11")
PEOPLE = {"gitea": WRITER, "forgejo": READER}
"""Who may write where: on the other server that login is somebody who may not."""


@pytest.fixture
def make_servers(tmp_path: Path) -> Iterator[MakeServers]:
    """Makes a running Kugetsu with two servers; keyword arguments are settings, `toml` is more of its file."""
    with ExitStack() as stack:

        def make(toml: str = "", versions: tuple[str | None, str | None] = NEWEST, **settings: str) -> TwoServers:
            gitea = stack.enter_context(FakeGitea(tmp_path / "gitea", version=versions[0]))
            forgejo = stack.enter_context(FakeGitea(tmp_path / "forgejo", flavour="forgejo", version=versions[1]))
            return stack.enter_context(TwoServers(tmp_path, gitea, forgejo, toml, **settings))

        yield make


def write_there(side: Side, body: str, title: str = "Crash on empty input") -> int:
    """Somebody who may write on that server opens an issue and labels it."""
    issue = side.issue(title, body, by=PEOPLE[side.server])
    side.label(issue, "kugetsu/code", by=PEOPLE[side.server])
    return issue


def figures(servers: TwoServers) -> dict[str, float]:
    lines = [line for line in servers.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_the_same_issue_on_both_becomes_a_pull_request_on_each(make_servers: MakeServers) -> None:
    servers = make_servers(versions=OLDEST)
    for side, against in zip(servers.sides, reversed(servers.sides), strict=True):
        issue = write_there(side, f"stub: write app.py of-{side.server}\nstub: say I know {against.token}, too")
        assert issue == 1
    for side, against in zip(servers.sides, reversed(servers.sides), strict=True):
        result = side.wait_for_result(1)
        pull = side.next_pull(1)
        assert f"@{PEOPLE[side.server]}" in result
        assert side.labels(1) == ["kugetsu/done"]
        assert [len(side.said(1, part)) for part in ("live", "result")] == [1, 1]
        assert side.gitea.file_at(side.repo, "kugetsu/issue-1", "app.py") == f"of-{side.server}"
        assert set(side.gitea.branches_of(side.repo)) == {"main", "kugetsu/issue-1"}
        assert side.gitea.log(side.repo, "kugetsu/issue-1")[0].author.name == side.bot
        assert pull.user.login == side.bot
        said = side.everything_said()
        assert "[secret removed]" in said
        for secret in (against.token, against.secret, against.gitea.url, side.token):
            assert secret not in said
    one, other = (f"/admin/jobs/{side.jobs()[0].id}" for side in servers.sides)
    assert one in servers.one.everything_said()
    assert one not in servers.other.everything_said()
    assert other in servers.other.everything_said()
    levels = {found.where: found.level for found in servers.examine().findings if found.check == "gitea"}
    assert levels == {"gitea": Level.WELL, "forgejo": Level.WELL}


def test_everything_knows_which_server(make_servers: MakeServers) -> None:
    servers = make_servers()
    for side in servers.sides:
        write_there(side, f"stub: write app.py of-{side.server}")
    for side in servers.sides:
        side.wait_for_result(1)
        (job,) = side.jobs()
        told = servers.get(f"/admin/jobs/{job.id}").json()
        assert (told["server"], told["repo"], told["issue"]) == (side.server, "acme/widgets", 1)
        assert told["comment_url"].startswith(f"{side.gitea.url}/acme/widgets/issues/1#")
        page = servers.get(f"/admin/jobs/{job.id}", page=True).text
        assert f"{side.server} acme/widgets#1" in re.sub(r"<[^>]*>", "", page)
        assert f"{side.gitea.url}/acme/widgets/pulls/" in page
        mirror = side.home / "repos" / side.server / "acme" / "widgets.git"
        assert mirror.is_dir()
        assert [place.name for place in side.places()] == [f"{side.server}-acme-widgets-1"]
        secret = secret_for(side.secret, repository_scope(side.gitea.forge.state.repo(side.repo).id))
        assert {(hook.url, hook.secret) for hook in side.hooks()} == {(side.address, secret)}
        assert {row.verdict for row in side.deliveries()} <= {"accepted", "ignored"}
        assert [figures(servers)[name.format(side.server)] for name in FIGURES] == [1.0] * len(FIGURES)
        found = servers.get(f"/admin/jobs?server={side.server}").json()["jobs"]
        assert [each["id"] for each in found] == [job.id]


FIGURES = (
    'kugetsu_jobs_ended_total{{outcome="completed",recipe="code",repo="acme/widgets",server="{}"}}',
    'kugetsu_job_run_seconds_count{{recipe="code",server="{}"}}',
    'kugetsu_job_wait_seconds_count{{recipe="code",server="{}"}}',
    'kugetsu_server_up{{server="{}"}}',
)


def test_a_cancel_on_one_server_leaves_the_other_alone(make_servers: MakeServers) -> None:
    servers = make_servers()
    one, other = servers.sides
    for side in servers.sides:
        write_there(side, f"stub: wait go\nstub: write app.py of-{side.server}")
        side.wait_for_agents(1)
    one.comment(1, "/kugetsu cancel", by=WRITER)
    one.wait_for_result(1)
    assert one.labels(1) == ["kugetsu/cancelled"]
    assert [job.state for job in other.jobs()] == ["running"]
    other.let_go(1, "go")
    other.wait_for_result(1)
    assert other.labels(1) == ["kugetsu/done"]
    assert one.gitea.pulls_of(one.repo) == []


def test_each_bot_is_called_by_its_own_login_and_a_login_is_another_person_elsewhere(make_servers: MakeServers) -> None:
    servers = make_servers()
    one, other = servers.sides
    for side, against in zip(servers.sides, reversed(servers.sides), strict=True):
        writer, reader = PEOPLE[side.server], PEOPLE[against.server]
        side.issue("Crash on empty input", by=writer)
        side.comment(1, f"@{against.bot} do it\nstub: write app.py wrong", by=writer)
        mine = side.comment(1, f"@{side.bot} do it\nstub: write app.py right", by=writer)
        theirs = side.comment(1, f"@{side.bot} do it\nstub: write app.py wrong", by=reader)
        side.wait_for_reaction(mine, "eyes")
        side.wait_for_reaction(theirs, "-1")
    for side in servers.sides:
        side.wait_for_result(1)
        assert len(side.jobs()) == 1
        assert side.gitea.file_at(side.repo, "kugetsu/issue-1", "app.py") == "right"
    assert len(one.said(1, "refused")) == len(other.said(1, "refused")) == 1


def test_the_secret_of_one_server_opens_nothing_at_the_address_of_the_other(make_servers: MakeServers) -> None:
    servers = make_servers()
    for side, against in zip(servers.sides, reversed(servers.sides), strict=True):
        text = side.gitea.deliveries[-1].text
        for secret, status in ((against.secret, 401), (side.secret, 200)):
            headers = signed_headers(text, "issue_comment", secret)
            answer = httpx.post(side.address, content=text, headers=headers, trust_env=False)
            assert answer.status_code == status, answer.text


def test_a_server_that_never_answers_keeps_only_its_own(
    make_servers: MakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GiteaHttp.__init__.__kwdefaults__ or {}, "timeout", 600.0)
    servers = make_servers(MAX_CONCURRENT_AGENTS="1")
    one, other = servers.sides
    held = one.gitea.hold("GET /api/v1/repos/.*", times=None)
    for number in range(2):
        write_there(one, "stub: write app.py late", f"Number {number}")
    one.wait_until(lambda: held.hits >= 2, "the desk to be kept")
    write_there(other, "stub: write app.py in-time")
    other.wait_for_result(1)
    assert {job.state for job in one.jobs()} <= {"asked"}
    held.cancel()
    for issue in (1, 2):
        one.wait_for_result(issue)


@pytest.mark.usefixtures("hurried")
def test_a_look_that_hangs_on_one_server_keeps_no_other_from_being_looked_at(
    make_servers: MakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GiteaHttp.__init__.__kwdefaults__ or {}, "timeout", 600.0)
    servers = make_servers(RECONCILE_INTERVAL="1s")
    one, other = servers.sides
    looking = one.gitea.hold("GET /api/v1/repos/acme/widgets/issues.*", times=None)
    assert looking.reached.wait(30)
    with other.gitea.webhooks_lost():
        write_there(other, "stub: write app.py in-time")
    other.wait_for_result(1)
    looking.cancel()


def test_a_token_that_is_revoked_on_one_server_stops_nothing_on_the_other(make_servers: MakeServers) -> None:
    servers = make_servers(RECONCILE_INTERVAL="1s")
    one, other = servers.sides
    write_there(one, "stub: wait go\nstub: write app.py late")
    one.wait_for_agents(1)
    token = one.gitea.forge.state.tokens[one.token]
    one.gitea.revoke(one.token)
    one.let_go(1, "go")
    one.wait_for(
        lambda: "(401)" in servers.get("/admin/status").json()["gitea"]["gitea"]["problem"], "it to be noticed"
    )
    ready = servers.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["gitea"]) == (200, False)
    assert [reason.partition(":")[0] for reason in ready.json()["reasons"]] == ["gitea"]
    found = servers.examine()
    assert found.cause is not None
    assert (found.cause.check, found.cause.where) == ("token", "gitea")
    assert {finding.level for finding in found.findings if finding.where.startswith("forgejo")} == {Level.WELL}
    with other.gitea.webhooks_lost():
        write_there(other, "stub: write app.py in-time")
    other.wait_for_result(1)
    assert ("reconcile", 1) in [(row.source, row.issue) for row in other.deliveries() if row.verdict == "accepted"]
    assert [job.state for job in one.jobs()] == ["reporting"]
    one.gitea.forge.state.tokens[one.token] = token
    one.wait_for_result(1)


def test_the_doctor_says_which_server_and_its_cure_mends_that_one(make_servers: MakeServers) -> None:
    servers = make_servers()
    one, other = servers.sides
    other.gitea.repo("acme/only-here", files={"a": "b"}, collaborators={other.bot: "admin"})
    there = servers.examine("acme/only-here")
    assert {finding.where for finding in there.findings if "only-here" in finding.where} == {"forgejo acme/only-here"}
    other.hooks()[0].active = False
    found = servers.examine("acme/widgets")
    assert found.cause is not None
    assert (found.cause.check, found.cause.where) == ("webhook", "forgejo acme/widgets")
    assert {finding.level for finding in found.findings if finding.where.startswith("gitea")} == {Level.WELL}
    subprocess.run(shlex.split(found.cause.cure), check=True, capture_output=True, env={"PATH": os.environ["PATH"]})
    other.wait_until(lambda: other.hooks()[0].active, "the webhook to be mended")
    other.gitea.settle()
    assert servers.examine("acme/widgets").well
    assert len(one.hooks()) == len(other.hooks()) == 1


def test_who_wants_to_know_of_one_server_is_told_of_that_alone(make_servers: MakeServers) -> None:
    with listening() as friend:
        table = f'webhook = "http://{friend.address}/hook"\nsecret = "a-secret-of-theirs"\nservers = ["forgejo"]'
        servers = make_servers(f"[notices.own]\n{table}")
        for side in servers.sides:
            write_there(side, "stub: write app.py fixed")
        for side in servers.sides:
            side.wait_for_result(1)
        servers.other.wait_until(lambda: len(friend.heard) >= 4, "four deliveries")
    facts = [json.loads(heard.body) for heard in friend.heard]
    assert [(fact["event"], fact["server"]) for fact in facts] == [
        (f"task_{event}", "forgejo") for event in ("queued", "dequeued", "started", "completed")
    ]
    assert facts[-1]["issue_url"] == f"{servers.other.gitea.url}/acme/widgets/issues/1"
    (sent, *_) = servers.get("/admin/notices").json()["sent"]
    assert sent["title"] == "forgejo acme/widgets#1 is done"


@pytest.mark.parametrize(("toml", "reaction"), [("", "-1"), (f'allow_users = ["{WRITER}"]', "eyes")])
def test_who_may_ask_without_rights_on_one_server_is_a_stranger_on_the_other(
    make_servers: MakeServers, toml: str, reaction: str
) -> None:
    servers = make_servers(toml, ALLOW_USERS=WRITER)
    other = servers.other
    other.issue("Crash on empty input", by=WRITER)
    comment = other.comment(1, "/kugetsu do it\nstub: write app.py fixed", by=WRITER)
    other.wait_for_reaction(comment, reaction)
    other.wait_quiet()
    assert [pull.number for pull in other.gitea.pulls_of(other.repo)] == ([2] if toml else [])
