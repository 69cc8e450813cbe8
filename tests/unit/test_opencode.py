"""What opencode is started with."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import opencode
from jobs.opencode import AgentMissing, Invocation, Program, Surroundings
from jobs.place import Place

PLACE = Place.at(Path("/data/worktrees/one"))
GIVEN = Surroundings(
    place=PLACE, run_dir=Path("/data/jobs/7/run-1"), bot_name="the bot", bot_email="bot@example.org", sandboxed=True
)
OPENCODE = Program("opencode", ("/apps/node_modules/opencode-ai/bin/opencode",), (Path("/apps/node_modules"),))


def program(folder: Path, name: str = "opencode") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def contract(invocation: Invocation) -> tuple[str, ...]:
    argv = invocation.argv()
    return argv[argv.index("run") :]


def test_a_first_run_of_opencode() -> None:
    words = contract(Invocation(OPENCODE, title="--help me #7"))
    assert words == ("run", "--format", "json", "--title", "--help me #7")


def test_a_continued_run_names_its_session_and_model() -> None:
    words = contract(Invocation(OPENCODE, session="ses_1", model="provider/model", agent="build", title="T"))
    assert words[3:] == ("--session", "ses_1", "--model", "provider/model", "--agent", "build", "--title", "T")


def test_another_program_gets_only_what_the_contract_names() -> None:
    words = contract(Invocation(Program("mine", ("/usr/bin/mine", "--fast")), session="ses_1", title="T"))
    assert words == ("run", "--format", "json", "--session", "ses_1")


def test_the_prelude_makes_a_fresh_home_for_opencode_and_hands_over(tmp_path: Path) -> None:
    place = Place.at(tmp_path)
    planted = place.home / ".config/opencode/plugin/evil.js"
    planted.parent.mkdir(parents=True)
    planted.write_text("evil")
    env = opencode.environment(replace(GIVEN, place=place), OPENCODE)
    invocation = Invocation(Program("opencode", ("/bin/echo",)))
    said = subprocess.run(invocation.argv(), env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout == "run --format json\n"
    config = place.home / ".config/opencode"
    assert sorted(path.name for path in config.iterdir()) == ["node_modules", "package-lock.json"]
    packages = json.loads((config / "package-lock.json").read_text())["packages"]
    assert packages[""]["dependencies"] == {"@opencode-ai/plugin": "*"}
    assert all(Path(env[name]).is_dir() for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "TMPDIR"))


def test_the_prelude_takes_a_repositorys_agent_files_away_and_git_does_not_mind(tmp_path: Path) -> None:
    place = Place.at(tmp_path)
    env = opencode.environment(replace(GIVEN, place=place), OPENCODE)

    def git(*words: str) -> str:
        argv = ["git", "-C", str(place.tree), *words]
        return subprocess.run(argv, env={**env, "HOME": "/"}, check=True, capture_output=True, text=True).stdout

    (place.tree / ".opencode/plugin").mkdir(parents=True)
    for name in (".opencode/plugin/evil.js", "opencode.json", "app.py", "../opencode.jsonc"):
        (place.tree / name).write_text("tracked\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "First")
    (place.tree / "opencode.jsonc").symlink_to("app.py")
    for name in ("opencode", "mine"):
        argv = Invocation(Program(name, ("/bin/ls", "-A"))).argv()
        subprocess.run(argv[: argv.index("run")], env=env, cwd=place.tree, check=True, capture_output=True)
    assert sorted(path.name for path in place.tree.iterdir()) == [".git", "app.py"]
    assert not (tmp_path / "opencode.jsonc").exists()
    assert git("status", "--porcelain") == ""
    assert git("ls-files").split() == [".opencode/plugin/evil.js", "app.py", "opencode.json"]


def test_the_environment_is_a_list_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUGETSU_GITEA_TOKEN", "secret")
    env = opencode.environment(GIVEN, OPENCODE)
    assert {name for name in env if not name.startswith(("GIT_", "OPENCODE_", "XDG_"))} == {
        "HOME", "TMPDIR", "KUGETSU_TEMP_DIR", "PATH", "LANG", "PAGER"
    }  # fmt: skip
    assert env["PATH"].split(":")[-1] == "/apps/node_modules/opencode-ai/bin"
    assert env["GIT_AUTHOR_NAME"] == env["GIT_COMMITTER_NAME"] == "the bot"
    assert env["HOME"] == "/data/worktrees/one/home"
    assert "OPENCODE_CONFIG" not in env
    assert "OPENCODE_MODELS_PATH" not in env


def test_variables_named_by_the_settings_come_last() -> None:
    env = opencode.environment(replace(GIVEN, extra={"API_KEY": "key", "LANG": "de_DE.UTF-8"}), OPENCODE)
    assert (env["API_KEY"], env["LANG"]) == ("key", "de_DE.UTF-8")


def test_the_administrators_files_are_used_where_they_are() -> None:
    given = replace(GIVEN, config="{}", models=Path("/data/models.json"))
    env = opencode.environment(given, OPENCODE)
    assert env["OPENCODE_CONFIG"] == "/data/jobs/7/run-1/opencode.json"
    assert env["OPENCODE_MODELS_PATH"] == "/data/models.json"
    assert list(opencode.files(given)) == ["opencode.json"]
    assert opencode.read_only(given, OPENCODE) == [Path("/apps/node_modules"), Path("/data/models.json")]
    assert (opencode.files(GIVEN), opencode.read_only(GIVEN, OPENCODE)) == ({}, [Path("/apps/node_modules")])


@pytest.mark.parametrize("sandboxed", [True, False])
def test_nothing_is_ever_asked(sandboxed: bool) -> None:
    text = json.dumps(opencode.policy(PLACE, sandboxed=sandboxed))
    assert '"ask"' not in text
    policy = json.loads(text)
    assert (policy["snapshot"], policy["autoupdate"], policy["share"]) == (False, False, "disabled")
    assert policy["instructions"] == []
    assert set(policy["permission"]) >= {"doom_loop", "external_directory", "read", "question"}


def test_the_guide_is_the_copy_in_the_run_s_folder() -> None:
    given = replace(GIVEN, guide="Be brief.")
    assert opencode.files(given) == {"AGENTS.md": "Be brief."}
    told = json.loads(opencode.environment(given, OPENCODE)["OPENCODE_CONFIG_CONTENT"])
    assert told["instructions"] == [str(GIVEN.run_dir / "AGENTS.md")]


def test_the_repository_s_own_configuration_is_a_folder_of_its_own() -> None:
    given = replace(GIVEN, own_config={"plugin/x.ts": b"export {}"})
    assert opencode.files(given) == {"own-config/plugin/x.ts": b"export {}"}
    env = opencode.environment(given, OPENCODE)
    assert env["OPENCODE_CONFIG_DIR"] == str(GIVEN.run_dir / "own-config")
    assert env["OPENCODE_DISABLE_PROJECT_CONFIG"] == "1"
    assert "OPENCODE_CONFIG_DIR" not in opencode.environment(GIVEN, OPENCODE)


def test_images_go_to_opencode_alone() -> None:
    other = replace(OPENCODE, name="stub")
    assert opencode.Invocation(OPENCODE, images=("/a.png",)).argv()[-2:] == ("--file", "/a.png")
    assert "--file" not in opencode.Invocation(other, images=("/a.png",)).argv()


def test_without_a_sandbox_other_folders_are_forbidden() -> None:
    policy = json.loads(json.dumps(opencode.policy(PLACE, sandboxed=False)))
    assert policy["permission"]["external_directory"] == {"*": "deny", "/data/worktrees/one/tmp/**": "allow"}


@pytest.mark.parametrize(
    ("config", "same"),
    [
        ('{"$schema": "mine", "model": "a/b"}', True),
        ("{}", False),
        ('{"model": "a/b"}', False),
        ('// a comment with { in it\n/* and\n { another */\n{"model": "a/b"}', False),
        ("nonsense", True),
    ],
)
def test_the_schema_is_named_so_that_opencode_does_not_rewrite_the_file(config: str, same: bool) -> None:
    text = opencode.with_schema(config)
    if same:
        assert text == config
        return
    body = text[text.rindex("*/") + 2 :] if "*/" in text else text
    assert json.loads(body.replace(",}", "}"))["$schema"] == "https://opencode.ai/config.json"
    assert text.startswith(config[: config.rindex("{") + 1])


def test_a_program_on_the_path_is_found_and_shown_with_its_packages(tmp_path: Path) -> None:
    real = program(tmp_path / "lib/node_modules/opencode-ai/bin", "opencode.exe")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/opencode").symlink_to(real)
    found = opencode.find("opencode", path=f"/nowhere:{tmp_path}/bin")
    assert found == Program("opencode", (str(real),), (tmp_path / "lib/node_modules",))


def test_a_script_is_shown_alone_and_may_have_arguments(tmp_path: Path) -> None:
    script = program(tmp_path, "agent.sh")
    other = program(tmp_path, "other.sh")
    assert opencode.find(f"{script} --fast {other}", path="/usr/bin") == Program(
        "agent.sh", (str(script), "--fast", str(other)), (script, other)
    )


def test_a_program_of_the_system_needs_nothing_shown() -> None:
    assert opencode.find("env", path="/usr/bin").needs == ()


def test_opencode_of_the_project_is_the_second_choice(tmp_path: Path) -> None:
    bundled = program(tmp_path / "node_modules/.bin")
    found = opencode.find("opencode", path="/nowhere", bundled=bundled)
    assert found.argv == (str(bundled),)
    with pytest.raises(AgentMissing, match="'mine' is not installed"):
        opencode.find("mine", path="/nowhere", bundled=bundled)


@pytest.mark.parametrize("command", ["", "   ", "/nowhere/at/all", "'unclosed"])
def test_a_command_that_leads_nowhere_is_refused(command: str) -> None:
    with pytest.raises(AgentMissing):
        opencode.find(command, path=os.defpath)
