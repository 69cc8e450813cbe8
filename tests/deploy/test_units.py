"""The systemd units: as systemd itself reads them, with what agents need of them, and their commands run as written."""

import re
import shlex
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.fakes import stub

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = DEPLOY / "systemd"
SERVICES = ("kugetsu-web.service", "kugetsu-worker.service", "kugetsu-backup.service")
PROGRAM = "/opt/kugetsu/.venv/bin/kugetsu"
HOME, CACHE, BACKUPS = "/var/lib/kugetsu", "/var/cache/kugetsu", "/var/lib/kugetsu-backups"
SECONDS = 60.0

WHAT_BUBBLEWRAP_CALLS = (
    *("unshare", "clone", "clone3", "setns", "mount", "umount2", "pivot_root", "sethostname", "prctl"),
    *("landlock_create_ruleset", "landlock_restrict_self", "capset", "setresuid", "setfsuid", "fchdir", "signalfd4"),
)
BREAKS_AGENTS = {
    "PrivateTmp": "agents that go on would find their folder emptied by the next start",
    "ProtectKernelTunables": "a new /proc cannot be mounted where parts of ours are covered",
    "ProtectKernelLogs": "the same",
    "ProtectProc": "the same",
    "ProcSubset": "the same",
    "ProtectHostname": "the sandbox has a host name of its own",
    "MemoryDenyWriteExecute": "opencode compiles while it runs",
    "PrivateUsers": "the agent's number would not be there",
}


def directives(unit: str) -> list[tuple[str, str]]:
    """Those of its section [Service], in order, with what is repeated."""
    lines = (UNITS / unit).read_text().split("[Service]\n", 1)[1].split("\n[", 1)[0].splitlines()
    return [(name, value) for name, _, value in (line.partition("=") for line in lines if re.match(r"\w+=", line))]


def values(unit: str, name: str) -> list[str]:
    return [value for found, value in directives(unit) if found == name]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with the program where it is here: systemd wants it to exist."""
    for unit in UNITS.glob("kugetsu*.*"):
        text = unit.read_text().replace(PROGRAM, str(Path(sys.executable).with_name("kugetsu")))
        (tmp_path / unit.name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("unit", [*SERVICES, "kugetsu-backup.timer"])
def test_systemd_finds_nothing_wrong(unit: str, installed: Path) -> None:
    done = systemd("verify", "--man=no", str(installed / unit))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(("unit", "most"), [*zip(SERVICES, (20, 35, 15), strict=True)])
def test_they_are_as_closed_as_their_work_allows(unit: str, most: int, installed: Path) -> None:
    """In tenths of systemd's own measure, of which 100 is open and 50 is called medium."""
    done = systemd("security", "--offline=yes", f"--threshold={most}", "--no-pager", str(installed / unit))
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_agents_outlive_a_restart_of_the_worker() -> None:
    assert values("kugetsu-worker.service", "KillMode") == ["process"]
    assert values("kugetsu-worker.service", "OOMPolicy") == ["continue"]


@pytest.mark.parametrize("name", BREAKS_AGENTS)
def test_the_worker_does_without_what_breaks_agents(name: str) -> None:
    assert values("kugetsu-worker.service", name) == [], BREAKS_AGENTS[name]


def test_the_worker_may_make_sandboxes() -> None:
    kinds = " ".join(values("kugetsu-worker.service", "RestrictNamespaces")).split()
    assert {"user", "mnt", "pid", "ipc", "uts"} <= set(kinds)
    (filtered,) = values("kugetsu-worker.service", "SystemCallFilter")
    assert [call for call in WHAT_BUBBLEWRAP_CALLS if call not in allowed(filtered)] == []


def test_systemds_usual_list_would_not_be_enough() -> None:
    """The control."""
    assert {"mount", "pivot_root", "sethostname"} <= set(WHAT_BUBBLEWRAP_CALLS) - allowed("@system-service")


def test_all_of_them_are_one_account_with_the_same_folders() -> None:
    for unit in SERVICES:
        assert values(unit, "User") == values(unit, "Group") == ["kugetsu"]
        assert values(unit, "EnvironmentFile") == ["-/etc/kugetsu/kugetsu.env"]
        assert values(unit, "StateDirectoryMode") == ["0700"]
        assert environment(unit)["KUGETSU_HOME"] == HOME


