"""Broken set-ups of this machine, the service and the agent, each of which the doctor must name first."""

import json
import shutil
import stat
import time
from pathlib import Path

import pytest

from jobs import git
from models import disk, opening
from models.checkup import Level
from models.tables import Worker
from tests.ports import free_port
from tests.unit.clinic import Clinic, cause_of, level_of, said_by
from tests.unit.hook_stage import BOT, REPO
from webhook import checkup, cli


def test_all_is_well(clinic: Clinic) -> None:
    found = clinic.examine()
    assert found.well, checkup.as_text(found)
    assert said_by(found, "round trip").startswith("a test delivery came back")
    assert checkup.as_text(found).endswith("Nothing is wrong; 2 to know of.")
    assert [f.check for f in found.findings if f.level == Level.WARNING] == ["home", "sandbox"]


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
    cause = cause_of(clinic.examine(HOME="/proc/kugetsu"))
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
    clinic.monkeypatch.setattr(opening, "pending", lambda _: ["0099_new"])
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
