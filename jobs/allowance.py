"""What one run may use, by the settings."""

from datetime import timedelta
from typing import Final

from jobs.watch import Limits
from models.settings import Settings

LONGEST_FILE: Final = 8 << 30
"""Bytes. What all files take together is another limit."""


def limits_of(settings: Settings, timeout: timedelta | None) -> Limits:
    """What one run may use. A repository may set itself a shorter `timeout` than the operator's, never a longer one."""
    return Limits(
        wall=min(settings.agent_timeout, timeout or settings.agent_timeout).total_seconds(),
        start=settings.agent_start_timeout.total_seconds(),
        stall=settings.agent_stall_timeout.total_seconds(),
        memory=settings.agent_memory or 0,
        threads=settings.agent_processes or 0,
        cpu=settings.agent_cpu_time.total_seconds(),
        file=LONGEST_FILE,
    )
