"""What an agent tries that wants out of its sandbox. Each attack is made inside, and once without: there it works."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from jobs import confine, sandbox
from jobs.place import Place
from jobs.sandbox import Sandbox
from jobs.shown import AGENT_UID

LOOT = "what-must-not-get-out"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="without a sandbox this attack needs a service that is root")

KINDS = ["a user of its own", "the service's user"]


@dataclass
class Service:
    """A service's home with one place in it, in a folder of its own, and its neighbours; each holds some loot."""

    root: Path

    def __post_init__(self) -> None:
        self.home = self.root / "kugetsu"
        self.place = Place.at(self.home / "worktrees/gitea-acme-widgets-1")
        for folder in (self.place.tree, self.place.repo, self.place.home, self.place.tmp):
            folder.mkdir(parents=True)
        for name in (
            "kugetsu.db",
            "kugetsu.toml",
            "worktrees/gitea-acme-secret-2/tree/plan.txt",
            "jobs/1/run-1/prompt.txt",
        ):
            self.put(self.home / name)
        self.put(self.root / "person/.ssh/id_ed25519")

    def put(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{LOOT}\n")

    def attack(self, box: Sandbox, script: str) -> str:
        """What the agent's script prints."""
        script = script.replace("HOME", str(self.home)).replace("ROOT", str(self.root))
        words = f"echo begun; cd {self.place.tree} && exec 2>&1; {script}"
        ended = box.run_inside(self.place, None, ["sh", "-c", words], 30)
        assert ended.stdout.startswith("begun\n"), ended.stderr
        return ended.stdout.removeprefix("begun\n")


@pytest.fixture
def service() -> Iterator[Service]:
    with tempfile.TemporaryDirectory(prefix="attacked-", dir="/var/tmp") as folder:
        yield Service(Path(folder))


@pytest.fixture(scope="module")
def best(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return sandbox.choose("bwrap", tmp_path_factory.mktemp("service"))


@pytest.fixture(params=KINDS)
def box(request: pytest.FixtureRequest, best: Sandbox) -> Sandbox:
    if request.param == KINDS[0] and not best.own_user:
        pytest.skip("only root can give another user")
    return replace(best, own_user=request.param == KINDS[0])


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, with a token in its environment."""
    with subprocess.Popen(["sleep", "300"], env={"KUGETSU_GITEA_TOKEN": LOOT}) as process:
        yield process
        process.kill()


NO_BOX = Sandbox("none", "")

READS = {
    "the database": "cat HOME/kugetsu.db",
    "the settings": "cat HOME/kugetsu.toml",
    "another conversation": "cat HOME/worktrees/gitea-acme-secret-2/tree/plan.txt",
    "the prompt of a job": "cat HOME/jobs/1/run-1/prompt.txt",
    "somebody's ssh key": "cat ROOT/person/.ssh/id_ed25519",
    "upwards from its place": "cat ../../../kugetsu.db",
    "through a link": "ln -s HOME/kugetsu.db link; cat link",
    "through a hard link": "ln HOME/kugetsu.db hard; cat hard",
    "by looking for it": "find ROOT -name kugetsu.db -exec cat {} ';'",
    "out of other processes' environment": "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep KUGETSU_GITEA_TOKEN",
}


@pytest.mark.parametrize("script", READS.values(), ids=READS.keys())
def test_what_is_not_its_own_cannot_be_read(
    box: Sandbox, service: Service, victim: subprocess.Popen[bytes], script: str
) -> None:
    assert LOOT not in service.attack(box, script)


@pytest.mark.parametrize("script", READS.values(), ids=READS.keys())
def test_without_a_sandbox_it_can(service: Service, victim: subprocess.Popen[bytes], script: str) -> None:
    assert LOOT in service.attack(NO_BOX, script)


@AS_ROOT
def test_the_passwords_of_the_system_cannot_be_read(box: Sandbox, service: Service) -> None:
    script = "cat /etc/shadow; ln -s /etc/shadow link; cat link; cat /proc/1/root/etc/shadow"
    assert ":" not in service.attack(box, "cat /etc/shadow 2>/dev/null")
    assert "root:" not in service.attack(box, script)
    assert "root:" in service.attack(NO_BOX, script)


def test_the_users_of_the_machine_are_not_told(box: Sandbox, service: Service) -> None:
    assert service.attack(box, "cut -d: -f1 /etc/passwd; whoami").split() == ["root", "agent", "agent"]
    assert len(service.attack(NO_BOX, "cat /etc/passwd").splitlines()) > 2


def test_it_is_not_root(box: Sandbox, service: Service) -> None:
    assert service.attack(box, "id -u; id -g; id -G").split() == [str(AGENT_UID)] * 3


@AS_ROOT
def test_where_the_service_is_root_nothing_of_its_is_the_agents(best: Sandbox, service: Service) -> None:
    service.attack(best, "touch mine; mkdir -p deep/down; ln -s /etc/shadow deep/link")
    made = [service.place.tree / name for name in ("mine", "deep", "deep/down", "deep/link")]
    assert {path.lstat().st_uid for path in made} == {AGENT_UID}
    assert Path("/etc/shadow").stat().st_uid == 0


ENDS = {
    "kill": "kill -9 VICTIM; sleep 0.1; kill -0 VICTIM || echo unreachable",
    "trace": "python3 -c 'import ctypes; print(ctypes.CDLL(None).ptrace(16, VICTIM, 0, 0) == 0)'",
    "memory": 'python3 -c \'print(open("/proc/VICTIM/mem", "rb", 0) is not None)\'',
}


@pytest.mark.parametrize("way", ENDS)
def test_our_processes_cannot_be_touched(
    box: Sandbox, service: Service, victim: subprocess.Popen[bytes], way: str
) -> None:
    said = service.attack(box, ENDS[way].replace("VICTIM", str(victim.pid)))
    assert "True" not in said
    assert victim.poll() is None


@AS_ROOT
@pytest.mark.parametrize("way", ENDS)
def test_without_a_sandbox_they_can(service: Service, victim: subprocess.Popen[bytes], way: str) -> None:
    said = service.attack(NO_BOX, ENDS[way].replace("VICTIM", str(victim.pid)))
    assert "True" in said or victim.wait(10) == -9


WRITES = {
    "the settings": "echo evil >>HOME/kugetsu.toml",
    "another conversation": "echo evil >HOME/worktrees/gitea-acme-secret-2/tree/plan.txt",
    "through a link": "ln -s HOME/kugetsu.toml link; echo evil >>link",
    "by moving its place away": "cd /; mv HOME/worktrees HOME/gone; mkdir HOME/evil; echo evil >HOME/evil/file",
}


@pytest.mark.parametrize("script", WRITES.values(), ids=WRITES.keys())
def test_nothing_outside_its_place_can_be_changed(box: Sandbox, service: Service, script: str) -> None:
    service.attack(box, script)
    assert not evil_in(service)


@pytest.mark.parametrize("script", WRITES.values(), ids=WRITES.keys())
def test_without_a_sandbox_everything_can(service: Service, script: str) -> None:
    service.attack(NO_BOX, script)
    assert evil_in(service)


def evil_in(service: Service) -> bool:
    files = [path for path in service.home.rglob("*") if path.is_file() and not path.is_symlink()]
    return any("evil" in path.read_text() for path in files if service.place.root not in path.parents)


def test_no_program_can_be_planted_in_path(box: Sandbox, service: Service) -> None:
    name = f"kugetsu-attack-{secrets.token_hex(4)}"
    script = f"IFS=:; for folder in $PATH /usr/lib /etc; do echo evil >$folder/{name} && echo planted; done"
    assert "planted" not in service.attack(box, script)
    assert shutil.which(name) is None


CLIENT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as end:
    end.connect(sys.argv[1].replace('@', chr(0)))
print('connected')
"""


def listening(name: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(name.replace("@", "\0"))
    server.listen()
    return server


def test_a_docker_socket_cannot_be_reached(box: Sandbox, service: Service) -> None:
    path = service.root / "docker.sock"
    with listening(str(path)):
        assert "connected" not in service.attack(box, f'python3 -c "{CLIENT}" {path}')
        assert "connected" in service.attack(NO_BOX, f'python3 -c "{CLIENT}" {path}')
    assert "docker.sock" not in service.attack(box, "ls -R /run /var")


@pytest.mark.skipif(not confine.can_leave_abstract_sockets(), reason="needs Linux 6.12 with Landlock")
def test_an_abstract_socket_cannot_be_reached(box: Sandbox, service: Service) -> None:
    name = f"@kugetsu-{secrets.token_hex(8)}"
    with listening(name):
        assert "connected" not in service.attack(box, f'python3 -c "{CLIENT}" {name}')
        assert "connected" in service.attack(NO_BOX, f'python3 -c "{CLIENT}" {name}')
