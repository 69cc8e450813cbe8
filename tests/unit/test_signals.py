"""What a signal does to a process that is to end."""

import signal
import subprocess
import sys

import pytest

LIMIT = 30.0
IN_A_FINALISER = """
import signal, sys, time
from webhook.signals import exit_at_end

class Last:
    def __del__(self):
        signal.raise_signal(int(sys.argv[1]))

exit_at_end("ended early")
try:
    Last()
    time.sleep(60)
finally:
    print("cleared up")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_one_that_comes_within_a_finaliser_ends_the_process_too(number: signal.Signals) -> None:
    argv = [sys.executable, "-c", IN_A_FINALISER, str(int(number))]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "cleared up\n", "ended early\n")


def test_other_exceptions_of_a_finaliser_are_still_told_of() -> None:
    script = IN_A_FINALISER.replace("signal.raise_signal(int(sys.argv[1]))", "raise ValueError").replace("60", "0")
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (ended.returncode, ended.stdout) == (0, "cleared up\n")
    assert "ValueError" in ended.stderr
