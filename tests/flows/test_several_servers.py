"""A Gitea and a Forgejo side by side, with the same names and numbers on both: nothing of one gets into the other."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.fakes.gitea import FakeGitea
from tests.flows.two_servers import Side, TwoServers
from tests.unit.deliveries import signed_headers
from tests.world import READER, WRITER

MakeServers = Callable[..., TwoServers]
PEOPLE = {"gitea": WRITER, "forgejo": READER}
"""Who may write where: on the other server that login is somebody who may not."""


@pytest.fixture
def make_servers(tmp_path: Path) -> Iterator[MakeServers]:
    """Makes a running Kugetsu with two servers; keyword arguments are settings, `toml` is more of its file."""
    with ExitStack() as stack:

        def make(toml: str = "", version: str | None = None, **settings: str) -> TwoServers:
            gitea = stack.enter_context(FakeGitea(tmp_path / "gitea", version=version))
            forgejo = stack.enter_context(FakeGitea(tmp_path / "forgejo", flavour="forgejo"))
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
    servers = make_servers(version="1.22.6")
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
        assert {(hook.url, hook.secret) for hook in side.hooks()} == {(side.address, side.secret)}
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
