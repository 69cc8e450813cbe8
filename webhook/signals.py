"""What asks a process to end."""

import os
import signal
import sys
import threading
from collections.abc import Callable

_MOMENT = 0.01


def ends() -> tuple[signal.Signals, ...]:
    """The signals that ask a process to end: that its terminal is gone, too, unless it is to outlive that (nohup)."""
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT, *(() if outlives else (signal.SIGHUP,)))


def at_end(act: Callable[[], object]) -> None:
    """Have `act` called, in a thread of its own, whenever a signal asks this process to end. Called in the main thread.

    Python runs a handler in the main thread alone, once that wakes: a signal that comes right before it goes to sleep,
    or that the kernel hands to another thread, was never heard of. And a handler that sets an Event on which the main
    thread is about to wait may wait for a lock that this thread itself holds.
    """
    numbers = ends()
    heard, told = os.pipe()
    os.set_blocking(told, False)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def listen() -> None:
        while said := os.read(heard, 1):
            if said[0] in numbers:
                act()

    threading.Thread(target=listen, name="signals", daemon=True).start()


def exit_at_end(words: str) -> None:
    """Have this process exit with `words`, and nothing else, when a signal asks it to end, so that what it has begun is
    cleared up. Called in the main thread.

    Python takes no exception out of a finaliser: one that the handler raises there is only told of (the documentation
    of sys.unraisablehook), and the process goes on. It is raised again a moment later. What the exception left half
    made complains in its finaliser: that is no news.
    """

    def leave(*_: object) -> None:
        sys.unraisablehook = lost
        sys.exit(words)

    def lost(unraisable: "sys.UnraisableHookArgs") -> None:
        if isinstance(unraisable.exc_value, SystemExit):
            signal.setitimer(signal.ITIMER_REAL, _MOMENT)

    for number in (*ends(), signal.SIGALRM):
        signal.signal(number, leave)
