"""Broken set-ups, each of which the doctor must name first; and sound ones, of which it says so."""

import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs import git
from jobs.doctor import agent
from jobs.doctor.examine import Examination
from models import disk, store
from models.checkup import Checkup, Finding, Level
from models.settings import load
from models.tables import Hook, Worker
from tests.fakes import stub
from tests.fakes.gitea.places import BOT_SCOPES
from tests.unit.hook_stage import BOT, REPO, Service, Stage, free_port, staged
from webhook import checkup, cli

NO_VARIABLES: Mapping[str, str] = {}
PATIENCE = 1.0
"""Seconds that a delivery which never comes is waited for; one that comes is there at once."""


@dataclass
class Clinic:
    """A sound service on its stage, a way to break it, and the doctor."""

    stage: Stage
    service: Service
    monkeypatch: pytest.MonkeyPatch

    def examine(self, repo: str = "", *, environ: Mapping[str, str] = NO_VARIABLES, **changed: str) -> Checkup:
        """What the doctor finds, with these settings changed."""
        given = {"WEBHOOKS": "manual", "SANDBOX": "none", "AGENT_COMMAND": stub.COMMAND, **changed}
        settings = self.stage.settings(**given)
        return Examination(settings, {"PATH": os.environ["PATH"], **environ}, repo, wait=PATIENCE).run()

    def token_with(self, *scopes: str) -> str:
        return self.stage.gitea.token_for(BOT, scopes)

    def rows(self, change: Callable[[], object]) -> None:
        with self.service.site.database.connection_context():
            change()


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Service]]:
    """One for all tests of this file: each leaves it as it was."""
    with staged(tmp_path_factory.mktemp("clinic")) as stage:
        stage.now = None
        with stage.service() as service:
            service.begin()
            yield stage, service


