"""Trouble on request: refusals, pauses, broken connections, at the requests that a test names."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.gitea.record import Exchange

When = Literal["before", "after"]
LONGEST_HOLD = 120.0


@dataclass(eq=False)
class Fault:
    """One trouble. `match` is a regular expression for the whole of `METHOD /path` (without the query)."""

    kind: Literal["fail", "hold", "drop", "slow", "cut"]
    match: str
    when: When
    times: int | None
    body: Callable[[Any], bool] | None = None
    status: int = 500
    message: str = ""
    retry_after: str = ""
    seconds: float = 0.0
    skip: int = 0
    """So many of the first that it would concern go by untroubled."""
    hits: int = 0
    abandoned: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    _go: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Lets go whoever is held here, and whoever comes later."""
        self._go.set()

    def abandon(self) -> None:
        """As `release`, but whoever is held here has gone: held before its effect, a request has none."""
        self.abandoned = True
        self.release()

    def cancel(self) -> None:
        """Ends this trouble; what it holds goes on."""
        self.times = 0
        self.release()

    def concerns(self, exchange: Exchange) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if re.fullmatch(self.match, f"{exchange.method} {exchange.path}") is None:
            return False
        return self.body is None or bool(self.body(exchange.body))

    def stop_here(self) -> None:
        """Waits as long as this fault wants one to wait."""
        self.reached.set()
        if self.kind == "hold":
            self._go.wait(LONGEST_HOLD)
        elif self.kind == "slow":
            self._go.wait(self.seconds)


class Faults:
    """The troubles of one Gitea. Every method gives the fault, which counts its `hits` and can be cancelled."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._chooser: Callable[[Exchange], Fault | None] | None = None
        self._faults_lock = threading.Lock()

    def fail(self, match: str, status: int = 500, *, times: int | None = 1, **more: Any) -> Fault:
        """Answers with this status, before anything happened (or `when="after"`, when all has happened)."""
        return self._add(Fault("fail", match, more.pop("when", "before"), times, status=status, **more))

    def hold(self, match: str, *, when: When = "before", times: int | None = 1, **more: Any) -> Fault:
        """Holds a request before or after its effect: wait for `.reached`, then `.release()`."""
        return self._add(Fault("hold", match, when, times, **more))

    def drop_response(self, match: str, *, when: When = "after", times: int | None = 1, **more: Any) -> Fault:
        """The effect happens, but the connection breaks before an answer (`when="before"`: no effect either)."""
        return self._add(Fault("drop", match, when, times, **more))

    def cut_answer(self, match: str, *, times: int | None = 1, **more: Any) -> Fault:
        """The effect happens, but only half of the answer arrives."""
        return self._add(Fault("cut", match, "after", times, **more))

    def slow(self, match: str, seconds: float, *, times: int | None = None, **more: Any) -> Fault:
        """Takes its time before it does anything."""
        return self._add(Fault("slow", match, "before", times, seconds=seconds, **more))

    def no_more_faults(self) -> None:
        """Ends all troubles."""
        for fault in self._faults:
            fault.cancel()

    def trouble_each(self, choose: Callable[[Exchange], Fault | None] | None) -> None:
        """From now on `choose` says for each request what trouble it meets; None ends that."""
        self._chooser = choose

    def _add(self, fault: Fault) -> Fault:
        with self._faults_lock:
            self._faults.append(fault)
        return fault

    def _faults_for(self, exchange: Exchange) -> list[Fault]:
        """What concerns this request, each counted as one hit."""
        with self._faults_lock:
            concerned = [fault for fault in self._faults if fault.concerns(exchange)]
            found = [fault for fault in concerned if fault.skip == 0]
            for fault in concerned:
                fault.skip = max(0, fault.skip - 1)
            chosen = self._chooser(exchange) if self._chooser else None
            found += [chosen] if chosen else []
            for fault in found:
                fault.hits += 1
        return found
