"""A job's log as plain text, for terminals and for copying."""

from __future__ import annotations
