"""All tables together."""

from __future__ import annotations

from peewee import Model

from models.side_tables import (
    Account,
    Bookmark,
    Census,
    CheckupRequest,
    Gateway,
    Hint,
    Hook,
    Notification,
    Refusal,
    Session,
    Spending,
    Tally,
    Watch,
)
from models.tables import Ask, Delivery, Heard, Intake, Job, Move, Repo, Server, Thread, Worker

TABLES: tuple[type[Model], ...] = (
    *(Server, Worker, Intake, Repo, Thread, Delivery, Job, Ask, Heard, Move),
    *(Account, Spending, Gateway, Tally, Hook, Refusal),
    *(Bookmark, Notification, CheckupRequest),
    *(Watch, Census, Hint, Session),
)
"""All of them, in an order in which they can be created."""
