"""What a job has cost so far, over all runs of its agent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from jobs import keeper
from jobs.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Spent:
    """By the names of the job's columns; `cost` is in dollars."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    @classmethod
    def of(cls, transcript: Transcript) -> Self:
        """By one run."""
        tokens = transcript.tokens
        taken_in = tokens.input + tokens.cache_read + tokens.cache_write
        return cls(taken_in, tokens.output + tokens.reasoning, transcript.cost)

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out, self.cost + other.cost)


def spent_before(run_dir: Path, run: int) -> Spent:
    """By the runs before number `run`, whose folder is `run_dir`. Reads what they wrote, so ask once."""
    folders = (run_dir.with_name(f"run-{number}") for number in range(1, run))
    return sum((Spent.of(Transcript.of(folder / keeper.EVENTS)) for folder in folders), Spent())