def test_what_the_units_start_serves_works_and_backs_up(tmp_path: Path) -> None:
    with started("kugetsu-web.service", tmp_path) as (_, port), started("kugetsu-worker.service", tmp_path) as (log, _):
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(f"{url}/healthz") == 200, "the HTTP side", log)
        wait_for(lambda: checks(url).get("workers"), "the worker to be seen", log)
        for command in commands("kugetsu-backup.service", tmp_path):
            done = subprocess.run(command, env=given("kugetsu-backup.service", tmp_path), timeout=SECONDS, check=False)
            assert done.returncode == 0, command
        (backup,) = (tmp_path / "backups").glob("*Z.tar.gz")
        with tarfile.open(backup) as archive:
            assert "kugetsu.db" in " ".join(archive.getnames())


def test_a_wrong_setting_ends_it_with_the_code_that_is_not_tried_again(tmp_path: Path) -> None:
    (command,) = commands("kugetsu-worker.service", tmp_path)
    environ = {**given("kugetsu-worker.service", tmp_path), "KUGETSU_PROT": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert [str(done.returncode)] == values("kugetsu-worker.service", "RestartPreventExitStatus")
    assert "KUGETSU_PROT" in done.stderr


def systemd(*words: str) -> subprocess.CompletedProcess[str]:
    argv = ["systemd-analyze", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)


def allowed(filtered: str) -> set[str]:
    """The system calls of a filter; groups are written out."""
    said = systemd("syscall-filter", "--no-pager").stdout
    groups = {head.split()[0]: head.split("\n")[1:] for head in re.split(r"\n(?=@)", said)}
    found: set[str] = set()
    waiting = filtered.split()
    while waiting:
        word = waiting.pop()
        if word.startswith("@"):
            waiting += [line.strip() for line in groups[word] if line.strip() and not line.strip().startswith("#")]
        else:
            found.add(word)
    return found


def environment(unit: str) -> dict[str, str]:
    words = [word for value in values(unit, "Environment") for word in shlex.split(value)]
    return dict(word.split("=", 1) for word in words)


def here(text: str, root: Path) -> str:
    """A text of a unit, with this machine's paths in the place of the installed ones."""
    paths = {BACKUPS: "backups", CACHE: "cache", HOME: "home"}
    text = text.replace(PROGRAM, str(Path(sys.executable).with_name("kugetsu")))
    for path, folder in paths.items():
        (root / folder).mkdir(mode=0o700, exist_ok=True)
        text = text.replace(path, str(root / folder))
    return text


def commands(unit: str, root: Path) -> list[list[str]]:
    return [shlex.split(here(value, root).replace("%%", "%")) for value in values(unit, "ExecStart")]


def given(unit: str, root: Path) -> dict[str, str]:
    """The unit's environment and nothing else of this test's: systemd gives little more than PATH."""
    own = {name: here(value, root) for name, value in environment(unit).items()}
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8", **own}


@contextmanager
def started(unit: str, root: Path, **settings: str) -> Iterator[tuple[Path, int]]:
    """The unit's command, and further settings: its log, and the port that it may listen on."""
    (command,) = commands(unit, root)
    log = root / f"{unit}.log"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environ = {**given(unit, root), "KUGETSU_PORT": str(port), "KUGETSU_AGENT_COMMAND": stub.COMMAND, **settings}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=root / "home", env=environ, stdout=output, stderr=output)
    try:
        yield log, port
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0, log.read_text()


def answers(url: str) -> int:
    try:
        return httpx.get(url, trust_env=False).status_code
    except httpx.TransportError:
        return 0


def checks(url: str) -> dict[str, bool]:
    found: dict[str, bool] = httpx.get(f"{url}/readyz", trust_env=False).json()["checks"]
    return found


def wait_for(seen: Callable[[], object], what: str, log: Path) -> None:
    until = time.monotonic() + SECONDS
    while not seen():
        assert time.monotonic() < until, f"waited for {what}: {log.read_text()}"
        time.sleep(0.05)
