"""The hole to git: what reaches a git process, how it ends, and where a token can be seen."""

import base64
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.git import Access, GitFailed, Run, git
from tests.fakes.git_remote import GitRemote
from tests.fakes.workspaces import FILES, REPO, Thread

TOKEN = "5ecret/token+0123456789"


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[GitRemote]:
    with GitRemote(tmp_path / "server", token=TOKEN) as server:
        server.create(REPO, FILES)
        yield server


def environments() -> dict[int, tuple[str, str]]:
    """Arguments and environment of each running git process, by process id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if "git" in arguments.split(" ")[0]:
                found[int(folder.name)] = (arguments, (folder / "environ").read_bytes().decode())
        except OSError:
            continue
    return found


def forms_of(token: str) -> tuple[str, ...]:
    return (token, base64.b64encode(f"kugetsu:{token}".encode()).decode(), "5ecret%2Ftoken")


def test_nothing_of_our_environment_reaches_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUGETSU_GITEA_TOKEN", TOKEN)
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    monkeypatch.setenv("GIT_TRACE", "1")
    script = tmp_path / "git-show-env"
    shown = git(["-c", f"alias.env=!env > {script}", "env"], Run(cwd=tmp_path))
    assert shown == ""
    names = {line.partition("=")[0] for line in script.read_text().splitlines()}
    assert not {"KUGETSU_GITEA_TOKEN", "GIT_DIR", "GIT_TRACE"} & names
    assert "HOME=/nonexistent" in script.read_text()


def test_an_error_shows_command_code_and_both_streams(tmp_path: Path) -> None:
    with pytest.raises(GitFailed) as caught:
        git(["-c", "alias.odd=!echo on the way; echo gone wrong >&2; exit 3", "odd"], Run(cwd=tmp_path))
    assert (caught.value.code, caught.value.stdout) == (3, "on the way\n")
    assert "gone wrong" in caught.value.stderr
    assert "ended with 3" in str(caught.value)
    assert "gone wrong" in str(caught.value)


def test_at_the_deadline_all_that_git_started_ends(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    stubborn = f"alias.wait=!trap '' TERM; echo $$ >> {pids}; sleep 600 & echo $! >> {pids}; wait; wait"
    started = time.monotonic()
    with pytest.raises(GitFailed, match="ran out of time") as caught:
        git(["-c", stubborn, "wait"], Run(cwd=tmp_path, deadline=0.5))
    assert caught.value.code is None
    assert time.monotonic() - started < 60
    until = time.monotonic() + 60  # a process that was killed takes a moment to be gone
    while any(is_alive(int(pid)) for pid in pids.read_text().split()):
        assert time.monotonic() < until, f"of {pids.read_text().split()} some still run"
        time.sleep(0.01)


def test_a_transfer_that_hangs_is_given_up_by_git_itself(tmp_path: Path) -> None:
    """The worker that would have ended it may be gone."""
    asked = [git(["config", "--get", f"http.lowSpeed{what}"], Run(cwd=tmp_path)).strip() for what in ("Limit", "Time")]
    assert asked == ["100", "300"]


def is_alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and was not fetched by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_grandchild_that_holds_the_streams_keeps_nobody_waiting(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    started = time.monotonic()
    git(["-c", f"alias.leave=!sleep 600 & echo $! > {pid}", "leave"], Run(cwd=tmp_path))
    os.kill(int(pid.read_text()), 9)
    assert time.monotonic() - started < 60


def test_no_transport_is_open_unless_a_server_is_named(tmp_path: Path, remote: GitRemote) -> None:
    for address in (str(remote.path(REPO)), f"ext::sh -c 'touch {tmp_path}/run'", remote.url(REPO)):
        with pytest.raises(GitFailed, match="not allowed"):
            git(["ls-remote", address], Run(cwd=tmp_path))
    access = Access(remote.url(REPO), TOKEN)
    with pytest.raises(GitFailed, match="not allowed"):
        git(["ls-remote", f"ext::sh -c 'touch {tmp_path}/run'"], Run(cwd=tmp_path, access=access))
    assert not (tmp_path / "run").exists()
    assert "refs/heads/main" in git(["ls-remote", access.address], Run(cwd=tmp_path, access=access))


def test_the_token_goes_to_its_own_server_only(tmp_path: Path, remote: GitRemote) -> None:
    access = Access("http://127.0.0.1:9/acme/widgets.git", TOKEN)
    with pytest.raises(GitFailed, match="could not read Username"):
        git(["ls-remote", remote.url(REPO)], Run(cwd=tmp_path, access=access))


def test_a_redirect_is_not_followed(tmp_path: Path, remote: GitRemote) -> None:
    remote.answer_with = 302
    with pytest.raises(GitFailed):
        git(["ls-remote", remote.url(REPO)], Run(cwd=tmp_path, access=Access(remote.url(REPO), TOKEN)))
    assert len(remote.requests) == 1


def test_credentials_in_an_address_are_dropped() -> None:
    assert Access("https://bot:pw@git.example.test:3000/a/b.git").address == "https://git.example.test:3000/a/b.git"


def test_neither_errors_nor_values_show_the_token(tmp_path: Path, remote: GitRemote) -> None:
    access = Access(remote.url(REPO), TOKEN)
    basic = access.settings().popitem()[1].rpartition(" ")[2]
    says = f"alias.say=!echo {TOKEN}; echo {basic} 5ecret%2Ftoken%2B0123456789 >&2; exit 1"
    with pytest.raises(GitFailed) as caught:
        git(["-c", says, "say"], Run(cwd=tmp_path, access=access))
    shown = caught.value.stdout + caught.value.stderr
    assert shown.count("[secret removed]") == 3
    assert not any(form in shown for form in forms_of(TOKEN))
    assert TOKEN not in repr(access) + repr(Run(cwd=tmp_path, access=access)) + repr(Thread(remote, tmp_path).target)


def test_while_git_speaks_to_the_server_the_token_is_in_no_argument(remote: GitRemote, tmp_path: Path) -> None:
    thread = Thread(remote, tmp_path / "home")
    thread.open()
    thread.write({"app.py": "print(2)\n"})
    made = thread.collect()
    for part, step in (("git-upload-pack", thread.open), ("git-receive-pack", lambda: thread.push(made))):
        with remote.held(part) as reached:
            working = threading.Thread(target=step)
            working.start()
            assert reached.wait(30), f"no request for {part} came; there were {remote.requests}"
            running = environments()
        working.join(60)
        speaking = [arguments for arguments, _ in running.values() if "127.0.0.1" in arguments]
        assert speaking, f"no git process speaks to the server: {running}"
        assert not any(form in arguments for form in forms_of(TOKEN) for arguments, _ in running.values())
        # The control: it is there, where only this user can read it.
        assert any(forms_of(TOKEN)[1] in environment for _, environment in running.values())


def test_the_token_is_nowhere_on_disk_afterwards(remote: GitRemote, tmp_path: Path) -> None:
    thread = Thread(remote, tmp_path / "home")
    thread.deliver({"app.py": "print(2)\n"})
    remote.answer_with = 403
    with pytest.raises(Exception, match="did not allow"):
        thread.open()
    for form in forms_of(TOKEN):
        found = subprocess.run(["grep", "-rlF", "--", form, tmp_path], capture_output=True, text=True, check=False)
        assert (found.returncode, found.stdout) == (1, ""), f"{form} is in {found.stdout}"
    (tmp_path / "control").write_text(TOKEN)
    assert subprocess.run(["grep", "-rlF", "--", TOKEN, tmp_path], capture_output=True, check=False).returncode == 0
