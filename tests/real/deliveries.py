"""What stands under Recent Deliveries, read from the server's own database: the pages show ten at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.fakes.gitea import Delivery, Hook
from tests.real.values import delivery_of, hook_of

SELECT = """
SELECT task.*, hook.repo_id, hook.url, hook.content_type, hook.secret, hook.events, hook.is_active,
       hook.created_unix, hook.updated_unix
FROM hook_task AS task JOIN webhook AS hook ON hook.id = task.hook_id
WHERE task.id > ? ORDER BY task.id
"""
# The answer is written when the attempt has ended, whatever came of it (services/webhook/deliver.go).
PENDING = """
SELECT task.id FROM hook_task AS task JOIN webhook AS hook ON hook.id = task.hook_id
WHERE task.id > ? AND coalesce(task.response_content, '') = ''
"""


HOOK = "SELECT id AS hook_id, * FROM webhook WHERE id = ?"
# Where a hook's deliveries are shown, and where the button to send one again is.
PAGE = """
SELECT CASE WHEN repo.id IS NULL THEN '/org/' || owner.name ELSE '/' || repo.owner_name || '/' || repo.name END
FROM webhook AS hook LEFT JOIN repository AS repo ON repo.id = hook.repo_id
LEFT JOIN user AS owner ON owner.id = hook.owner_id WHERE hook.id = ?
"""


class DeliveryLog:
    """The deliveries queued after the making of this."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._start = self._numbers("SELECT coalesce(max(id), 0) FROM hook_task")[0]
        self._broken_off: set[int] = set()

    def all(self) -> list[Delivery]:
        """Oldest first."""
        with self._connected() as connection:
            return [delivery_of(dict(row)) for row in connection.execute(SELECT, (self._start,))]

    def pending(self) -> set[int]:
        """Which have not been attempted to the end, and may still be."""
        return set(self._numbers(PENDING, self._start)) - self._broken_off

    def break_off(self) -> None:
        """The server was ended: what it was about to send then, it does not send again (facts, section 1.3)."""
        self._broken_off |= self.pending()

    def hook(self, hook_id: int) -> Hook:
        """A webhook as the server has it."""
        with self._connected() as connection:
            return hook_of(dict(connection.execute(HOOK, (hook_id,)).fetchone()))

    def settings_page(self, hook_id: int) -> str:
        """The path of the page on which the hook's deliveries are."""
        with self._connected() as connection:
            place = connection.execute(PAGE, (hook_id,)).fetchone()[0]
        return f"{place}/settings/hooks/{hook_id}"

    def _numbers(self, sql: str, *values: int) -> list[int]:
        with self._connected() as connection:
            return [int(number) for (number,) in connection.execute(sql, values)]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection
