import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from webhook.listening import CannotListen, address_of, listen

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from tests.unit.website import Bell, open_store, settings_for
from pathlib import Path
from webhook.app import Wiring, create_app
from webhook.server import serve

home = Path(sys.argv[1])
wiring = Wiring(settings=settings_for(home), database=open_store(home), ring=Bell())
serve(create_app(wiring), wiring.settings, announce=lambda address: print(address, flush=True))
print("returned", flush=True)
"""


def test_a_taken_port_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"port {port}: Address already in use"):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(CannotListen, match=r"cannot listen on 192\.0\.2\.1 port 0"):
        listen("192.0.2.1", 0)


def test_the_address_is_one_to_type_into_a_browser() -> None:
    with listen("127.0.0.1", 0) as listening:
        assert address_of(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_serving_and_returns(tmp_path: Path, number: signal.Signals) -> None:
    """A process of its own: only its main thread hears signals."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/healthz", timeout=20, trust_env=False).status_code == 200
        process.send_signal(number)
        rest = process.communicate(timeout=20)[0]
    assert (process.returncode, rest) == (0, "returned\n")


def test_ipv6_where_there_is_any() -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            with pytest.raises(CannotListen):
                listen("::1", 0)
            return
    with listen("::1", 0) as listening:
        assert address_of(listening).startswith("http://[::1]:")
