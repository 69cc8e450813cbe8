"""An agent calls the admin side of the service that runs it, over the loopback that both share. No token is set."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from jobs import sandbox
from models.tables import Intake
from tests.unit.first_start import PAGE, first_start
from tests.unit.runs import World
from tests.unit.website import Website, address, running, settings_for
from webhook import peers

PAUSE = (
    b"POST /admin/pause HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)

CALL = """
import socket, sys
host, port, wait, said = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4].encode().decode("unicode_escape")
with socket.create_connection((host, port)) as connection:
    connection.sendall(said.encode())
    if wait == "wait":
        sys.stdout.write(connection.recv(65536).decode())
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Website]:
    with running(settings_for(tmp_path)) as website:
        yield website


@pytest.fixture(params=["a user of its own", "the service's user"])
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    box = sandbox.choose("bwrap", tmp_path / "service")
    if request.param == "a user of its own" and not box.own_user:
        pytest.skip("only root can give another user")
    return World(tmp_path / "agent", replace(box, own_user=request.param == "a user of its own"))


def call(agent: World, site: Website, said: bytes, *, wait: bool = True) -> str:
    """What an agent's program is answered."""
    host, port = address(site.url)
    words = [host, str(port), "wait" if wait else "go", said.decode().encode("unicode_escape").decode()]
    ended = agent.box.run_inside(agent.place, None, ["python3", "-c", CALL, *words], 30)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def is_paused(site: Website) -> bool:
    with site.database.connection_context():
        return bool(Intake.select().get(site.database).paused)


@pytest.mark.parametrize("path", ["/admin/status", "/admin/jobs", "/admin/jobs/1/log", "/admin", "/metrics"])
def test_an_agent_is_shown_nothing(agent: World, site: Website, path: str) -> None:
    answer = call(agent, site, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert answer.startswith("HTTP/1.1 403"), answer
    assert httpx.get(f"{site.url}{path}", trust_env=False).status_code != 403


def test_an_agent_steers_nothing(agent: World, site: Website) -> None:
    assert call(agent, site, PAUSE).startswith("HTTP/1.1 403")
    assert not is_paused(site)


def test_an_agent_that_hangs_up_at_once_steers_nothing(agent: World, site: Website) -> None:
    """Nobody owns a connection that is closed: it must not pass for somebody else's."""
    for _ in range(5):
        call(agent, site, PAUSE, wait=False)
    # The requests are answered in turn, so when this one is, those are done with.
    assert httpx.get(f"{site.url}/admin/status", trust_env=False).status_code == 200
    assert not is_paused(site)


def test_it_would_steer_if_loopback_were_enough(agent: World, site: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(peers, "may_be_an_agent", lambda *_: False)
    assert call(agent, site, PAUSE).startswith("HTTP/1.1 200")
    assert is_paused(site)


def test_a_connection_of_our_own_is_known_and_a_foreign_one_is_not(site: Website) -> None:
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{site.url}/admin/status").status_code == 200
    assert peers.may_be_an_agent(("127.0.0.1", 1), ("127.0.0.1", 2))
    assert json.loads(httpx.get(f"{site.url}/healthz", trust_env=False).text) == {"alive": True}


def test_an_agent_does_not_set_the_service_up_even_with_the_code(agent: World, tmp_path: Path) -> None:
    home = tmp_path / "first"
    home.mkdir()
    with first_start(home) as start:
        body = f"code={start.code}"
        said = (
            f"POST {PAGE}/code HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        assert " 403 " in call(agent, start.site, said.encode()).partition("\n")[0]
        with start.entered() as client:
            assert client.get(PAGE).status_code == 200, "the code is still good for who sits here"