@pytest.fixture
def clinic(ground: tuple[Stage, Service], monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """The agent is looked at where a test asks for it; it costs more than all the rest."""
    stage, service = ground
    monkeypatch.setattr(agent, "look", lambda *_: iter(()))
    made = Clinic(stage, service, monkeypatch)
    db = service.site.database
    with db.connection_context():
        Worker.delete().execute(db)
        row = {"host": "here", "pid": 1, "started_at": time.time(), "seen_at": time.time(), "sandbox": "none"}
        Worker.insert(name="w1", **row).execute(db)
    return made


def cause_of(found: Checkup) -> Finding:
    """What stands first in the doctor's answer."""
    assert found.cause is not None, checkup.as_text(found)
    assert found.cause.what
    assert found.cause.why
    assert found.cause.cure
    first = checkup.as_text(found).splitlines()[0]
    assert first.startswith(f"wrong    {found.cause.check}")
    return found.cause


def said_by(found: Checkup, check: str) -> str:
    return next(finding.what for finding in found.findings if finding.check == check)


def level_of(found: Checkup, check: str) -> Level:
    return next(finding.level for finding in found.findings if finding.check == check)


def test_all_is_well(clinic: Clinic) -> None:
    found = clinic.examine()
    assert found.well, checkup.as_text(found)
    assert said_by(found, "round trip").startswith("a test delivery came back")
    assert checkup.as_text(found).endswith("All is well.")


def test_a_change_that_changes_nothing_comes_back_where_no_test_is_sent(clinic: Clinic) -> None:
    stage = clinic.stage
    issue = stage.gitea.open_issue(REPO, "ada", "Hello")
    before = [entry.type for entry in issue.entries]
    clinic.monkeypatch.setattr(stage.hooks()[0], "events", tuple(set(stage.hooks()[0].events) - {"push"}))
    found = clinic.examine(REPO)
    assert found.well, checkup.as_text(found)
    assert said_by(found, "round trip").startswith("an empty change of labels")
    assert [entry.type for entry in issue.entries] == before


def test_nothing_in_a_repository_yet_is_no_fault(clinic: Clinic) -> None:
    name = "acme/bare"
    clinic.stage.gitea.repo(name, collaborators={BOT: "admin"})
    clinic.stage.gitea.hook(name, clinic.stage.address, "a-secret-of-the-webhook")
    found = clinic.examine(name)
    clinic.stage.gitea.delete_repo(name)
    assert (found.well, level_of(found, "round trip")) == (True, Level.UNKNOWN)


# This machine


def test_the_home_cannot_be_written(clinic: Clinic) -> None:
    cause = cause_of(Examination(load({"KUGETSU_HOME": "/proc/kugetsu"}), {}).run())
    assert (cause.check, "/proc/kugetsu" in cause.what) == ("home", True)


def test_the_disk_is_full(clinic: Clinic) -> None:
    full = disk.Room(total=1 << 40, free=1 << 20, floor=1 << 30)
    clinic.monkeypatch.setattr(disk.Room, "of", lambda _: full)
    assert cause_of(clinic.examine()).check == "disk"


def test_git_is_missing(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(git, "_ENVIRONMENT", {**git._ENVIRONMENT, "PATH": "/nonexistent"})
    cause = cause_of(clinic.examine())
    assert (cause.check, cause.cure) == ("git", "apt install git")


def test_git_is_too_old(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(git, "git", lambda *_: "git version 2.20.1\n")
    assert cause_of(clinic.examine()).what.startswith("git version 2.20.1 is too old")


@pytest.mark.parametrize("content", [None, "", "this is no database" * 1000])
def test_the_database(clinic: Clinic, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "kugetsu.db").write_text(content)
    cause = cause_of(clinic.examine(HOME=str(tmp_path)))
    expected = {None: "there is no", "": "has not been set up", "this is no database" * 1000: "damaged"}[content]
    assert (cause.check, expected in cause.what) == ("database", True)


def test_the_database_is_of_an_older_version(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(store, "pending", lambda _: ["0099_new"])
    assert "0099_new did not run yet" in cause_of(clinic.examine()).what


def test_the_sandbox_is_demanded_and_not_there(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    cause = cause_of(clinic.examine(SANDBOX="bwrap"))
    assert (cause.check, cause.cure) == ("sandbox", "apt install bubblewrap")


def test_no_sandbox_where_none_was_demanded_is_a_warning(clinic: Clinic) -> None:
    assert level_of(clinic.examine(), "sandbox") == Level.WARNING


# The service


def test_no_worker_lives(clinic: Clinic) -> None:
    db = clinic.service.site.database
    clinic.rows(lambda: Worker.update(seen_at=time.time() - 60).execute(db))
    assert cause_of(clinic.examine()).check == "worker"


def test_the_http_side_does_not_run(clinic: Clinic) -> None:
    port = free_port()
    cause = cause_of(clinic.examine(PORT=str(port), PUBLIC_URL=f"http://127.0.0.1:{port}"))
    assert (cause.check, str(port) in cause.what, "refused" in cause.what) == ("web", True, True)


def test_something_else_answers_on_our_port(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(PORT=clinic.stage.gitea.url.rpartition(":")[2]))
    assert (cause.check, "something else" in cause.what) == ("web", True)
    assert clinic.stage.gitea.unexpected.pop() == "unknown page GET /healthz"


def test_the_public_address_leads_nowhere(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(PUBLIC_URL=f"http://127.0.0.1:{free_port()}"))
    assert (cause.check, cause.cure.startswith("set KUGETSU_PUBLIC_URL=")) == ("address", True)


# Gitea


def test_no_gitea_is_set(clinic: Clinic) -> None:
    assert cause_of(clinic.examine(GITEA_URL="", GITEA_TOKEN="", WEBHOOK_SECRET="")).what == "no Gitea is set"


@pytest.mark.parametrize(("setting", "name"), [("GITEA_TOKEN", "a token"), ("WEBHOOK_SECRET", "a webhook secret")])
def test_a_setting_of_gitea_is_missing(clinic: Clinic, setting: str, name: str) -> None:
    cause = cause_of(clinic.examine(GITEA_TOKEN="") if setting == "GITEA_TOKEN" else clinic.examine(WEBHOOK_SECRET=""))
    assert (cause.check, cause.what, f"KUGETSU_{setting}=" in cause.cure) == ("settings", f"{name} is not set", True)


def test_nothing_listens_at_giteas_address(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(GITEA_URL=f"http://127.0.0.1:{free_port()}"))
    assert (cause.check, "nothing listens there" in cause.what) == ("gitea", True)


def test_giteas_name_is_wrong(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(GITEA_URL="http://gitea.invalid"))
    assert (cause.check, cause.cure) == ("gitea", "getent hosts gitea.invalid")


def test_what_answers_is_no_gitea(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(GITEA_URL=f"http://127.0.0.1:{clinic.stage.port}"))
    assert (cause.check, "no Gitea" in cause.what) == ("gitea", True)


def test_gitea_fails(clinic: Clinic) -> None:
    clinic.stage.gitea.fail("GET /api/v1/version", 502)
    assert "502" in cause_of(clinic.examine()).what


@pytest.mark.parametrize(("minutes", "which"), [(10, "600 seconds ahead of ours"), (-10, "600 seconds behind ours")])
def test_the_clocks_are_ten_minutes_apart(clinic: Clinic, minutes: int, which: str) -> None:
    theirs = datetime.now(UTC) + timedelta(minutes=minutes, seconds=0.5)
    clinic.monkeypatch.setattr(clinic.stage.gitea.forge.state, "clock", lambda: theirs)
    cause = cause_of(clinic.examine())
    assert (cause.check, re.sub("(599|601)", "600", cause.what).endswith(which)) == ("clock", True)


def test_the_token_is_expired(clinic: Clinic) -> None:
    token = clinic.token_with(*BOT_SCOPES)
    clinic.stage.gitea.revoke(token)
    cause = cause_of(clinic.examine(GITEA_TOKEN=token))
    assert (cause.check, cause.cure) == ("token", f"{clinic.stage.gitea.url}/user/settings/applications")


@pytest.mark.parametrize("scope", BOT_SCOPES)
def test_the_token_lacks_a_scope(clinic: Clinic, scope: str) -> None:
    token = clinic.token_with(*(other for other in BOT_SCOPES if other != scope))
    cause = cause_of(clinic.examine(GITEA_TOKEN=token))
    assert (cause.check, cause.what) == ("scopes", f"the token lacks the scope {scope}")


def test_an_old_gitea_is_a_warning(tmp_path: Path, clinic: Clinic) -> None:
    with staged(tmp_path, version="1.21.0") as stage:
        found = clinic.examine(GITEA_URL=stage.gitea.url, GITEA_TOKEN=stage.token)
    assert level_of(found, "gitea") == Level.WARNING


# A repository


def test_the_repository_is_not_there(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine("acme/nowhere"))
    assert (cause.check, cause.what) == ("repository", "there is no acme/nowhere, or the bot may not see it")


def test_the_bot_has_no_part_in_any_repository(clinic: Clinic) -> None:
    clinic.stage.gitea.user("lonely")
    assert cause_of(clinic.examine(GITEA_TOKEN=clinic.stage.gitea.token_for("lonely"))).check == "repositories"


def test_the_repository_is_not_allowed(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(REPO, REPOS="other/*"))
    assert (cause.check, cause.cure) == ("allowed", f"KUGETSU_REPOS=other/*,{REPO}")


def test_the_repository_is_archived(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(clinic.stage.gitea.forge.state.repo(REPO), "archived", True)
    assert cause_of(clinic.examine(REPO)).what == f"{REPO} is archived"


def test_issues_are_switched_off(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(clinic.stage.gitea.forge.state.repo(REPO), "has_issues", False)
    assert cause_of(clinic.examine()).what == f"{REPO} has no issues"


@pytest.mark.parametrize("standing", ["write", "read"])
def test_the_bot_is_no_administrator(clinic: Clinic, standing: str) -> None:
    people = clinic.stage.gitea.forge.state.repo(REPO).collaborators
    clinic.monkeypatch.setitem(people, BOT, standing)
    cause = cause_of(clinic.examine())
    assert (cause.check, cause.what) == ("rights", f"the bot has {standing} access")
    assert cause.cure.endswith(f"/{REPO}/settings/collaboration")


def test_labels_are_missing(clinic: Clinic) -> None:
    repo = clinic.stage.gitea.forge.state.repo(REPO)
    clinic.monkeypatch.setattr(repo, "labels", repo.labels[1:])
    found = clinic.examine()
    assert (found.well, level_of(found, "labels")) == (True, Level.WARNING)


def test_the_repositorys_file_is_broken(clinic: Clinic) -> None:
    clinic.stage.gitea.push(REPO, "main", {".kugetsu.toml": "timeout = 'soon'\n"}, "ada")
    found = clinic.examine()
    clinic.stage.gitea.push(REPO, "main", {".kugetsu.toml": None}, "ada")
    assert (found.well, level_of(found, "file")) == (True, Level.WARNING)


# Its webhook


def test_there_is_no_webhook(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(clinic.stage.gitea.forge.state.repo(REPO), "hooks", [])
    cause = cause_of(clinic.examine())
    assert (cause.check, "there is no webhook" in cause.what) == ("webhook", True)
    assert cause.cure == f"curl -X POST http://127.0.0.1:{clinic.stage.port}/admin/repos/{REPO}/webhook"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("url", "http://127.0.0.1:9/webhook", "the webhook goes to http://127.0.0.1:9/webhook and should go to"),
        ("active", False, "switched off"),
        ("events", ("issues", "push"), "does not tell of issue_comment, issue_label, pull_request"),
    ],
)
def test_the_webhook_is_not_right(clinic: Clinic, name: str, value: object, said: str) -> None:
    clinic.monkeypatch.setattr(clinic.stage.hooks()[0], name, value)
    cause = cause_of(clinic.examine())
    assert (cause.check, said in cause.what) == ("webhook", True)


def test_the_webhook_was_made_with_another_secret(clinic: Clinic) -> None:
    cause = cause_of(clinic.examine(WEBHOOK_SECRET="a-new-secret"))
    assert (cause.check, "no longer KUGETSU_WEBHOOK_SECRET" in cause.what) == ("webhook", True)


def test_the_secret_was_typed_wrong(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(clinic.stage.hooks()[0], "secret", "typed wrong")
    cause = cause_of(clinic.examine())
    assert (cause.check, "does not match" in cause.what) == ("secret", True)


def test_gitea_may_not_call_our_address(clinic: Clinic) -> None:
    clinic.monkeypatch.setattr(clinic.stage.gitea.forge.webhooks, "allowed_hosts", "external")
    cause = cause_of(clinic.examine())
    assert cause.check == "allowed hosts"
    assert "under [webhook]: ALLOWED_HOST_LIST = loopback" in cause.cure


def test_too_many_webhooks_are_a_warning(clinic: Clinic) -> None:
    stage = clinic.stage
    clinic.monkeypatch.setattr(stage.gitea.forge.state.repo(REPO), "hooks", list(stage.hooks()))
    stage.gitea.hook(REPO, stage.address, "a-secret-of-the-webhook")
    found = clinic.examine()
    assert (found.well, level_of(found, "webhook")) == (True, Level.WARNING)


def test_a_webhook_of_the_organisation_is_enough(clinic: Clinic) -> None:
    stage, db = clinic.stage, clinic.service.site.database
    clinic.monkeypatch.setattr(stage.gitea.forge.state.repo(REPO), "hooks", [])
    stage.gitea.hook("acme", stage.address, "a-secret-of-the-webhook")
    mine = Hook.place == REPO
    clinic.rows(lambda: Hook.update(by="acme").where(mine).execute(db))
    issue = stage.gitea.open_issue(REPO, "ada", "Hello")
    found = clinic.examine()
    clinic.rows(lambda: Hook.update(by=None).where(mine).execute(db))
    stage.gitea.forge.state.org_hooks["acme"].clear()
    assert (found.well, issue.state) == (True, "open"), checkup.as_text(found)


# The agent


@pytest.fixture
def with_agent(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    """The agent is looked at, too."""
    monkeypatch.undo()
    return clinic


def test_the_agent_answers(with_agent: Clinic) -> None:
    found = with_agent.examine(MODEL="test/model", SANDBOX="auto")
    assert found.well, checkup.as_text(found)
    assert said_by(found, "model").startswith("test/model answered in")


def test_the_agent_is_missing(with_agent: Clinic) -> None:
    cause = cause_of(with_agent.examine(AGENT_COMMAND="no-such-agent"))
    assert (cause.check, "make opencode" in cause.cure) == ("agent", True)


def test_the_key_of_the_model_is_wrong(with_agent: Clinic, tmp_path: Path) -> None:
    """The agent says what the provider answered, and the provider repeats the key."""
    key = "sk-0123456789abcdef"
    said = {"type": "error", "error": {"name": "APIError", "data": {"statusCode": 401, "message": f"bad key {key}"}}}
    program = tmp_path / "agent"
    program.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{json.dumps(said)}'\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    found = with_agent.examine(AGENT_COMMAND=str(program), AGENT_ENV="SOME_API_KEY", environ={"SOME_API_KEY": key})
    cause = cause_of(found)
    assert (cause.check, "refused the key" in cause.what, key in checkup.as_text(found)) == ("model", True, False)


def test_a_variable_for_the_agent_is_not_set(with_agent: Clinic) -> None:
    found = with_agent.examine(AGENT_ENV="SOME_API_KEY", AGENT_COMMAND="no-such-agent")
    assert level_of(found, "agent variables") == Level.WARNING


# The command


def test_the_command_answers_in_json_and_by_its_exit_code(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = clinic.stage.settings(WEBHOOKS="manual", SANDBOX="none")
    monkeypatch.setattr(cli, "load", lambda _: settings)
    assert cli.main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["well"], told["cause"], {f["check"] for f in told["findings"]} >= {"git", "round trip"}) == (
        True,
        None,
        True,
    )
    assert cli.main(["doctor", "acme/nowhere", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["cause"]["check"] == "repository"
    assert cli.main(["doctor", "acme/nowhere"]) == 1
    assert "1 thing is wrong." in capsys.readouterr().out


@pytest.mark.parametrize("argument", ["widgets", "a/b/c", "/b", "a/"])
def test_an_argument_that_is_no_repository_ends_with_2(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", argument])
    assert ended.value.code == 2
    assert "right would be OWNER/REPO" in capsys.readouterr().err
