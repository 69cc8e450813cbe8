"""What a signal does to a process that is to end."""

import signal
import subprocess
import sys

import pytest

LIMIT = 30.0
BEGUN = """
import signal, sys, time
from webhook.signals import exit_at_end

exit_at_end("ended early")
"""
IN_A_FINALISER = """
class Last:
    def __del__(self):
        signal.raise_signal(int(sys.argv[1]))

try:
    Last()
    time.sleep(60)
finally:
    print("cleared up")
"""
HALF_MADE = """
class Half:
    def __init__(self):
        signal.raise_signal(int(sys.argv[1]))
        self.file = None
    def __del__(self):
        self.file

Half()
"""
OTHERWISE = """
class Wrong:
    def __del__(self):
        raise ValueError

Wrong()
"""


def run(script: str, number: signal.Signals) -> tuple[int, str, str]:
    argv = [sys.executable, "-c", BEGUN + script, str(int(number))]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=False)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_one_that_comes_within_a_finaliser_ends_the_process_too(number: signal.Signals) -> None:
    assert run(IN_A_FINALISER, number) == (1, "cleared up\n", "ended early\n")


def test_what_it_left_half_made_says_nothing() -> None:
    assert run(HALF_MADE, signal.SIGINT) == (1, "", "ended early\n")


def test_without_one_a_finaliser_that_fails_is_told_of() -> None:
    code, _, said = run(OTHERWISE, signal.SIGINT)
    assert code == 0
    assert "ValueError" in said
