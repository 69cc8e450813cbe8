"""What the sandbox shows and what it keeps away; nearly all of it by running a command in there."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import sandbox, shown
from jobs.place import Place
from jobs.sandbox import SandboxUnavailable
from jobs.shown import AGENT_UID
from tests.unit.runs import PLAIN_USER, World, as_plain_user, running, world
from webhook import cli


@pytest.fixture(params=["none", "bwrap"])
def here(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, request.param)


@pytest.fixture
def boxed(tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, "bwrap")


def inside(here: World, script: str, seconds: float = 20) -> subprocess.CompletedProcess[str]:
    script = script.replace("MARKER", here.marker)
    return here.box.run_inside(here.place, here.root / "mirror", ["/bin/sh", "-c", script], seconds)


def test_a_short_command_gives_its_code_and_both_streams(here: World) -> None:
    ended = inside(here, "pwd; echo complaint >&2; cat; exit 7")
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, f"{here.place.root}\n", "complaint\n")
    assert ended.args[0] == "/bin/sh"


def test_a_short_command_that_takes_too_long_is_ended_with_all_it_began(here: World) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        inside(here, "(setsid sh -c 'sleep MARKER; true' &); sleep MARKER", seconds=0.5)
    assert running(here.marker) == []


def test_what_a_short_command_leaves_behind_is_ended(here: World) -> None:
    assert inside(here, "(setsid sleep MARKER >/dev/null 2>&1 &); exit 0").returncode == 0
    assert running(here.marker) == []


def test_a_short_command_gets_a_plain_environment(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUGETSU_GITEA_TOKEN", "secret-token-of-ours")
    ended = here.box.run_inside(here.place, None, ["env"], 20, env={"GIT_AUTHOR_NAME": "the bot"})
    names = {line.partition("=")[0] for line in ended.stdout.splitlines()}
    assert names - {"PWD"} == {"HOME", "TMPDIR", "PATH", "LANG", "GIT_AUTHOR_NAME"}


def test_a_command_that_is_not_there_fails_as_in_a_shell(here: World) -> None:
    ended = here.box.run_inside(here.place, None, ["/nowhere/at/all"], 20)
    assert ended.returncode in (1, 127)
    assert "/nowhere/at/all" in ended.stderr


def test_the_place_is_writable_and_the_mirror_is_not(boxed: World) -> None:
    objects = boxed.root / "mirror/objects"
    objects.mkdir(parents=True)
    (objects / "pack").write_text("borrowed")
    (boxed.root / "mirror/config").write_text("ours")
    ended = inside(boxed, f"echo new >tree/new; cat {objects}/pack; ls {boxed.root}/mirror; echo x >{objects}/pack")
    assert (boxed.place.tree / "new").read_text() == "new\n"
    assert ended.stdout == "borrowedobjects\n"
    assert "Read-only file system" in ended.stderr


def test_neighbours_of_the_place_are_not_there(boxed: World) -> None:
    (boxed.root / "kugetsu.db").write_text("everything")
    (boxed.root / "other-place").mkdir()
    assert inside(boxed, f"ls -A {boxed.root}").stdout == "place\n"


def test_a_temporary_folder_elsewhere_is_writable(boxed: World) -> None:
    elsewhere = boxed.root / "elsewhere"
    elsewhere.mkdir()
    boxed.place = Place.at(boxed.place.root, tmp=elsewhere)
    assert inside(boxed, "echo here >$TMPDIR/file").returncode == 0
    assert (elsewhere / "file").read_text() == "here\n"


@pytest.mark.parametrize("name", ["tmp", "tree", "home", "repo.git"])
def test_a_link_the_agent_put_in_its_place_opens_nothing(boxed: World, name: str) -> None:
    """In what it binds, bwrap follows links: nothing the agent can replace may be bound by name."""
    secret = boxed.root / "secret"
    secret.mkdir()
    (secret / "key").write_text("private")
    link = boxed.place.root / name
    if link.is_dir():
        link.rmdir()
    link.symlink_to(secret)
    ended = inside(boxed, f"cat {name}/key; echo gone >{name}/key; cat {secret}/key")
    assert ended.stdout == ""
    assert (secret / "key").read_text() == "private"


def test_nothing_of_the_system_can_be_changed(boxed: World) -> None:
    paths = "/usr/x /etc/x /bin/x /x /var/x /proc/sys/kernel/core_pattern /proc/sysrq-trigger"
    ended = inside(boxed, f"for path in {paths}; do (: >>$path) 2>/dev/null && echo changed $path; done; true")
    assert ended.stdout == ""


def test_no_capability_is_left_and_none_can_be_had(boxed: World) -> None:
    ended = inside(boxed, "grep -E 'Cap(Inh|Prm|Eff|Amb)|NoNewPrivs' /proc/self/status; mount -o remount,rw /usr")
    fields = dict(line.split(":\t") for line in ended.stdout.splitlines())
    assert {int(value, 16) for name, value in fields.items() if name.startswith("Cap")} == {0}
    assert fields["NoNewPrivs"] == "1"
    assert ended.returncode != 0


def test_secrets_of_the_system_are_not_there(boxed: World) -> None:
    ended = inside(boxed, "ls -A /etc /etc/ssl; ls -A /root /home /srv /run /var/lib; cat /etc/shadow")
    assert "shadow" not in ended.stdout.split()
    assert "private" not in ended.stdout.split()
    assert "No such file" in ended.stderr


def test_names_and_certificates_can_be_looked_up(boxed: World) -> None:
    paths = [
        path for path in ("/etc/passwd", "/etc/resolv.conf", "/etc/ssl/certs", "/etc/hosts") if Path(path).exists()
    ]
    assert inside(boxed, f"cat /etc/passwd >/dev/null && ls -d {' '.join(paths)}").stdout.split() == sorted(paths)


def test_processes_outside_cannot_be_seen(boxed: World) -> None:
    ended = inside(boxed, f"ls /proc | grep -c '^[0-9]'; kill -0 {os.getpid()} || echo unseen")
    assert int(ended.stdout.split()[0]) < 8
    assert "unseen" in ended.stdout


def test_tmp_is_fresh_each_time(boxed: World) -> None:
    assert inside(boxed, "echo x >/tmp/left; echo y >/var/tmp/left; cat /tmp/left").stdout == "x\n"
    assert "left" not in inside(boxed, "ls /tmp /var/tmp").stdout


def test_a_folder_of_ours_within_a_system_folder_is_hidden(boxed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "SYSTEM_FOLDERS", ("/usr", str(boxed.root)))
    home = boxed.root / "kugetsu"
    place = Place.at(home / "worktrees/one")
    place.tree.mkdir(parents=True)
    (home / "kugetsu.db").write_text("everything")
    (boxed.root / "tools").mkdir()
    boxed.box.hand_over(place)
    boxed.root.chmod(0o755)
    argv = boxed.box.wrap(
        ["sh", "-c", f"ls {boxed.root} {home}; echo fine >{place.tree}/new"], place=place, cwd=place.tree, hide=[home]
    )
    ended = subprocess.run(argv, env={"PATH": sandbox.SYSTEM_PATH}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "tools" in ended.stdout
    assert "kugetsu.db" not in ended.stdout
    assert (place.tree / "new").read_text() == "fine\n"


def test_values_of_the_environment_are_not_on_the_command_line(boxed: World) -> None:
    argv = boxed.box.wrap(["agent"], place=boxed.place, cwd=boxed.place.tree)
    assert "--setenv" not in argv


def test_it_works_for_a_plain_user_too() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, PLAIN_USER, PLAIN_USER)
        script = "id -u; cat tree/new; echo newer >tree/new; echo x >/usr/x; cat /proc/1/environ"

        def play() -> str:
            here = World(Path(folder), sandbox.choose("bwrap", Path(folder)))
            (here.place.tree / "new").write_text("new\n")
            assert not here.box.own_user
            ended = here.box.run_inside(here.place, None, ["sh", "-c", script], 20)
            return ended.stdout + (here.place.tree / "new").read_text() + ended.stderr

        said = as_plain_user(play)
    assert said.startswith(f"{AGENT_UID}\nnew\n")
    assert "newer\n" in said
    assert "Read-only file system" in said


def test_the_choice_says_why(tmp_path: Path) -> None:
    assert sandbox.choose("none", tmp_path) == sandbox.Sandbox("none", "The settings turn the sandbox off.")
    assert sandbox.choose("auto", tmp_path).kind == sandbox.choose("bwrap", tmp_path).kind == "bwrap"


def test_without_bubblewrap_it_is_done_without_or_refused(tmp_path: Path) -> None:
    chosen = sandbox.choose("auto", tmp_path, path=str(tmp_path))
    assert (chosen.kind, chosen.why) == (
        "none",
        "Agents run without a sandbox: bubblewrap (bwrap) is not installed.",
    )
    with pytest.raises(SandboxUnavailable, match="not installed"):
        sandbox.choose("bwrap", tmp_path, path=str(tmp_path))


def test_a_bubblewrap_that_may_not_work_here_is_found_out_by_trying(tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    chosen = sandbox.choose("auto", tmp_path, path=str(tmp_path))
    assert chosen.kind == "none"
    assert chosen.why.endswith("does not work here: bwrap: No permissions to create new namespace.")
    broken.chmod(0o755)
    broken.write_text("not a program")
    assert sandbox.choose("auto", tmp_path, path=str(tmp_path)).kind == "none"


def test_where_no_namespace_can_be_made_it_says_so(boxed: World) -> None:
    """As in a container that forbids them: our own filter does, so the probe runs in the sandbox."""
    project = Path(sandbox.__file__).parent.parent
    script = f"import sys; sys.path.insert(0, {str(project)!r}); from pathlib import Path; from jobs import sandbox; "
    script += "box = sandbox.choose('auto', Path('/tmp/home')); print(box.kind, box.why)"
    code = [project / "jobs", project / "models"]
    ended = boxed.box.run_inside(boxed.place, None, ["python3", "-c", script], 30, read_only=code)
    assert ended.stdout.startswith("none Agents run without a sandbox: /usr/bin/bwrap does not work here: "), (
        ended.stderr
    )
    assert "bwrap: " in ended.stdout


def test_a_worker_that_must_have_a_sandbox_does_not_start_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setattr(sandbox.choose, "__kwdefaults__", {"path": str(tmp_path), "visible": ()})
    monkeypatch.setattr(os, "environ", {"KUGETSU_HOME": str(tmp_path), "KUGETSU_SANDBOX": "bwrap", "PATH": "/usr/bin"})
    assert cli.main(["worker"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("kugetsu: KUGETSU_SANDBOX is bwrap, but bubblewrap (bwrap) is not installed.")


FEW_AND_MANY = """
import os, sys
from pathlib import Path
from jobs import sandbox
for _ in range(12):
    print(sandbox.choose("auto", Path(sys.argv[1])).kind)
    os.open(os.devnull, os.O_RDONLY)
"""


def test_it_does_not_matter_which_descriptors_are_free(tmp_path: Path) -> None:
    """The files that are handed over never have the number by which the filter is opened."""
    argv = [sys.executable, "-P", "-c", FEW_AND_MANY, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [sandbox.choose("auto", tmp_path).kind] * 12
